import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.training import losses

# 0 -> 0, 0 -> 1, 1 -> 2: column 1 listens to 0, column 2 to 1, column 0 to itself.
CHAIN = ColumnGraph.from_edge_index(torch.tensor([[0, 0, 1], [0, 1, 2]]), 3)
SELF = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [0, 1]]), 2)
BIPARTITE = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1, 2)


def test_wiring_is_the_mean_cost():
    assert losses.wiring(torch.tensor([[1.0, 2.0], [3.0, 6.0]])).item() == 3.0


def test_total_variation_by_hand():
    coefficients = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    # Two edges between different columns, each with |.5| + |.5| = 1.
    assert losses.total_variation(coefficients, CHAIN).item() == 1.0


def test_total_variation_of_a_grid_equals_differences_of_neighbours():
    size = 4
    ids = torch.arange(size * size).reshape(size, size)
    right = torch.stack([ids[:, 1:].flatten(), ids[:, :-1].flatten()])
    down = torch.stack([ids[1:].flatten(), ids[:-1].flatten()])
    graph = ColumnGraph.from_edge_index(torch.cat([right, down], 1), size * size)
    maps = torch.rand(size, size, 3)
    expected = (maps[:, 1:] - maps[:, :-1]).abs().sum() + (maps[1:] - maps[:-1]).abs().sum()
    value = losses.total_variation(maps.reshape(-1, 3), graph)
    torch.testing.assert_close(value, expected / graph.num_edges)


def test_activity_by_hand():
    assert losses.activity_sparsity(torch.tensor([[-1.0, 3.0], [0.0, 0.0]])).item() == 1.0


def test_smoothness_by_hand():
    # cos(x1, x0) = 0, cos(x2, x1) = -1: mean of 1 and 2.
    state = torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, -1.0]])[:, None]
    assert losses.feature_smoothness(state, CHAIN).item() == pytest.approx(1.5)


def test_smoothness_equals_a_loop_over_edges_and_has_gradients():
    state = torch.randn(3, 2, 4, requires_grad=True)
    pairs = [(1, 0), (2, 1)]
    cosine = torch.cosine_similarity
    expected = sum((1 - cosine(state[i], state[j], dim=-1)).mean() for i, j in pairs) / 2
    (expected_gradient,) = torch.autograd.grad(expected, state)
    value = losses.feature_smoothness(state, CHAIN)
    (gradient,) = torch.autograd.grad(value, state)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_self_edges_cost_nothing():
    assert losses.total_variation(torch.rand(2, 3), SELF).item() == 0
    assert losses.feature_smoothness(torch.randn(2, 1, 3), SELF).item() == 0


@pytest.mark.parametrize("loss", [losses.total_variation, losses.feature_smoothness])
def test_losses_along_edges_need_as_many_sources_as_columns(loss):
    with pytest.raises(ValueError, match="as many sources as columns"):
        loss(torch.ones(1, 1, 2), BIPARTITE)
