"""Levels from the shares of edges, by hand and found again."""

import math

import numpy as np
import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.analysis.hierarchy import laminar_hierarchy

# 0 -> 1, 1 -> 2, 0 -> 2, in the order of the graph: (0, 1), (0, 2), (1, 2).
GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 0, 1], [1, 2, 2]]), 3)


def share(level: float) -> float:
    return 1 / (1 + math.exp(-level))


def test_shares_that_agree_are_fitted_exactly():
    shares = torch.tensor([share(1), share(2.5), share(1.5)], dtype=torch.float64)
    found = laminar_hierarchy(GRAPH, shares)
    assert found.levels == pytest.approx(np.array([0, 1, 2.5]))
    assert (found.agreement, found.feedforward) == (1, 1)
    assert found.correlation == pytest.approx(
        np.corrcoef([share(1), share(2.5), share(1.5)], [1, 2.5, 1.5])[0, 1]
    )


def test_weights_by_hand():
    """Steps of 1 and a shortcut of logit 1 with weight w: steps (1 + w) / (1 + 2 w) each."""
    shares = torch.full((3,), share(1), dtype=torch.float64)
    for weight in (1.0, 4.0):
        found = laminar_hierarchy(GRAPH, shares, torch.tensor([1, weight, 1]))
        step = (1 + weight) / (1 + 2 * weight)
        assert found.levels == pytest.approx(np.array([0, step, 2 * step]))
        assert math.isnan(found.correlation)


def test_least_squares_as_in_numpy():
    generator = np.random.default_rng(0)
    n = 15
    target, source = np.nonzero(generator.random((n, n)) < 0.3)
    graph = ColumnGraph.from_edge_index(torch.from_numpy(np.stack([source, target])), n)
    shares = generator.uniform(0.05, 0.95, graph.num_edges)
    weights = generator.lognormal(0, 1, graph.num_edges)
    source, target = graph.edge_index.numpy()
    between = source != target
    rows = np.zeros((graph.num_edges, n))
    rows[np.arange(len(rows)), target] += 1
    rows[np.arange(len(rows)), source] -= 1
    logit = np.log(shares / (1 - shares))
    root = np.sqrt(weights * between)
    expected = np.linalg.lstsq(rows * root[:, None], logit * root, rcond=None)[0]
    found = laminar_hierarchy(graph, torch.from_numpy(shares), torch.from_numpy(weights))
    assert found.levels == pytest.approx(expected - expected.min())


def test_a_planted_hierarchy_is_found():
    generator = np.random.default_rng(1)
    n = 40
    levels = generator.uniform(0, 4, n)
    target, source = np.nonzero(generator.random((n, n)) < 0.5)
    graph = ColumnGraph.from_edge_index(torch.from_numpy(np.stack([source, target])), n)
    source, target = graph.edge_index.numpy()
    noisy = levels[target] - levels[source] + generator.normal(0, 1, graph.num_edges)
    found = laminar_hierarchy(graph, torch.from_numpy(1 / (1 + np.exp(-noisy))))
    assert np.corrcoef(found.levels, levels)[0, 1] > 0.98
    assert found.feedforward == pytest.approx(0.5, abs=0.05)
    assert found.agreement > 0.7


def test_shares_of_0_and_1_are_clipped():
    found = laminar_hierarchy(GRAPH, torch.tensor([1.0, 0.5, 0.0]), clip=0.1)
    assert found.levels == pytest.approx(np.array([0, math.log(9), 0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: laminar_hierarchy(GRAPH, torch.tensor([0.5, 1.2, 0.5])),
         r"shares must lie in \[0, 1\]. Got 1.2"),
        (lambda: laminar_hierarchy(GRAPH, torch.full((3,), math.nan)), "Got nan at edge 0"),
        (lambda: laminar_hierarchy(GRAPH, torch.ones(2)), r"shape \(3,\). Got \(2,\)."),
        (lambda: laminar_hierarchy(GRAPH, torch.ones(3), torch.zeros(3)), "above 0. Got none."),
        (lambda: laminar_hierarchy(GRAPH, torch.ones(3), clip=0.5), "clip must lie in"),
    ],
)  # fmt: skip
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
