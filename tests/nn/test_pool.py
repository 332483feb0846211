"""Learned pooling and expert maps, against their formulas written out with dense matrices."""

import pytest
import torch
from torch import Tensor, nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ExpertMap, LearnedPool, UntiedLinear
from tests.nn.support.graphs import dense, random_graph

BELOW, ABOVE = grid.sheet(4, 4), grid.sheet(2, 2, spacing=2.0)


def complete() -> ColumnGraph:
    return connect.bipartite(BELOW, ABOVE, 16)


def local() -> ColumnGraph:
    return connect.bipartite(BELOW, ABOVE, 5)


def pool() -> LearnedPool:
    made = LearnedPool(4, 6).double()
    with torch.no_grad():
        made.scale.fill_(3.0)
    return made


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


def by_formula(made: LearnedPool, x: Tensor, keys: Tensor, graph: ColumnGraph) -> Tensor:
    """The pooling matrix `[B, N, M]` for keys `[B, M, C]`."""
    scores = made.scale * unit(made.grid) @ unit(keys).transpose(1, 2)
    listens = dense(torch.ones(graph.num_edges), graph).bool()
    return torch.softmax(scores.masked_fill(~listens, -torch.inf), -1)


def leaves(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("graph", [complete, local])
@pytest.mark.parametrize("static", [False, True])
def test_is_the_dense_formula(graph, static):
    graph, made, other = graph(), pool(), pool()
    other.load_state_dict(made.state_dict())
    x, y = leaves(*[torch.randn(16, 3, 6, dtype=torch.float64)] * 2)
    k, l = leaves(*[torch.randn(16, 6, dtype=torch.float64)] * 2)  # noqa: E741
    cost, pull = graph.distance.double(), torch.randn(4, 3, 6, dtype=torch.float64)
    out, paid = made(x, graph, k if static else None, cost)
    tokens = y.transpose(0, 1)
    matrix = by_formula(other, y, l.expand(3, -1, -1) if static else tokens, graph)
    expected = (matrix @ tokens).transpose(0, 1)
    expected_cost = (matrix * dense(cost, graph)).sum(-1).t()[..., None]
    assert torch.allclose(out, expected, atol=1e-12)
    assert torch.allclose(paid, expected_cost, atol=1e-12)
    ((out * pull).sum() + paid.square().sum()).backward()
    ((expected * pull).sum() + expected_cost.square().sum()).backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-12)
    assert torch.allclose(made.grid.grad, other.grid.grad, atol=1e-12)
    assert torch.allclose(made.scale.grad, other.scale.grad, atol=1e-12)
    if static:
        assert torch.allclose(k.grad, l.grad, atol=1e-12)


def test_static_is_dynamic_when_the_keys_are_the_tokens():
    made, graph = pool(), local()
    x = torch.randn(16, 1, 6, dtype=torch.float64)
    dynamic, static = made(x, graph), made(x, graph, keys=x[:, 0])
    assert torch.allclose(dynamic[0], static[0], atol=1e-14)
    assert dynamic[1] is static[1] is None


@pytest.mark.parametrize("graph", [complete, local])
def test_rows_sum_to_one(graph):
    graph, made, x = graph(), pool(), torch.randn(16, 3, 6, dtype=torch.float64)
    for keys in (None, x[:, 1]):
        map_ = made.coefficients(x, graph, keys)
        rows = torch.stack([dense(each, graph).sum(1) for each in map_.t()])
        assert torch.allclose(rows, torch.ones(len(rows), 4, dtype=torch.float64), atol=1e-14)


def test_static_pooling_does_not_look_at_the_input():
    made, graph, keys = pool(), complete(), torch.randn(16, 6, dtype=torch.float64)
    x, y = torch.randn(2, 16, 3, 6, dtype=torch.float64)
    together = made(x + y, graph, keys)[0]
    assert torch.allclose(together, made(x, graph, keys)[0] + made(y, graph, keys)[0], atol=1e-14)


def test_a_column_that_pools_nothing_is_zero():
    graph = random_graph(4, 20, sources=16)  # its last column hears nothing
    made, x = pool(), torch.randn(16, 2, 6, dtype=torch.float64)
    for keys in (None, x[:, 0]):
        out, paid = made(x, graph, keys, graph.distance.double())
        assert not out[3].any()
        assert not paid[3].any()


def test_scale_zero_is_the_mean():
    made, x = pool(), torch.randn(16, 2, 6, dtype=torch.float64)
    nn.init.zeros_(made.scale)
    assert torch.allclose(made(x, complete())[0], x.mean(0).expand(4, -1, -1), atol=1e-14)


BAD = {
    "graph of other columns": (lambda: (tokens(4), connect.complete(BELOW)), "have 4 columns"),
    "too few tokens": (lambda: (tokens(9), complete()), r"\[16, B, 6\], got \[9, 1, 6\]"),
    "keys of other width": (
        lambda: (tokens(16), complete(), torch.zeros(16, 5)),
        r"\[M, C\] = \[16, 6\], got \[16, 5\]",
    ),
}


def tokens(count: int) -> Tensor:
    return torch.zeros(count, 1, 6)


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    inputs, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        LearnedPool(4, 6)(*inputs())


class TestExpertMap:
    def test_by_hand(self):
        """Codes along the axes, experts along the axes, scale log 3: shares 3/4 and 1/4."""
        grid = nn.Parameter(torch.tensor([[5.0, 0.0], [0.0, 0.1], [1.0, 1.0]]))
        experts = ExpertMap(grid, 2)
        with torch.no_grad():
            experts.experts.copy_(torch.tensor([[2.0, 0.0], [0.0, 7.0]]))
            experts.scale.copy_(torch.tensor(3.0).log())
        expected = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
        assert torch.allclose(experts(), expected)

    def test_mixes_weights_and_trains_the_codes_it_shares(self):
        made = pool().float()
        experts = ExpertMap(made.grid, 3)
        linear = UntiedLinear(4, 6, 5, weights="mixture", rank=3, mixture=experts)
        nn.init.normal_(linear.bias)
        x = torch.randn(4, 2, 6)
        each = torch.stack([x @ w + b for w, b in zip(linear.weight, linear.bias, strict=True)])
        assert torch.allclose(linear(x), torch.einsum("nr,rnbo->nbo", experts(), each), atol=1e-6)
        linear(x).square().sum().backward()
        assert made.grid.grad.abs().sum() > 0

    def test_refuses_codes_of_another_shape(self):
        with pytest.raises(ValueError, match=r"grid must be \[N, C\], got \[4\]"):
            ExpertMap(nn.Parameter(torch.zeros(4)), 2)
