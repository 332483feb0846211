"""``ColumnConv`` along a ``ColumnGraph``: the fused op, and what a recorder is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.typing import OptTensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.adjacency import one_graph
from graphcolumns.nn.column_conv_checks import edge_features_of
from graphcolumns.nn.recording import AttentionRecord
from graphcolumns.nn.self_loops import (
    loop_features,
    scores_from_highest,
    self_edges,
    self_scores,
    with_self,
)
from graphcolumns.ops import column_attention

if TYPE_CHECKING:
    from graphcolumns.nn.column_conv import ColumnConv


def attend_along(
    conv: ColumnConv, q: Tensor, k: Tensor, v: Tensor, graph: ColumnGraph, edge_attr: OptTensor
) -> Tensor:
    """What columns receive along the edges of a graph, ``[N, H, C']`` or ``[B, N, H, C']``."""
    static = q.dim() == 4  # [B, N, H, D]; the op wants columns first
    q, k, v = (_columns_first(x) for x in (q, k, v))
    bias = _bias_of(conv, graph, edge_attr)
    dropout = conv.dropout if conv.training else 0.0
    out, lse = _attend(conv, q, k, v, graph, bias, edge_attr, dropout)
    if conv.recorder is not None:
        conv.recorder(AttentionRecord(graph, q, k, v, bias, None, out, lse))
    return out.transpose(0, 1) if static else out.squeeze(1)


def record_messages(
    conv: ColumnConv, q: Tensor, k: Tensor, v: Tensor, edges: Any, edge_attr: OptTensor, out: Tensor
) -> Tensor:
    """The sums of messages, after the recorder has got them as the op would record them."""
    graph = one_graph(edges, (k.shape[-3], q.shape[-3]))
    if graph is None:
        return out
    static = q.dim() == 4
    if edge_attr is not None and not isinstance(edges, ColumnGraph):
        edge_attr = edge_attr[ColumnGraph.edge_order(edges)]
    q, k, v, received = (_columns_first(x) for x in (q, k, v, out))
    bias = _bias_of(conv, graph, edge_attr)
    with torch.no_grad():
        _, lse = _attend(conv, q, k, v, graph, bias, edge_attr, 0.0)
    assert conv.recorder is not None
    conv.recorder(AttentionRecord(graph, q, k, v, bias, None, received, lse))
    return received.transpose(0, 1) if static else received.squeeze(1)


def _bias_of(conv: ColumnConv, graph: ColumnGraph, edge_attr: OptTensor) -> OptTensor:
    """What edges of a graph add to the scores; those that self-loops replace are closed."""
    bias = conv.edge_scores(edge_attr, graph.num_edges)
    if not conv.add_self_loops:
        return bias
    bias = conv.lin_value.weight.new_zeros(graph.num_edges, 1) if bias is None else bias
    closed = bias.masked_fill(self_edges(graph)[:, None], float("-inf"))
    return closed.expand(-1, conv.heads)


def _attend(
    conv: ColumnConv,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    bias: OptTensor,
    edge_attr: OptTensor,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """What columns receive, and the log of its normaliser."""
    if not conv.add_self_loops:
        attention = column_attention(q, k, v, graph, bias=bias, dropout=dropout)
        return attention.out, attention.lse
    of_loops = level = None
    if conv.lin_edge is not None and bias is not None:
        features = edge_features_of(edge_attr, graph.num_edges, conv.edge_dim)
        of_loops = conv.lin_edge(loop_features(graph, features, conv.fill_value))
        bias, of_loops, level = scores_from_highest(bias, of_loops, graph)
    attention = column_attention(q, k, v, graph, bias=bias, dropout=dropout)
    out, lse = with_self(attention.out, attention.lse, self_scores(q, k, of_loops), v, dropout)
    return out, lse if level is None else lse + level[:, None]


def _columns_first(x: Tensor) -> Tensor:
    """``[N, H, D]`` or ``[B, N, H, D]`` to ``[N, B, H, D]``."""
    return x.transpose(0, 1) if x.dim() == 4 else x.unsqueeze(1)
