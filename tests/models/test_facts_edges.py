"""Relabelled edges, the effect of an edge, columns without edges."""

import torch
from torch import Tensor, nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn import Column, ColumnAttention, MeanReadout, PatchEmbed
from graphcolumns.ops import column_attention


class TestRelabelledEdges:
    """Without positions attention is permutation equivariant, several heads or one."""

    def test_multi_head_attention(self):
        attention = nn.MultiheadAttention(12, 3, dtype=torch.float64)
        x, order = torch.randn(10, 2, 12, dtype=torch.float64), torch.randperm(10)
        before = attention(x, x, x)[0][order]
        after = attention(*[x[order]] * 3)[0]
        assert torch.allclose(before, after, atol=1e-14)

    def test_attention_along_relabelled_edges(self):
        graph = connect.nearest(grid.sheet(5, 4), 6)
        order = torch.randperm(20)  # column n is now column order[n] of before
        name = order.argsort()
        moved = ColumnGraph.from_edge_index(name[graph.edge_index], 20)
        edge = ColumnGraph.edge_order(name[graph.edge_index])
        q, k, v = torch.randn(3, 20, 2, 3, 4, dtype=torch.float64)
        bias = torch.randn(graph.num_edges, 3, dtype=torch.float64)
        before = column_attention(q, k, v, graph, bias=bias).out
        after = column_attention(q[order], k[order], v[order], moved, bias=bias[edge]).out
        assert torch.allclose(before[order], after, atol=1e-14)


class TestEffectOfAnEdge:
    """What an edge earns, from its own numbers: exact, without touching the graph."""

    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = torch.randn(3, 6, 1, 1, 4, dtype=torch.float64)
        return q, k, v

    def without(self, graph: ColumnGraph, edge: int) -> ColumnGraph:
        kept = torch.arange(graph.num_edges) != edge
        return ColumnGraph.from_edge_index(graph.edge_index[:, kept], graph.num_columns)

    def test_removing_and_inserting_an_edge(self):
        q, k, v = self.inputs()
        graph = connect.complete(grid.sheet(2, 3))
        edge = 9  # source 3, target 1
        i, j = 1, 3
        full = column_attention(q, k, v, graph)
        less = column_attention(q, k, v, self.without(graph, edge))
        score = 0.5 * (q[i] * k[j]).sum()
        p = torch.exp(score - full.lse[i])
        removed = full.out[i] - p / (1 - p) * (v[j] - full.out[i])
        a = torch.sigmoid(score - less.lse[i])
        inserted = less.out[i] + a * (v[j] - less.out[i])
        assert torch.allclose(removed, less.out[i], atol=1e-14)
        assert torch.allclose(inserted, full.out[i], atol=1e-14)
        others = torch.arange(6) != i
        assert torch.equal(full.out[others], less.out[others])

    def test_gradient_of_a_gate(self):
        """An edge of mass m e^s: dL/dm = p A on an edge (m = 1), e^(s - lse) A on a candidate."""
        q, k, v = self.inputs()
        graph = connect.complete(grid.sheet(2, 3))
        pull = torch.randn(6, 4, dtype=torch.float64)

        def advantage(out: Tensor) -> Tensor:
            return (pull[1] * (v[3] - out[1])).sum()

        gate = torch.ones(36, dtype=torch.float64, requires_grad=True)
        full = column_attention(q, k, v, graph, bias=gate.log())
        (full.out[:, 0, 0] * pull).sum().backward()
        p = torch.exp(0.5 * (q[1] * k[3]).sum() - full.lse[1])
        assert torch.allclose(gate.grad[9], p * advantage(full.out), atol=1e-14)

        less = column_attention(q, k, v, self.without(graph, 9))
        rho = torch.exp(0.5 * (q[1] * k[3]).sum() - less.lse[1])
        m = torch.zeros((), dtype=torch.float64, requires_grad=True)
        grown = less.out[1] + m * rho / (1 + m * rho) * (v[3] - less.out[1])
        (grown[0, 0] * pull[1]).sum().backward()
        tiny = 1e-6  # the same slope, measured on a real edge of mass 1e-6
        bias = torch.zeros(36, dtype=torch.float64)
        bias[9] = torch.tensor(tiny, dtype=torch.float64).log()
        moved = column_attention(q, k, v, graph, bias=bias).out - less.out
        assert torch.allclose(m.grad, (rho * advantage(less.out)).squeeze(), atol=1e-14)
        assert torch.allclose((moved[:, 0, 0] * pull).sum() / tiny, m.grad, rtol=1e-4)


class TestColumnsWithoutEdges:
    """A column that hears nothing and that nobody hears."""

    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 0], [1, 1, 0]]), 3)

    def test_its_message_is_zero(self):
        x = torch.randn(3, 2, 1, 4)
        out, cost, lse = column_attention(x, x, x, self.graph, cost=torch.ones(3))
        assert torch.equal(out[2], torch.zeros(2, 1, 4))
        assert torch.equal(cost[2], torch.zeros(2, 1))
        assert torch.equal(lse[2], torch.full((2, 1), -torch.inf))

    def test_a_model_stays_finite(self):
        column = Column(3, ColumnAttention(3, 4, 2), 8)
        embed, readout = PatchEmbed((1, 2), 1, 4), MeanReadout(4, 2)
        model = Columnformer(self.graph, embed, column, readout, depth=3)
        output = model(torch.randn(2, 1, 1, 2))
        output.prediction.sum().backward()
        assert output.state.isfinite().all()
        assert all(p.grad.isfinite().all() for p in model.parameters())
