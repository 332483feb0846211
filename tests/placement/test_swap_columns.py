"""Swaps within areas that save wire."""

from dataclasses import replace

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.placement import SwapColumns, wire_cost

CROSSED = grid.rows([2, 2])


def crossed():
    """Two edges that cross: from the left column to the right one above it, and back."""
    return ColumnGraph.from_edge_index(torch.tensor([[0, 1], [3, 2]]), 4).remeasure(CROSSED)


def test_crossed_edges_are_uncrossed_by_one_swap():
    slot = SwapColumns(top=1)(crossed(), CROSSED, torch.tensor([1.0, 2.0]))
    assert slot.tolist() == [1, 0, 2, 3]
    moved = CROSSED.permute(slot)
    assert wire_cost(crossed(), moved) == pytest.approx(2 * 0.1)


def test_anchors_stay():
    anchored = replace(CROSSED, anchors=torch.tensor([0, 1]))
    slot = SwapColumns()(crossed(), anchored, torch.ones(2))
    assert slot.tolist() == [0, 1, 3, 2]
    fixed = replace(CROSSED, anchors=torch.arange(4))
    assert SwapColumns()(crossed(), fixed, torch.ones(2)).tolist() == [0, 1, 2, 3]


def test_without_areas_all_columns_may_exchange_places():
    """The end of the only edge comes next to its source."""
    geometry = replace(grid.rows([4]), areas=None)
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [3]]), 4).remeasure(geometry)
    moved = geometry.permute(SwapColumns(top=1)(graph, geometry, torch.ones(1)))
    assert wire_cost(graph, moved) == pytest.approx(1 / 4)


@pytest.mark.parametrize("seed", range(5))
def test_swaps_stay_within_areas_and_never_cost_wire(seed):
    geometry = grid.rows([4, 9, 3])
    graph = connect.between_areas(geometry)
    weight = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(seed))
    slot = SwapColumns(top=3)(graph, geometry, weight)
    assert sorted(slot.tolist()) == list(range(16))
    assert torch.equal(geometry.areas[slot], geometry.areas)
    moved = geometry.permute(slot)
    before = wire_cost(graph, geometry, weight=weight)
    assert wire_cost(graph, moved, weight=weight) < before


def test_only_columns_with_most_weight_look_for_a_place():
    weight = torch.tensor([0.0, 0.0])
    assert SwapColumns(top=1)(crossed(), CROSSED, weight).tolist() == [0, 1, 2, 3]


def test_top_must_be_a_count():
    with pytest.raises(ValueError, match=r"at least 1. Got 0"):
        SwapColumns(top=0)
