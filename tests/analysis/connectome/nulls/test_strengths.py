"""Annealing that keeps strengths."""

import re

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.connectome.nulls import anneal_strengths
from graphcolumns.ops import segment_sum
from tests.analysis.connectome.support.random_graphs import (
    edge_set,
    graph_of,
    random_graph,
    random_weights,
    symmetric,
)


def strengths(graph, weights):
    between = weights.double() * (graph.source != graph.target)
    n = graph.num_columns
    return segment_sum(between, graph.target, n), torch.zeros(n).double().index_add(
        0, graph.source.long(), between
    )


def check_strengths(seed: int, undirected: bool, columns: int = 30, **options) -> None:
    graph = random_graph(seed, undirected, columns)
    weights = random_weights(graph, undirected)
    drawn = anneal_strengths(graph, weights, seed=seed, undirected=undirected, **options)
    assert torch.equal(drawn.graph.in_degree, graph.in_degree)
    assert torch.equal(drawn.graph.out_degree, graph.out_degree)
    assert torch.equal(drawn.weights.sort().values, weights.sort().values)
    (into, out), (wanted_in, wanted_out) = (
        strengths(g, w) for g, w in ((drawn.graph, drawn.weights), (graph, weights))
    )
    assert (into - wanted_in).norm() <= 0.05 * wanted_in.norm() + 1e-9
    assert undirected or torch.allclose(out, wanted_out, rtol=1e-12)
    assert not undirected or (symmetric(drawn.graph) and torch.allclose(into, out))


@pytest.mark.parametrize("undirected", [False, True])
def test_strengths_are_kept(undirected):
    for seed in range(4):
        check_strengths(seed, undirected)


@pytest.mark.slow
def test_strengths_of_1000_graphs_are_kept():
    """Small graphs have few others near: those whose strengths are not reached say so."""
    missed = 0
    options = {"columns": 8, "rounds": 40, "swaps_per_edge": 0.3}
    for seed in range(1000):
        try:
            check_strengths(seed, seed % 2 == 1, **options)
        except ValueError as error:
            if "strengths must be within tolerance=0.05" not in str(error):
                raise
            missed += 1
    assert missed < 500


def test_edges_are_others():
    graph = connect.random(grid.sheet(6, 10), 10, self_loops=False)
    drawn = anneal_strengths(graph, random_weights(graph))
    # A sixth would be shared by chance.
    assert len(edge_set(drawn.graph) & edge_set(graph)) / graph.num_edges < 1 / 3


def test_weights_by_hand():
    """0 -> 1 weighs 1 and 2 -> 3 weighs 2: with the targets swapped strengths are others."""
    graph = graph_of([(0, 1), (2, 3)], 4)
    drawn = anneal_strengths(graph, torch.tensor([1.0, 2.0]), seed=4)
    assert drawn.graph.same_topology(graph)
    assert drawn.weights.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (None, {}, "anneal_strengths needs a weight per edge. Got None; pass weights=."),
        (
            [1.0, -1.0],
            {},
            "weights must be 0 or above, as those of both signs would cancel. Got -1.0; pass the "
            "graph of one sign at a time.",
        ),
        ([1.0, 2.0], {"tolerance": 0}, "tolerance must be a finite number above 0. Got 0."),
    ],
)
def test_wrong_options(weights, options, message):
    weights = None if weights is None else torch.tensor(weights)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        anneal_strengths(graph_of([(0, 1), (2, 3)], 4), weights, **options)


def test_strengths_that_are_not_reached():
    graph = random_graph(3, columns=30)
    with pytest.raises(ValueError, match=r"^strengths must be within tolerance=1e-06\. Got an err"):
        anneal_strengths(graph, random_weights(graph), tolerance=1e-6, rounds=2)
