"""Nulls that keep lengths: exactly to the bin, or on average by the distance rule."""

import re

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import Geometry, connect
from graphcolumns.analysis.connectome import distance_rule, pair_lengths, wire_lengths
from graphcolumns.analysis.connectome.nulls import draw_by_distance, rewire_within_lengths
from graphcolumns.analysis.connectome.nulls.binned_lengths import length_bounds
from graphcolumns.analysis.connectome.nulls.by_distance import fit_rule, numbered_pairs
from tests.analysis.connectome.support.random_graphs import (
    edge_set,
    graph_of,
    random_graph,
    random_weights,
    self_edge_set,
    symmetric,
)

BOUNDS = (1.2, 2.5, 4.0)


def plane(graph, seed: int):
    columns = graph.num_columns
    positions = torch.rand(columns, 2, generator=torch.Generator().manual_seed(seed)) * 5
    return Geometry(positions)


def counts(graph) -> list[int]:
    return np.bincount(np.searchsorted(BOUNDS, wire_lengths(graph)), minlength=4).tolist()


def check_lengths(seed: int, undirected: bool) -> None:
    graph = random_graph(seed, undirected)
    geometry, weights = plane(graph, seed), random_weights(graph, undirected)
    graph = graph.remeasure(geometry)
    drawn = rewire_within_lengths(
        graph, weights, geometry, seed, BOUNDS, swaps_per_edge=0.3, undirected=undirected
    )
    assert torch.equal(drawn.graph.in_degree, graph.in_degree)
    assert torch.equal(drawn.graph.out_degree, graph.out_degree)
    assert counts(drawn.graph) == counts(graph)
    assert self_edge_set(drawn.graph) == self_edge_set(graph)
    assert torch.equal(drawn.weights, weights[drawn.origin])
    assert not undirected or symmetric(drawn.graph)


@pytest.mark.parametrize("undirected", [False, True])
def test_degrees_and_bins_are_kept(undirected):
    for seed in range(10):
        check_lengths(seed, undirected)


@pytest.mark.slow
def test_degrees_and_bins_of_1000_graphs_are_kept():
    for seed in range(1000):
        check_lengths(seed, undirected=seed % 2 == 1)


def test_a_swap_within_bins_by_hand():
    """In a row of four 0 -> 1, 2 -> 3 would become 0 -> 3, 2 -> 1: one long edge is refused."""
    graph, geometry = graph_of([(0, 1), (2, 3)], 4), grid.sheet(1, 4)
    for seed in range(5):
        kept = rewire_within_lengths(graph, geometry=geometry, seed=seed, bins=[1.5]).graph
        assert kept.same_topology(graph)
    one_bin = [rewire_within_lengths(graph, None, geometry, s, bins=[9]) for s in range(10)]
    assert {len(edge_set(drawn.graph) & {(0, 3)}) for drawn in one_bin} == {0, 1}


def test_bins_by_hand():
    """Half of the edges are 1 long and half up to 4: bounds at 1, the quantile 1.5, 2.5, 4."""
    bounds = length_bounds(np.array([1.0, 1.0, 2.0, 4.0]), 2)
    assert bounds == pytest.approx([1, 1.5, 2.5, 4])
    assert np.searchsorted(bounds, [0.5, 1, 2, 4, 4.1], side="right").tolist() == [0, 1, 2, 3, 4]


def test_the_rule_keeps_the_mean_length():
    geometry = grid.sheet(12, 12)
    graph = connect.distance_decay(geometry, 20, length=2.0, self_loops=False)
    draws = [draw_by_distance(graph, geometry=geometry, seed=s).graph for s in range(20)]
    means = [wire_lengths(drawn).mean() for drawn in draws]
    assert all(drawn.num_edges == graph.num_edges for drawn in draws)
    error = np.std(means) / np.sqrt(20)
    assert np.mean(means) == pytest.approx(wire_lengths(graph).mean(), abs=4 * error)
    assert len({drawn.fingerprint for drawn in draws}) == 20


def test_a_sparse_graph_has_the_rate_of_the_distance_rule():
    """A planted rate, few edges: none are used up, so both fits agree, and find it again."""
    geometry = grid.sheet(20, 20)
    seeded = connect.random(geometry, 3, self_loops=False)
    planted = draw_by_distance(seeded, geometry=geometry, rate=0.25).graph
    again = draw_by_distance(planted, geometry=geometry, seed=1).graph
    rates = [distance_rule(wire_lengths(g), pair_lengths(geometry)) for g in (planted, again)]
    assert rates == pytest.approx([0.25, 0.25], rel=0.1)


def test_two_lengths_by_hand():
    """In a row of three, 4 pairs are 1 long and 2 are 2 long; at a rate of 30 all are short."""
    geometry = grid.sheet(1, 3)
    graph = graph_of([(0, 1), (1, 0), (1, 2), (0, 2)], 3)
    drawn = draw_by_distance(graph, geometry=geometry, rate=30.0).graph
    assert edge_set(drawn) == {(0, 1), (1, 0), (1, 2), (2, 1)}


def check_rule(seed: int, undirected: bool) -> None:
    graph = random_graph(seed, undirected, columns=12)
    weights = random_weights(graph, undirected)
    drawn = draw_by_distance(graph, weights, plane(graph, seed), seed, undirected, rate=0.5)
    assert len(edge_set(drawn.graph)) == drawn.graph.num_edges == graph.num_edges
    assert torch.equal(drawn.weights.sort().values, weights.sort().values)
    assert self_edge_set(drawn.graph) == self_edge_set(graph)
    assert not undirected or symmetric(drawn.graph)


@pytest.mark.parametrize("undirected", [False, True])
def test_edges_and_weights_are_as_many(undirected):
    for seed in range(10):
        check_rule(seed, undirected)


@pytest.mark.slow
def test_edges_and_weights_of_1000_graphs_are_as_many():
    for seed in range(1000):
        check_rule(seed, undirected=seed % 2 == 1)


def test_pairs_are_numbered_by_target_then_source():
    source, target = numbered_pairs(np.arange(6), 3, undirected=False)
    assert list(zip(target, source, strict=True)) == [
        *((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
    ]
    source, target = numbered_pairs(np.arange(6), 4, undirected=True)
    assert list(zip(target, source, strict=True)) == [
        *((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    ]


def test_a_mean_that_no_rate_gives():
    """All edges as short as any pair, although there are more short pairs: no finite rate."""
    graph = graph_of([(0, 1), (1, 2)], 3)
    geometry = grid.sheet(1, 3)
    message = (
        "a distance rule must exist. Got edges of mean length 0.5, shorter or longer than any rate "
        "gives; pass rate=."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fit_rule(pair_lengths(geometry), 0.5, 2 / 6)
    assert wire_lengths(draw_by_distance(graph, geometry=geometry).graph).tolist() == [1, 1]


def test_wrong_options():
    graph = graph_of([(0, 1), (1, 2)], 3)
    with pytest.raises(ValueError, match="draw_by_distance needs the positions"):
        draw_by_distance(graph)
    with pytest.raises(ValueError, match="rewire_within_lengths needs the positions"):
        rewire_within_lengths(graph)
    geometry = grid.sheet(1, 3)
    with pytest.raises(ValueError, match=r"^bins must be 1 or above\. Got 0\.$"):
        rewire_within_lengths(graph, geometry=geometry, bins=0)
    with pytest.raises(ValueError, match=r"^bounds of bins must ascend\. Got \[2, 1\]\.$"):
        rewire_within_lengths(graph, geometry=geometry, bins=[2, 1])
