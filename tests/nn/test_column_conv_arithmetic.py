"""ColumnConv's messages where the fused op is right: large scores, half precision, closed edges."""

import pytest
import torch
from torch import Tensor

from graphcolumns import ColumnGraph
from graphcolumns.nn import ColumnConv

COLUMNS = 6


@pytest.fixture
def graph() -> ColumnGraph:
    edges = torch.randint(0, COLUMNS, (2, 20)).unique(dim=1)
    return ColumnGraph.from_edge_index(edges, COLUMNS)


def layer(edge_dim: int | None = None) -> ColumnConv:
    return ColumnConv(5, 64, COLUMNS, heads=2, edge_dim=edge_dim)


def both_forms(conv: ColumnConv, x: Tensor, graph: ColumnGraph, *edge_attr: Tensor):
    return conv(x, graph.edge_index, *edge_attr), conv(x, graph, *edge_attr)


@pytest.mark.parametrize("shape", [(COLUMNS, 5), (3, COLUMNS, 5)], ids=["single", "static"])
class TestMessagesAreAsTheOp:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
    def test_half_products_do_not_overflow(self, graph, shape, dtype):
        """Queries and keys of 200, 64 numbers: 2.6 million, where float16 ends at 65,504."""
        conv = layer()
        with torch.no_grad():
            conv.lin_query.bias.fill_(200.0)
            conv.lin_key.bias.fill_(200.0)
        messages, fused = both_forms(conv.to(dtype), torch.randn(shape).to(dtype), graph)
        assert messages.dtype == dtype
        assert messages.isfinite().all()
        torch.testing.assert_close(
            messages, fused, rtol=0.0, atol=float(2 * torch.finfo(dtype).eps)
        )

    @pytest.mark.parametrize("level", [0.0, 1e8, -1e8])
    def test_large_scores(self, graph, shape, level):
        """A level that all edges share changes nothing."""
        conv, x = layer(edge_dim=1), torch.randn(shape)
        with torch.no_grad():
            conv.lin_edge.weight.fill_(1.0)
        edge_attr = (8 * torch.randint(-1, 2, (graph.num_edges, 1))).float()
        expected = conv(x, graph, edge_attr)
        for got in both_forms(conv, x, graph, edge_attr + level):
            torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)

    def test_nothing_passes_a_closed_edge(self, graph, shape):
        conv, x = layer(edge_dim=1), torch.randn(shape)
        with torch.no_grad():
            conv.lin_edge.weight.fill_(1.0)
        edge_attr = torch.randn(graph.num_edges, 1)
        edge_attr[graph.source == 2] = -torch.inf
        edge_attr[graph.target == 4] = -torch.inf
        x[..., 2, :] = torch.nan
        others = [0, 1, 3, 4, 5]
        messages, fused = both_forms(conv, x, graph, edge_attr)
        torch.testing.assert_close(messages[..., others, :], fused[..., others, :])
        assert fused[..., others, :].isfinite().all()
        assert (messages[..., 4, :] == 0).all()
