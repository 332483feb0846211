"""Density, degrees, reciprocity, statistics of weights, and the strongest pairs."""

import math

import networkx
import numpy as np
import pytest
import torch
from scipy import stats

from graphcolumns import ColumnGraph
from graphcolumns.analysis.connectome import (
    column_degrees,
    edge_density,
    edge_reciprocity,
    strongest_pairs,
    weight_statistics,
)
from graphcolumns.analysis.connectome.pairs import joined_pairs

# 0 -> 1, 1 -> 0, 1 -> 2, 2 -> 2; column 3 has no edge. Edges are sorted by target, then source.
EDGES = torch.tensor([[1, 0, 1, 2], [0, 1, 2, 2]])
GRAPH = ColumnGraph.from_edge_index(EDGES, 4)


def random_graph(n: int = 30, share: float = 0.2, seed: int = 0) -> ColumnGraph:
    matrix = np.random.default_rng(seed).random((n, n)) < share
    target, source = np.nonzero(matrix)
    return ColumnGraph.from_edge_index(torch.from_numpy(np.stack([source, target])), n)


def test_counts_by_hand():
    assert edge_density(GRAPH) == 3 / 12
    assert edge_reciprocity(GRAPH) == 2 / 3
    degrees = column_degrees(GRAPH)
    assert degrees.incoming.tolist() == [1, 1, 1, 0]
    assert degrees.outgoing.tolist() == [1, 2, 0, 0]
    assert degrees.joined.tolist() == [1, 2, 1, 0]


def test_counts_as_in_networkx():
    graph = random_graph()
    directed = graph.to_networkx()
    directed.remove_edges_from(list(networkx.selfloop_edges(directed)))
    assert edge_density(graph) == pytest.approx(networkx.density(directed))
    assert edge_reciprocity(graph) == pytest.approx(networkx.overall_reciprocity(directed))
    degrees = column_degrees(graph)
    assert degrees.incoming.tolist() == [k for _, k in directed.in_degree]
    assert degrees.outgoing.tolist() == [k for _, k in directed.out_degree]
    assert degrees.joined.tolist() == [k for _, k in directed.to_undirected().degree]


def test_pairs_have_the_mean_weight_and_length_of_their_edges():
    graph = ColumnGraph.from_edge_index(EDGES, 4, distance=torch.tensor([2.0, 2.0, 3.0, 0.0]))
    pairs = joined_pairs(graph, torch.tensor([1.0, 3.0, 5.0, 9.0]))
    assert (pairs.low.tolist(), pairs.high.tolist()) == ([0, 1], [1, 2])
    assert pairs.weight.tolist() == [2.0, 2.5]
    assert pairs.length.tolist() == [2.0, 3.0]
    assert joined_pairs(graph, torch.tensor([1.0, 3.0, 0.0, 9.0])).low.tolist() == [0]


def test_the_strongest_pairs_by_hand():
    weights = torch.tensor([1.0, 3.0, 5.0, 9.0])
    graph, kept = strongest_pairs(GRAPH, weights, density=1 / 6)
    assert graph.edge_index.tolist() == [[2, 1], [1, 2]]
    assert kept.tolist() == [2.5, 2.5]
    both, kept = strongest_pairs(GRAPH, weights, density=1 / 3)
    assert both.edge_index.tolist() == [[1, 0, 2, 1], [0, 1, 1, 2]]
    assert kept.tolist() == [2.0, 2.0, 2.5, 2.5]


def test_equal_weights_are_taken_in_the_order_of_ids():
    graph, _ = strongest_pairs(GRAPH, torch.tensor([2.0, 2.0, 4.0, 0.0]), density=1 / 6)
    assert graph.edge_index.tolist() == [[1, 0], [0, 1]]


def test_statistics_of_weights_by_hand():
    found = weight_statistics(GRAPH, torch.tensor([1.0, math.e**2, 0.0, 7.0], dtype=torch.float64))
    assert (found.edges, found.zeros) == (2, 1)
    assert found.mean_log == pytest.approx(1)
    assert found.sd_log == pytest.approx(math.sqrt(2))
    assert found.decades == pytest.approx(2 / math.log(10))
    assert found.skew_log == pytest.approx(0)


def test_statistics_of_weights_as_in_scipy():
    graph = random_graph()
    weights = torch.from_numpy(np.random.default_rng(1).lognormal(0, 3, graph.num_edges))
    between = (graph.source != graph.target).numpy()
    log = np.log(weights.numpy()[between])
    found = weight_statistics(graph, weights)
    assert found.sd_log == pytest.approx(stats.tstd(log))
    assert found.skew_log == pytest.approx(stats.skew(log))


def test_what_is_not_defined_is_nan():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 3)
    assert edge_density(empty) == 0
    assert math.isnan(edge_reciprocity(empty))
    one = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2)
    found = weight_statistics(one, torch.ones(1))
    assert math.isnan(found.sd_log)
    assert math.isnan(found.skew_log)


ONE = torch.ones(4)
BIPARTITE = ColumnGraph.from_edge_index(torch.tensor([[2], [1]]), 2, 3)
WRONG = [
    (lambda: edge_density(BIPARTITE), "a connectome has as many sources as columns"),
    (lambda: edge_density(ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1)),
     "density needs two columns or more. Got 1."),
    (lambda: weight_statistics(GRAPH, -ONE),
     r"weights must be 0 or above. Got -1.0 at edge 0; pass weights.abs\(\)"),
    (lambda: weight_statistics(GRAPH, ONE * math.nan),
     "weights must be finite. Got nan at edge 0; remove these edges."),
    (lambda: weight_statistics(GRAPH, torch.ones(3)), r"shape \(4,\). Got \(3,\)."),
    (lambda: weight_statistics(GRAPH, 0 * ONE), "of weight above 0. Got none."),
    (lambda: strongest_pairs(GRAPH, ONE, 0), r"density must lie in \(0, 1\]"),
    (lambda: strongest_pairs(GRAPH, ONE, 0.9),
     "Got 0.9 of 4 columns, 5 pairs; the graph joins 2, a share of 0.333."),
    (lambda: strongest_pairs(GRAPH, ONE, 0.01), "Got 0.01 of 4 columns, 0 pairs"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
