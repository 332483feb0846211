"""Attention along edges: answers by hand, properties, and a dense oracle; for every backend."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns import ColumnGraph, column_attention
from tests.ops.support.cases import (
    MASKS,
    Case,
    assert_same,
    cases,
    draw,
    gradients,
    graph_of,
    oracle,
)

INF = float("inf")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}  # of the largest value


def column(*values: float) -> Tensor:
    """One number per column or source: ``[N, 1, 1, 1]``."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1).requires_grad_()


def edge(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).requires_grad_()


class TestByHand:
    """Column 0 listens to both sources, column 1 to source 1, column 2 to nobody."""

    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 1]]), 3, 2)
    q = column(1.0, 1.0, 1.0)
    k = column(0.0, math.log(3.0))  # e^s = 1, 3: probabilities 1/4, 3/4
    v = column(4.0, 8.0)

    def run(self, backend: str, **options):
        return column_attention(self.q, self.k, self.v, self.graph, backend=backend, **options)

    def check(self, x: Tensor, *values: float) -> None:
        torch.testing.assert_close(x.flatten(), torch.tensor(values, dtype=torch.float64))

    def test_out_and_lse(self, backend):
        out, cost, lse = self.run(backend)
        assert cost is None
        self.check(out, 7.0, 8.0, 0.0)
        self.check(lse, math.log(4.0), math.log(3.0), -INF)

    def test_cost_is_the_expected_cost_of_the_in_edges(self, backend):
        self.check(self.run(backend, cost=edge(2.0, 6.0, 10.0)).cost, 5.0, 10.0, 0.0)

    def test_bias_adds_to_the_scores(self, backend):
        out, _, lse = self.run(backend, bias=edge(math.log(9.0), 0.0, -1.0))  # e^s = 9, 3
        self.check(out, 5.0, 8.0, 0.0)
        self.check(lse, math.log(12.0), math.log(3.0) - 1.0, -INF)

    def test_bias_per_head(self, backend):
        q, k, v = (x.detach().expand(-1, 1, 2, 1) for x in (self.q, self.k, self.v))
        bias = torch.tensor([[0.0, math.log(9.0)], [0.0, 0.0], [5.0, 0.0]], dtype=torch.float64)
        out = column_attention(q, k, v, self.graph, bias=bias, backend=backend).out
        self.check(out, 7.0, 5.0, 8.0, 8.0, 0.0, 0.0)

    def test_scale(self, backend):
        self.check(self.run(backend, scale=2.0).out, 7.6, 8.0, 0.0)  # e^s = 1, 9

    def test_default_scale_is_one_over_the_root_of_the_width(self, backend):
        q, k = (x.detach().expand(-1, 1, 1, 4) for x in (self.q, self.k))
        out = column_attention(q, k / 2, self.v, self.graph, backend=backend).out
        self.check(out, 7.0, 8.0, 0.0)  # four products of log(3) / 2, over the root of four

    def test_gradient_of_a_bias_is_p_times_advantage(self, backend):
        bias = edge(0.0, 0.0, 0.0)
        out = self.run(backend, bias=bias).out
        self.check(torch.autograd.grad(out.sum(), bias)[0], 0.25 * (4 - 7), 0.75 * (8 - 7), 0.0)

    def test_gradients_of_cost_and_lse(self, backend):
        bias, cost = edge(0.0, 0.0, 0.0), edge(2.0, 6.0, 10.0)
        _, total, lse = self.run(backend, bias=bias, cost=cost)
        self.check(torch.autograd.grad(total.sum(), cost, retain_graph=True)[0], 0.25, 0.75, 1.0)
        expected = (0.25 * (2 - 5), 0.75 * (6 - 5), 0.0)
        self.check(torch.autograd.grad(total.sum(), bias, retain_graph=True)[0], *expected)
        self.check(torch.autograd.grad(lse[:2].sum(), bias)[0], 0.25, 0.75, 1.0)

    def test_large_scores_do_not_overflow(self, backend):
        out, _, lse = self.run(backend, bias=edge(5000.0, 5000.0, -5000.0))
        self.check(out, 7.0, 8.0, 0.0)
        self.check(lse, 5000.0 + math.log(4.0), math.log(3.0) - 5000.0, -INF)


class TestOracle:
    """Forward and every gradient, also those that arrive through cost and lse."""

    @pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
    @pytest.mark.parametrize("bias", [None, "E", "EH"])
    @pytest.mark.parametrize("heads", [1, 4])
    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_dense_attention(self, backend, mask, heads, bias, dtype):
        self.compare(draw(mask, heads=heads, bias=bias), backend, dtype)

    @pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
    @pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
    def test_larger_graphs(self, backend, density, dtype):
        mask = torch.rand(40, 30) < density
        self.compare(draw(mask, batch=3, heads=2, width=5), backend, dtype)

    @pytest.mark.parametrize(("width", "value_width"), [(1, 1), (3, 3), (7, 7), (1, 7), (7, 3)])
    def test_odd_widths(self, backend, width, value_width):
        case = draw(MASKS["every degree"], width=width, value_width=value_width)
        assert case.run(backend).out.shape == (7, 2, 2, value_width)
        self.compare(case, backend)

    @pytest.mark.parametrize("batch", [1, 3])
    @pytest.mark.parametrize("cost", [None, "E", "EH"])
    def test_queries_without_a_batch(self, backend, batch, cost):
        case = draw(MASKS["every degree"], batch=batch, cost=cost, shared_query=True)
        self.compare(case, backend)

    @given(case=cases())
    def test_any_graph(self, backend, case):
        self.compare(case, backend)

    def compare(self, case: Case, backend: str, dtype: torch.dtype = torch.float64) -> None:
        narrow = case.to(dtype)
        result, expected = narrow.run(backend), oracle(case)
        assert result.out.dtype == result.lse.dtype == dtype
        assert_same(narrow, case, result, expected, TOLERANCE[dtype])


