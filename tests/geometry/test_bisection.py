"""Recursive coordinate bisection of points."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geometries import grid
from graphcolumns import Geometry
from graphcolumns.geometry.bisection import bisection_order


def test_by_hand():
    """A row of four points, twice as long as high: left before right, then below before above."""
    points = torch.tensor([[3.0, 1.0], [0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    assert bisection_order(points).tolist() == [1, 3, 2, 0]


def test_odd_counts_put_the_larger_part_first():
    line = torch.tensor([[4.0, 0.0], [2.0, 0.0], [0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    assert line[bisection_order(line)][:, 0].tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(2, 3), st.integers(0, 999))
def test_halves_are_boxes_of_equal_count(columns, axes, seed):
    points = torch.rand(columns, axes, generator=torch.Generator().manual_seed(seed))
    order = bisection_order(points)
    assert torch.equal(order.sort().values, torch.arange(columns))
    first, second = points[order].split([columns - columns // 2, columns // 2])
    if len(second):
        axis = int((points.amax(0) - points.amin(0)).argmax())
        assert first[:, axis].max() <= second[:, axis].min() + 1e-5


def test_points_at_one_place_keep_their_order():
    assert bisection_order(torch.ones(5, 2)).tolist() == [0, 1, 2, 3, 4]


def test_a_moved_grid_has_the_same_order():
    """Rounding of equal coordinates does not scatter a row of a grid over two boxes."""
    places = grid.sheet(12, 10).positions.double()
    moved = (places * 0.1 + 0.7).float()
    assert torch.equal(bisection_order(places), bisection_order(moved))


def test_reorder_takes_it_by_name():
    geometry = grid.sheet(5, 4)
    moved, permutation = geometry.reorder("bisection")
    assert torch.equal(moved.positions, geometry.positions[permutation])
    assert torch.equal(permutation, bisection_order(geometry.positions))
    with pytest.raises(ValueError, match=r'order must be "hilbert" or "bisection". Got \'kd\''):
        Geometry(torch.zeros(2, 2)).reorder("kd")
