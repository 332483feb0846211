"""Selectivity, tuning against distance and sparsity, by hand and on planted responses."""

import math

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, Geometry, connect
from graphcolumns.analysis.connectome.nulls import null_values, permute_positions
from graphcolumns.analysis.topography import (
    active_percent,
    category_selectivity,
    edge_tuning_correlation,
    hoyer_sparsity,
    treves_rolls_sparsity,
    tuning_by_distance,
)


def test_selectivity_by_hand():
    """Means 4 and 1, variances 1 and 1/4 by n; 2 and 1/2 by n - 1."""
    responses = [[3.0], [5], [0.5], [1.5]]
    members = np.array([True, True, False, False])
    assert category_selectivity(responses, members) == pytest.approx(3 / math.sqrt(0.625))
    assert category_selectivity(responses, members, ddof=1) == pytest.approx(3 / math.sqrt(1.25))
    assert category_selectivity(responses, ~members) == pytest.approx(-3 / math.sqrt(0.625))


def test_planted_selectivity_is_found():
    generator = np.random.default_rng(0)
    members = torch.arange(4000) % 2 == 0
    effect = np.array([0, 0.5, 2])
    responses = generator.normal(size=(4000, 3)) + members.numpy()[:, None] * effect
    assert category_selectivity(responses, members) == pytest.approx(effect, abs=0.1)


def test_constant_columns_have_no_selectivity():
    found = category_selectivity([[0.1, 1], [0.1, 1], [0.1, 0]], np.array([True, True, False]))
    assert np.isnan(found).all()


def planted(n: int = 30, length: float = 4.0, samples: int = 200) -> np.ndarray:
    """Responses along a line with correlation exp(-d / length) exactly."""
    distance = abs(np.subtract.outer(np.arange(n), np.arange(n)))
    noise = np.random.default_rng(0).normal(size=(samples, n))
    basis = np.linalg.qr(np.column_stack([np.ones(samples), noise]))[0][:, 1:]
    return basis @ np.linalg.cholesky(np.exp(-distance / length)).T


def test_the_length_of_an_exponential_is_found():
    geometry = grid.sheet(1, 30)
    found = tuning_by_distance(planted(), geometry, bins=29)
    # Bins of width 1 have their middles half a unit below the distances in them; the first bin
    # with pairs is d = 1, from where the curve falls to 1/e in 4 more units.
    assert found.curve[1:28] == pytest.approx(np.exp(-np.arange(1, 28) / 4))
    assert found.length == pytest.approx(5.5)
    mean = 31 / 3
    assert found.relative_length == pytest.approx(5.5 / mean)
    assert found.pairs.sum() == 435
    assert found.r < -0.7


def test_pairs_are_drawn_by_seed():
    geometry = grid.sheet(1, 30)
    all_pairs = tuning_by_distance(planted(), geometry)
    drawn = tuning_by_distance(planted(), geometry, pairs=400, seed=1)
    assert drawn.pairs.sum() == 400
    assert drawn.r == pytest.approx(all_pairs.r, abs=0.1)
    assert drawn.r == tuning_by_distance(planted(), geometry, pairs=400, seed=1).r


def test_no_fall_no_length():
    geometry = grid.sheet(1, 4)
    alike = np.array([[0.0, 0, 0, 0], [1, 2, 3, 4]])
    found = tuning_by_distance(alike, geometry, bins=3)
    assert found.curve[1:] == pytest.approx(1)
    assert math.isnan(found.length)
    assert math.isnan(found.relative_length)


def test_parts_that_no_path_joins():
    positions = torch.tensor([[0.0, 0], [1, 0], [0, 1], [9, 0], [10, 0], [9, 1]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    geometry = Geometry(positions, metric="geodesic", faces=faces)
    responses = np.random.default_rng(0).normal(size=(9, 6))
    assert tuning_by_distance(responses, geometry).pairs.sum() == 6


def test_edges_by_hand_and_permuted_positions():
    graph = ColumnGraph.from_edge_index(
        torch.tensor([[0, 1, 2, 0], [1, 2, 0, 0]]), 3, distance=torch.tensor([1.0, 2, 3, 0])
    )
    responses = np.random.default_rng(0).normal(size=(8, 3))
    r = np.corrcoef(responses.T)
    expected = np.corrcoef([r[0, 1], r[1, 2], r[2, 0]], [1, 2, 3])[0, 1]
    assert edge_tuning_correlation(responses, graph) == pytest.approx(expected)

    line = grid.sheet(1, 30)
    edges = connect.nearest(line, 9)
    measure = lambda g: edge_tuning_correlation(planted(), g)  # noqa: E731
    null = null_values(edges, measure, permute_positions, 19, geometry=line, tail="less")
    assert null.observed < -0.9
    assert null.p == 0.05


def test_sparsity_by_hand():
    responses = [[1.0, 0, 0, 0], [2, 2, 2, 2], [3, 1, 0, 0], [0, 0, 0, 0]]
    hoyer = hoyer_sparsity(responses, over="columns")
    assert hoyer[:3] == pytest.approx([1, 0, 2 - 4 / math.sqrt(10)])
    treves = treves_rolls_sparsity(responses, over="columns")
    assert treves[:3] == pytest.approx([1 / 4, 1, 1 / 2.5])
    assert math.isnan(hoyer[3])
    assert math.isnan(treves[3])
    assert active_percent(responses) == 100 * 7 / 16
    assert active_percent(responses, threshold=1) == 100 * 5 / 16
    transposed = np.array(responses).T
    assert np.array_equal(hoyer_sparsity(transposed, over="samples"), hoyer, equal_nan=True)


def test_sparsity_is_free_of_scale():
    responses = np.random.default_rng(0).random((5, 7))
    for measure in (hoyer_sparsity, treves_rolls_sparsity):
        expected = measure(responses, over="samples")
        assert measure(responses * 1e-200, over="samples") == pytest.approx(expected)
    assert (hoyer_sparsity(-responses, over="samples")).shape == (7,)


MEMBERS = np.array([True, False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: category_selectivity(np.ones((3, 2)), MEMBERS), r"\[S\] = \[3\]. Got \[2\]"),
        (lambda: category_selectivity(np.ones((2, 2)), MEMBERS, 1), "at least 2 samples inside"),
        (lambda: category_selectivity(np.ones((2, 2)), ~(MEMBERS | True)), "Got 0 inside, 2 outs"),
        (lambda: category_selectivity(np.ones((2, 2)), MEMBERS, 2), "ddof must be 0 or 1. Got 2"),
        (
            lambda: tuning_by_distance(np.ones((3, 4)), grid.sheet(2, 2)),
            "at least two columns must have responses that vary. Got 0 of 4",
        ),
        (
            lambda: edge_tuning_correlation(
                np.ones((3, 2)), ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2)
            ),
            "never measured: call",
        ),
        (lambda: active_percent([[1, 2]], -1), "threshold must be 0 or above and finite. Got -1"),
        (lambda: hoyer_sparsity([[1], [2]], over="columns"), r"needs at least two of them"),
        (lambda: hoyer_sparsity([[1, 2]], over="units"), "over must be one of 'columns', 'sampl"),
        (lambda: treves_rolls_sparsity([[1, -2]], over="columns"), "0 or above. Got -2; rectify"),
        (lambda: active_percent([[1, math.inf]]), "responses must be finite. Got 1 values of 2"),
    ],
)
def test_wrong_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_are_not_members():
    with pytest.raises(TypeError, match=r"members must be bool.* Got int64; pass labels == cat"):
        category_selectivity(np.ones((2, 2)), np.array([0, 1]))
