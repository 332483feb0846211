"""Kernels and orientations of sheets, by hand and beside slow definitions."""

import math

import numpy as np
import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.analysis.topography import (
    cluster_size,
    kernel_smoothness,
    kernel_spatial_loss,
    orientation_entropy,
    rook_neighbours,
)


def test_kernels_by_hand():
    """Angles of 0, 60 and 90 degrees along a line: 1 - cos 60, 1 - cos 30."""
    angle = np.deg2rad([0, 60, 90])
    kernels = np.stack([np.cos(angle), np.sin(angle)], 1) * [[1], [5], [0.1]]
    graph = rook_neighbours(1, 3)
    expected = 1 - (0.5 + math.sqrt(3) / 2) / 2
    assert kernel_spatial_loss(kernels, graph) == pytest.approx(expected)
    assert kernel_smoothness(kernels, graph) == pytest.approx(1 / expected)


def test_the_bias_is_one_more_weight():
    kernels, bias = np.random.default_rng(0).normal(size=(12, 2, 3)), np.arange(12.0)
    joined = np.column_stack([kernels.reshape(12, 6), bias])
    graph = rook_neighbours(3, 4)
    assert kernel_spatial_loss(kernels, graph, bias) == kernel_spatial_loss(joined, graph)
    assert kernel_spatial_loss(kernels, graph) != kernel_spatial_loss(joined, graph)


def test_kernels_that_are_equal_opposite_or_0():
    graph = rook_neighbours(1, 2)
    assert kernel_smoothness(np.ones((2, 3)), graph) == math.inf
    assert kernel_spatial_loss([[1.0, 2], [-1, -2]], graph) == pytest.approx(2)
    assert kernel_spatial_loss([[1.0, 2], [0, 0]], graph) == 1
    alone = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 2)
    assert math.isnan(kernel_smoothness(np.ones((2, 3)), alone))


def test_smooth_kernels_are_found_on_a_sheet_of_primes():
    y, x = np.mgrid[:11, :7] / 4
    kernels = np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], -1).reshape(77, 4)
    graph = rook_neighbours(11, 7)
    shuffled = np.random.default_rng(0).permutation(kernels)
    assert kernel_spatial_loss(kernels, graph) < 0.02 < 0.1 < kernel_spatial_loss(shuffled, graph)


def slow_size(preferred: np.ndarray, bins: int, border: str) -> np.ndarray:
    """The definition, square by square."""
    rows, columns = preferred.shape
    found = np.full(preferred.shape, np.nan)
    for y, x in np.ndindex(rows, columns):
        for radius in range(max(rows, columns)):
            ys, xs = (np.arange(c - radius, c + radius + 1) for c in (y, x))
            if border == "circular":
                square = preferred[np.ix_(ys % rows, xs % columns)]
            else:
                square = preferred[max(ys[0], 0) : ys[-1] + 1, max(xs[0], 0) : xs[-1] + 1]
            if set(range(bins)) <= set(square.flatten()):
                found[y, x] = radius
                break
    return found


@pytest.mark.parametrize("border", ["circular", "clipped"])
@pytest.mark.parametrize("shape", [(6, 9), (5, 5)])
def test_sizes_are_those_of_the_definition(border, shape):
    preferred = np.random.default_rng(0).integers(-1, 4, shape)
    assert np.array_equal(
        cluster_size(preferred, 4, border=border), slow_size(preferred, 4, border)
    )


def test_the_square_is_centred_on_its_unit():
    """One unit differs: the size is the distance of a king from it, and 1 there."""
    preferred = np.zeros((7, 9), int)
    preferred[1, 2] = 1
    y, x = np.mgrid[:7, :9]
    expected = np.maximum(abs(y - 1), abs(x - 2))
    expected[1, 2] = 1
    assert np.array_equal(cluster_size(preferred, 2, border="clipped"), expected)
    # On a torus no row is more than 3 away, and no column more than 4.
    assert cluster_size(preferred, 2, border="circular").max() == 4


def test_larger_stripes_are_larger_clusters():
    means = [
        cluster_size(np.arange(32) // w % 8 * np.ones((32, 1), int), border="circular").mean()
        for w in (1, 2, 4)
    ]
    assert means[0] == 4
    assert means == sorted(means)
    assert np.isnan(cluster_size(np.zeros((4, 4)), border="circular")).all()


def test_entropy_by_hand():
    stripes = np.arange(8) * np.ones((9, 1), int)
    clipped = orientation_entropy(stripes, radius=1, border="clipped")
    # Two columns of the square at the border, three inside.
    assert clipped[4] == pytest.approx([math.log(2), *[math.log(3)] * 6, math.log(2)])
    assert orientation_entropy(stripes, radius=1, border="circular") == pytest.approx(math.log(3))
    assert (orientation_entropy(np.zeros((9, 9)), border="clipped") == 0).all()
    full = orientation_entropy(np.arange(16) % 8 * np.ones((16, 1)), radius=3, border="circular")
    assert full == pytest.approx(math.log(7))


def test_units_without_a_preference_do_not_count():
    preferred = np.array([[0, -1, 1, -1, -1, -1]])
    found = orientation_entropy(preferred, 2, 1, border="clipped")[0]
    assert found[:4] == pytest.approx([0, math.log(2), 0, 0])
    assert np.isnan(found[4:]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_spatial_loss(np.ones((3, 2)), rook_neighbours(2, 2)), "N = 4 columns"),
        (lambda: kernel_spatial_loss(np.ones(4), rook_neighbours(2, 2)), r"Got \[4\]"),
        (
            lambda: kernel_spatial_loss(np.ones((4, 2)), rook_neighbours(2, 2), [1]),
            "bias must be one number per column",
        ),
        (lambda: cluster_size([0, 1], border="clipped"), r"a sheet \[Y, X\]. Got \[2\]"),
        (
            lambda: cluster_size([[0, 8]], border="clipped"),
            "whole numbers from -1 to 7.*Got 0 to 8",
        ),
        (lambda: cluster_size([[0, 0.5]], border="clipped"), "whole numbers from -1 to 7"),
        (lambda: cluster_size([[0, 1]], border="wrap"), "border must be one of 'circular'"),
        (
            lambda: orientation_entropy(np.zeros((8, 8)), border="circular"),
            "must fit into the sheet. Got side 9 on 8 x 8 units",
        ),
        (lambda: orientation_entropy([[0]], radius=0, border="clipped"), "radius must be at least"),
    ],
)
def test_wrong_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
