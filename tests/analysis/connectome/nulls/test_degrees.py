"""Rewiring that keeps degrees: exact, and uniform."""

import re
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from graphcolumns.analysis.connectome.nulls import rewire_degrees
from graphcolumns.graph import ColumnGraph
from tests.analysis.connectome.support.random_graphs import (
    edge_set,
    graph_of,
    number_with_degrees,
    random_graph,
    random_weights,
    self_edge_set,
    symmetric,
)

CYCLE = [(0, 1), (1, 2), (2, 0)]
SQUARE = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]
PENTAGON = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2)]


def both_ways(edges):
    return edges + [(t, s) for s, t in edges]


def test_two_edges_by_hand():
    """0 -> 1 and 2 -> 3 can only become 0 -> 3 and 2 -> 1."""
    graph = graph_of([(0, 1), (2, 3)], 4)
    drawn = Counter(frozenset(edge_set(rewire_degrees(graph, seed=s).graph)) for s in range(100))
    assert set(drawn) == {frozenset({(0, 1), (2, 3)}), frozenset({(0, 3), (2, 1)})}
    assert stats.binomtest(min(drawn.values()), 100).pvalue > 1e-3


def test_the_only_graph_with_its_degrees():
    for edges in ([(0, 1), (0, 2), (0, 3)], [(s, t) for s in range(4) for t in range(4) if s != t]):
        graph = graph_of(edges, 4)
        assert rewire_degrees(graph).graph.same_topology(graph)


@pytest.mark.parametrize("edges", [[], [(0, 1)], [(1, 1)]])
def test_too_few_edges_to_swap(edges):
    graph = graph_of(edges, 3)
    assert rewire_degrees(graph).graph.same_topology(graph)


@pytest.mark.parametrize(
    ("edges", "columns", "options"),
    [
        (CYCLE, 3, {}),
        (CYCLE, 3, {"self_edges": True}),
        (SQUARE, 4, {}),
        pytest.param([*SQUARE, (1, 1)], 4, {"self_edges": True}, marks=pytest.mark.slow, id="self"),
        (both_ways(PENTAGON), 5, {"undirected": True}),
    ],
)
def test_all_graphs_are_equally_likely(edges, columns, options):
    graph = graph_of(edges, columns)
    number = number_with_degrees(graph, **{"self_edges": False, "undirected": False, **options})
    drawn = (rewire_degrees(graph, seed=s, swaps_per_edge=3, **options) for s in range(25 * number))
    seen = Counter(draw.graph.fingerprint for draw in drawn)
    assert len(seen) == number > 1
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


def check_degrees(seed: int, undirected: bool, self_edges: bool) -> None:
    graph = random_graph(seed, undirected)
    weights = random_weights(graph, undirected)
    drawn = rewire_degrees(
        graph, weights, seed=seed, swaps_per_edge=0.3, undirected=undirected, self_edges=self_edges
    )
    assert torch.equal(drawn.graph.in_degree, graph.in_degree)
    assert torch.equal(drawn.graph.out_degree, graph.out_degree)
    assert torch.equal(drawn.weights, weights[drawn.origin])
    assert torch.equal(drawn.origin.sort().values, torch.arange(graph.num_edges))
    if not self_edges:
        assert self_edge_set(drawn.graph) == self_edge_set(graph)
    if undirected:
        assert symmetric(drawn.graph)
        swap = torch.argsort(drawn.graph.source.long() * 1000 + drawn.graph.target)
        assert torch.equal(drawn.weights[swap], drawn.weights)
    else:
        out = [torch.zeros(graph.num_columns).double() for _ in range(2)]
        out[0].index_add_(0, graph.source.long(), weights.double())
        out[1].index_add_(0, drawn.graph.source.long(), drawn.weights.double())
        assert torch.allclose(*out, rtol=1e-12)


KINDS = [(False, False), (False, True), (True, False)]


@pytest.mark.parametrize("kind", KINDS)
def test_degrees_are_kept(kind):
    for seed in range(20):
        check_degrees(seed, *kind)


@pytest.mark.slow
def test_degrees_of_1000_graphs_are_kept():
    for seed in range(1000):
        check_degrees(seed, *KINDS[seed % 3])


def test_a_seed_is_a_graph():
    graph = random_graph(3, columns=20)
    first, again, other = (rewire_degrees(graph, seed=s).graph for s in (1, 1, 2))
    assert first.same_topology(again)
    assert not first.same_topology(other)


def test_ten_swaps_per_edge_forget_the_graph():
    """A ring of 200 columns: the share of its edges is that of any two graphs of the null."""
    edges = [(s, (s + k) % 200) for s in range(200) for k in range(1, 6)]
    graph = graph_of(edges, 200)
    kept = [len(edge_set(rewire_degrees(graph, seed=s).graph) & set(edges)) for s in range(40)]
    # Each of 1000 edges is one of 199 that its source might have; 5 of them are in the ring.
    expected = 1000 * 5 / 199
    assert np.mean(kept) == pytest.approx(expected, abs=4 * np.sqrt(expected / 40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"swaps_per_edge": 0},
            "swaps_per_edge must be a finite number above 0. Got 0.",
        ),
        (
            {"undirected": True},
            "every edge of an undirected graph must have its reverse. Got an edge from 2 to 0 "
            "alone; pass undirected=False.",
        ),
        (
            {"undirected": True, "self_edges": True},
            "self-edges of an undirected graph stay where they are. Got self_edges=True; pass "
            "self_edges=False.",
        ),
        (
            {"weights": torch.ones(2)},
            "weights must hold one number per edge, shape (3,). Got (2,).",
        ),
        (
            {"weights": torch.tensor([1, 2, float("nan")])},
            "weights must be finite. Got nan at edge 2.",
        ),
        ({"seed": -1}, "seed must be a whole number, 0 or above. Got -1."),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        rewire_degrees(graph_of(CYCLE, 3), **options)


def test_two_weights_of_a_pair():
    with pytest.raises(ValueError, match="both edges of a pair must have one weight"):
        rewire_degrees(graph_of(both_ways(CYCLE), 3), torch.arange(6.0), undirected=True)


def test_a_bipartite_graph():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2, 3)
    with pytest.raises(ValueError, match="a null needs as many sources as columns"):
        rewire_degrees(graph)
