"""Attention along edges with torch-scatter: gather, segment softmax, segment sum.

What the field writes today; kept as a peer to test and to measure against.
"""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.column_attention.closed import (
    centred,
    closed_edges,
    edge_values,
    finite,
    raised,
    silent_edges,
    without,
)
from graphcolumns.ops.column_attention.reference import edge_logits, factors
from graphcolumns.ops.context import accumulator


def column_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    bias: Tensor | None,
    cost: Tensor | None,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """See :func:`graphcolumns.ops.column_attention.column_attention`; O(E B H D) memory."""
    from torch_scatter import gather_csr, segment_csr

    wide = accumulator(q.dtype)
    s = edge_logits(q.to(wide), k.to(wide), bias, graph.source, graph.target, scale)
    highest = finite(segment_csr(s.detach(), graph.rowptr, reduce="max"))  # 0 for an empty row
    e = torch.exp(s - gather_csr(highest, graph.rowptr))
    total = segment_csr(e, graph.rowptr, reduce="sum")
    empty = total == 0.0
    divisor = total.masked_fill(empty, 1.0)
    lse = raised(highest + torch.log(divisor), centred(bias, graph.target, graph.num_columns)[1])
    lse = lse.masked_fill(empty, float("-inf"))
    p = e / gather_csr(divisor, graph.rowptr)
    keep = factors(p, dropout, seed, graph.source)
    silent = silent_edges(closed_edges(bias), keep)
    p = p if keep is None else p * keep
    messages = p[..., None] * without(v.to(wide).index_select(0, graph.source), silent)
    out = segment_csr(messages, graph.rowptr, reduce="sum").to(v.dtype)
    if cost is None:
        return out, None, lse
    costs = without(edge_values(cost, wide).expand_as(p), silent)
    return out, segment_csr(p * costs, graph.rowptr, reduce="sum"), lse
