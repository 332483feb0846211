"""Wire, modules and retrained nulls of a run, on graphs whose numbers are known."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.connectome import clustering, modularity, wiring_cost
from graphcolumns.graph import ColumnGraph
from graphcolumns.studies import Retrained, StudyRun, retrained_nulls, wire_and_modules

SHEET = grid.sheet(6, 6)
NULLS = ("retrained", "degrees", "lengths", "distance")


def run_of(graph, initial=None, seen=None):
    """A run that ended with these edges; what it trains again is noted, and as accurate as told."""

    def retrain(graph, seed=None):
        assert seed is None
        seen.append(graph)
        return Retrained(torch.nn.Identity(), {"test_accuracy": len(seen) / 10})

    initial = graph if initial is None else initial
    model = torch.nn.Identity()
    return StudyRun(
        Path(), SHEET, graph, SimpleNamespace(), model, model, initial, SimpleNamespace(), retrain
    )


def test_wire_and_modules_of_two_blocks_by_hand():
    """Two halves of the sheet, each complete: Q is 1/2, every neighbour of a neighbour is one."""
    half = torch.cartesian_prod(torch.arange(18), torch.arange(18)).T
    half = half[:, half[0] != half[1]]
    graph = ColumnGraph.from_edge_index(torch.cat([half, half + 18], dim=1), 36)
    found = wire_and_modules(run_of(graph), count=2)
    assert found["modularity"] == pytest.approx(0.5)
    assert found["clustering"] == pytest.approx(1)
    assert found["reciprocity"] == 1
    assert found["pair_density"] == pytest.approx(17 / 35)
    assert found["modularity_over_degrees"] > 0.3
    assert found["modularity_over_distance"] > 0.1


def test_numbers_are_those_of_the_metrics():
    graph = connect.distance_decay(SHEET, 4, length=1.5, self_loops=False)
    found = wire_and_modules(run_of(graph), count=2)
    assert found["wiring_ratio"] == pytest.approx(wiring_cost(graph, SHEET).ratio)
    assert found["economy"] == pytest.approx(wiring_cost(graph, SHEET).economy)
    assert found["clustering"] == pytest.approx(clustering(graph))
    assert found["modularity"] == pytest.approx(modularity(graph), abs=0.03)


def test_edges_that_follow_distance_are_hardly_more_modular_than_their_null():
    graph = connect.distance_decay(SHEET, 5, length=1.5, self_loops=False)
    found = wire_and_modules(run_of(graph), count=10)
    assert abs(found["modularity_over_distance"]) < 0.06
    assert found["modularity_over_degrees"] > found["modularity_over_distance"]


def degrees(graph):
    bins = [torch.bincount(ids.long(), minlength=36) for ids in (graph.source, graph.target)]
    return torch.stack(bins).tolist()


def keys(graph):
    return set(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


def test_nulls_that_are_trained_keep_what_they_say():
    seen = []
    initial = connect.distance_decay(SHEET, 4, length=1.5)
    learned = connect.distance_decay(SHEET, 4, length=2.5, seed=3)
    found = retrained_nulls(run_of(learned, initial, seen))
    assert found == pytest.approx(
        {f"{name}_accuracy": (i + 1) / 10 for i, name in enumerate(NULLS)}
    )
    same, rewired, lengths, drawn = seen
    assert keys(same) == keys(learned)
    for null in (rewired, lengths, drawn):
        assert keys(null) != keys(learned)
        assert null.num_edges == learned.num_edges
        assert (null.source == null.target).sum() == 36
        assert null.distance is not None
    assert degrees(rewired) == degrees(lengths) == degrees(learned)
    assert float(lengths.distance.mean()) == pytest.approx(float(learned.distance.mean()), rel=0.1)


def test_runs_whose_edges_stayed_or_are_many_are_left_out():
    seen = []
    near = connect.nearest(SHEET, 4)
    assert retrained_nulls(run_of(near, near, seen)) == {}
    dense = connect.random(SHEET, 12)
    assert retrained_nulls(run_of(dense, near, seen), max_density=0.2) == {}
    assert seen == []