class TestClosedEdges:
    """A bias of -inf closes an edge."""

    def test_closing_an_edge_is_removing_it(self, backend):
        mask = MASKS["every degree"]
        kept = mask & (torch.rand(mask.shape) < 0.6)
        case = draw(mask)
        is_open = kept[mask]
        with torch.no_grad():
            case.bias.masked_fill_(~is_open[:, None], -INF)
        edges = (x.detach()[is_open].requires_grad_() for x in (case.bias, case.cost))
        without = Case(kept, graph_of(kept), case.q, case.k, case.v, *edges)
        closed, removed = case.run(backend), without.run(backend)
        for x, y in zip(closed, removed, strict=True):
            torch.testing.assert_close(x, y)
        *grads, bias, cost = gradients(case, closed)
        *expected, bias_left, cost_left = gradients(without, removed)
        for x, y in zip(grads, expected, strict=True):
            torch.testing.assert_close(x, y)
        torch.testing.assert_close(bias[is_open], bias_left)
        torch.testing.assert_close(cost[is_open], cost_left)
        assert (bias[~is_open] == 0).all()
        assert (cost[~is_open] == 0).all()

    def test_a_column_with_all_edges_closed_is_a_column_without(self, backend):
        case = draw(MASKS["complete"], bias="E")
        with torch.no_grad():
            case.bias[5:10] = -INF  # the in-edges of column 1
        out, cost, lse = case.run(backend)
        assert (out[1] == 0).all()
        assert (cost[1] == 0).all()
        assert (lse[1] == -INF).all()
        assert out[[0, 2, 3, 4]].isfinite().all()
        for grad in gradients(case, case.run(backend)):
            assert grad.isfinite().all()

    def test_columns_without_edges_send_no_gradient(self, backend):
        case = draw(MASKS["sparse"])
        grad_q = gradients(case, case.run(backend))[0]
        assert (grad_q[1] == 0).all()
        assert (grad_q[0] != 0).any()


class TestProperties:
    @given(case=cases(), shift=st.floats(-20, 20))
    def test_a_constant_added_to_all_scores_changes_lse_only(self, backend, case, shift):
        case = case._replace(bias=torch.zeros(case.graph.num_edges, dtype=torch.float64))
        plain = case.run(backend)
        shifted = case._replace(bias=case.bias + shift).run(backend)
        torch.testing.assert_close(shifted.out, plain.out)
        torch.testing.assert_close(shifted.lse, plain.lse + shift)

    @given(case=cases(), data=st.data())
    def test_renaming_sources_changes_nothing(self, backend, case, data):
        order = torch.tensor(data.draw(st.permutations(range(case.k.shape[0]))))
        mask = case.mask[:, order]
        edges = case.mask.long()
        edges[case.mask] = torch.arange(case.graph.num_edges)
        moved = edges[:, order][mask]
        bias, cost = (None if x is None else x[moved] for x in (case.bias, case.cost))
        renamed = Case(mask, graph_of(mask), case.q, case.k[order], case.v[order], bias, cost)
        for x, y in zip(renamed.run(backend), case.run(backend), strict=True):
            torch.testing.assert_close(x, y)

    def test_no_batch(self, backend):
        if backend == "scatter":
            pytest.skip("gather_csr of torch-scatter returns no rows for an empty batch")
        out, cost, lse = draw(MASKS["sparse"], batch=0).run(backend)
        assert out.shape == (4, 0, 2, 3)
        assert cost.shape == lse.shape == (4, 0, 2)

    def test_inputs_need_not_be_contiguous(self, backend):
        case = draw(MASKS["every degree"])
        scattered = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in case[2:5]]
        assert not any(x.is_contiguous() for x in scattered)
        result = Case(case.mask, case.graph, *scattered, *case[5:]).run(backend)
        for x, y in zip(result, case.run(backend), strict=True):
            torch.testing.assert_close(x, y)

    def test_nothing_reads_memory_that_was_not_written(self, backend):
        case = draw(MASKS["every degree"])
        expected = case.run(backend)
        torch.use_deterministic_algorithms(True)  # fills empty tensors with NaN
        try:
            result = case.run(backend)
            grads = gradients(case, result)
        finally:
            torch.use_deterministic_algorithms(False)
        for x, y in zip(result, expected, strict=True):
            torch.testing.assert_close(x, y)
        assert all(grad.isfinite().all() for grad in grads)
