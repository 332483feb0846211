"""The length of wire against permuted positions and against the cheapest edges."""

import itertools
import math

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.analysis.connectome import wiring_cost
from graphcolumns.geometry import Geometry

LINE = grid.sheet(1, 4)


def graph_of(*pairs: tuple[int, int], columns: int = 4) -> ColumnGraph:
    return ColumnGraph.from_edge_index(torch.tensor(pairs).T, columns)


def test_by_hand():
    """Four columns on a line: distances 1, 1, 1, 2, 2, 3, so 5/3 on average."""
    found = wiring_cost(graph_of((0, 1), (1, 0), (1, 3), (2, 2)), LINE)
    assert found.total == 3
    assert found.mean == 1.5
    assert found.pair_mean == pytest.approx(5 / 3)
    assert found.ratio == pytest.approx(3 / (10 / 3))
    assert found.economy == pytest.approx((10 / 3 - 3) / (10 / 3 - 2))


def test_the_cheapest_edges():
    found = wiring_cost(graph_of((0, 1), (1, 2), (2, 3)), LINE)
    assert found.economy == pytest.approx(1)
    assert found.z < -1


@pytest.mark.parametrize("edges", [((0, 1), (1, 3)), ((0, 1),), ((0, 4), (1, 4), (2, 4), (2, 3))])
def test_mean_and_variance_are_those_of_all_permutations(edges):
    places = torch.tensor([[0.0, 0.0], [1.0, 0.5], [3.0, 0.0], [3.5, 2.0], [0.2, 4.0]])
    graph, geometry = graph_of(*edges, columns=5), Geometry(places)
    totals = []
    for order in itertools.permutations(range(5)):
        moved = places[list(order)]
        totals.append(sum(float((moved[a] - moved[b]).norm()) for a, b in edges))
    found = wiring_cost(graph, geometry)
    assert found.ratio == pytest.approx(found.total / np.mean(totals))
    assert found.ratio_sd == pytest.approx(np.std(totals) / np.mean(totals))
    assert found.z == pytest.approx((found.total - np.mean(totals)) / np.std(totals))


@pytest.mark.parametrize(("columns", "edges"), [(2, ((0, 1),)), (3, ((0, 1), (1, 2)))])
def test_two_and_three_columns(columns, edges):
    geometry = grid.sheet(1, columns)
    totals = [
        sum(abs(order[a] - order[b]) for a, b in edges)
        for order in itertools.permutations(range(columns))
    ]
    found = wiring_cost(graph_of(*edges, columns=columns), geometry)
    assert found.ratio_sd == pytest.approx(np.std(totals) / np.mean(totals), abs=1e-12)


def test_local_wiring_is_cheap_and_random_wiring_is_not():
    geometry = grid.sheet(20, 20)
    local = wiring_cost(connect.nearest(geometry, 8), geometry)
    assert local.ratio < 0.2
    assert local.z < -20
    assert local.economy > 0.95
    random = wiring_cost(connect.random(geometry, 8), geometry)
    assert random.ratio == pytest.approx(1, abs=0.03)
    assert abs(random.z) < 4
    assert random.economy == pytest.approx(0, abs=0.03)


def test_many_columns_are_measured_in_parts(monkeypatch):
    geometry = grid.sheet(9, 9)
    graph = connect.random(geometry, 4)
    whole = wiring_cost(graph, geometry)
    monkeypatch.setattr("graphcolumns.analysis.connectome.wiring.CHUNK", 100)
    assert wiring_cost(graph, geometry) == pytest.approx(whole)


def test_a_complete_graph_can_not_be_cheaper():
    found = wiring_cost(connect.complete(LINE), LINE)
    assert found.ratio == pytest.approx(1)
    assert math.isnan(found.z)
    assert math.isnan(found.economy)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"needs an edge between different columns. Got none."):
        wiring_cost(graph_of((1, 1)), LINE)
    with pytest.raises(ValueError, match=r"4"):
        wiring_cost(graph_of((0, 1)), grid.sheet(1, 5))
    with pytest.raises(ValueError, match=r"columns at different positions. Got all at one."):
        wiring_cost(graph_of((0, 1)), Geometry(torch.zeros(4, 2)))
    two = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [6, 0, 0], [5, 1, 0]])
    apart = Geometry(two, metric="geodesic", faces=torch.tensor([[0, 1, 2], [3, 4, 5]]))
    with pytest.raises(ValueError, match=r"Got columns that no path joins"):
        wiring_cost(graph_of((0, 1), columns=6), apart)
