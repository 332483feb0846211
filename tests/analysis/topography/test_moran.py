"""Moran's I by hand, in plain numpy, and of esda; maps that are planted and shuffled."""

import math

import numpy as np
import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.analysis.topography import moran_test, morans_i, permuted_null, rook_neighbours


def test_rook_neighbours_by_hand():
    graph = rook_neighbours(2, 3)
    pairs = {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}
    expected = pairs | {(b, a) for a, b in pairs}
    assert set(map(tuple, graph.edge_index.T.tolist())) == expected
    assert rook_neighbours(5, 7, torus=True).in_degree.unique().tolist() == [4]
    # Two rows of a torus touch on both sides, which is one edge.
    assert rook_neighbours(2, 3, torus=True).in_degree.unique().tolist() == [3]
    assert rook_neighbours(1, 1, torus=True).num_edges == 0


def test_a_line_by_hand():
    """z = -1.5, -.5, .5, 1.5: 4/6 * 2 (.75 - .25 + .75) / 5."""
    assert morans_i(torch.arange(4.0), rook_neighbours(1, 4)) == pytest.approx(1 / 3)


def test_a_chessboard_is_as_different_as_can_be():
    board = torch.tensor([[0.0, 1], [1, 0]]).repeat(3, 2)
    assert morans_i(board.flatten(), rook_neighbours(6, 4)) == pytest.approx(-1)


def test_weights_by_hand():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 0, 1, 2], [0, 1, 2, 1]]), 3)
    # Edges by target: (0, 0), (1, 0), (1, 2), (2, 1); the self-edge does not count.
    weights = torch.tensor([100.0, 1, 2, 3])
    z = np.array([-2, -1, 3])
    expected = 3 / 6 * (1 * z[1] * z[0] + 5 * z[1] * z[2]) / (z @ z)
    assert morans_i([0, 1, 5], graph, weights) == pytest.approx(expected)


def test_as_in_plain_numpy():
    generator = np.random.default_rng(0)
    values, matrix = generator.normal(size=20), generator.random((20, 20))
    np.fill_diagonal(matrix, 0)
    target, source = np.nonzero(matrix)
    graph = ColumnGraph.from_edge_index(torch.from_numpy(np.stack([source, target])), 20)
    z = values - values.mean()
    expected = 20 / matrix.sum() * (z @ matrix @ z) / (z @ z)
    weights = torch.from_numpy(matrix[target, source])
    assert morans_i(values, graph, weights) == pytest.approx(expected)


def test_as_in_esda():
    esda, libpysal = pytest.importorskip("esda"), pytest.importorskip("libpysal")
    values = np.random.default_rng(1).normal(size=35).cumsum()
    graph = rook_neighbours(5, 7)
    for code, weights in (("B", None), ("R", 1 / graph.in_degree[graph.target.long()])):
        peer = esda.Moran(values, libpysal.weights.lat2W(5, 7), transformation=code, permutations=0)
        assert morans_i(values, graph, weights) == pytest.approx(peer.I)


def test_the_mean_of_all_permutations():
    """n = 4: the mean over all 24 permutations is -1/3 exactly."""
    from itertools import permutations

    graph = rook_neighbours(2, 2)
    values = [morans_i(x, graph) for x in permutations([0.0, 1, 5, 7])]
    assert np.mean(values) == pytest.approx(-1 / 3)


def test_a_smooth_map_is_found_and_a_shuffled_one_is_not():
    y, x = np.mgrid[:11, :13]
    smooth = np.sin(y / 3) + np.cos(x / 4)
    graph = rook_neighbours(11, 13)
    found = moran_test(smooth.flatten(), graph, count=99)
    assert found.observed > 0.9
    assert found.null.p == 0.01
    assert found.expected == pytest.approx(-1 / 142)
    assert found.null.mean == pytest.approx(found.expected, abs=0.02)
    shuffled = np.random.default_rng(0).permutation(smooth.flatten())
    assert moran_test(shuffled, graph, count=99).null.p > 0.1
    again = moran_test(smooth.flatten(), graph, count=99)
    assert np.array_equal(found.null.values, again.null.values)


def test_constant_values_have_no_index():
    graph = rook_neighbours(2, 2)
    assert math.isnan(morans_i(torch.full((4,), 0.1), graph))
    with pytest.raises(ValueError, match=r"values must differ.* Got 0\.1 for all 4 columns"):
        moran_test(torch.full((4,), 0.1), graph)


def test_permuted_columns_keep_their_samples_together():
    seen = []
    values = np.stack([np.arange(5), 10 * np.arange(5)])
    permuted_null(lambda x: seen.append(x) or 1.0, values, count=3)
    assert all(np.array_equal(x[1], 10 * x[0]) for x in seen)
    assert [sorted(x[0]) for x in seen] == [list(range(5))] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: morans_i([1, 2], g), r"values must be one number per column, \[N\] = \[4\]"),
        (lambda g: morans_i([1, 2, 3, math.nan], g), "values must be finite. Got 1 values of 4"),
        (lambda g: morans_i([1, 2, 3, 4], g, torch.ones(3)), r"one number per edge, \[E\] = \[8\]"),
        (
            lambda g: morans_i([1, 2, 3, 4], g, -torch.ones(8)),
            r"weights must be 0 or above. Got -1",
        ),
        (lambda g: morans_i([1, 2, 3, 4], g, torch.zeros(8)), "must sum to more than 0. Got 0"),
        (lambda g: moran_test([1, 2, 3, 4], g, count=1), "count must be 2 or above"),
        (lambda g: permuted_null(lambda x: math.nan, [1, 2]), "must be finite. Got nan of the map"),
        (lambda g: permuted_null(np.sum, [1]), "at least two columns in their last dimension"),
        (lambda g: rook_neighbours(0, 2), "rows must be at least 1"),
    ],
)
def test_wrong_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call(rook_neighbours(2, 2))


def test_sources_of_another_number():
    graph = ColumnGraph.from_edge_index(torch.tensor([[2], [0]]), 2, 3)
    with pytest.raises(ValueError, match=r"columns with columns. Got 3 sources and 2 columns"):
        morans_i([1, 2], graph)
    with pytest.raises(TypeError, match=r"values must be real numbers. Got complex128"):
        morans_i([1j, 2, 3, 4], rook_neighbours(2, 2))
