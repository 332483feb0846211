"""Attention along edges with torch-scatter: gather, segment softmax, segment sum.

What the field writes today; kept as a peer to test and to measure against.
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.closed import (
    centred,
    closed_edges,
    edge_values,
    finite,
    raised,
    silent_edges,
    without,
)
from graphcolumns.ops.column_attention.inputs import AttentionInputs
from graphcolumns.ops.column_attention.reference import edge_logits, factors
from graphcolumns.ops.context import accumulator


def forward(inputs: AttentionInputs) -> tuple[Tensor, Tensor | None, Tensor]:
    """See :func:`graphcolumns.ops.column_attention.column_attention`; O(E B H D) memory."""
    from torch_scatter import gather_csr, segment_csr

    q, k, v, bias, cost, views, scale, dropout, seed = inputs
    rowptr, source, target = views[:3]
    wide = accumulator(q.dtype)
    s = edge_logits(q.to(wide), k.to(wide), bias, source, target, scale)
    highest = finite(segment_csr(s.detach(), rowptr, reduce="max"))  # 0 for an empty row
    e = torch.exp(s - gather_csr(highest, rowptr))
    total = segment_csr(e, rowptr, reduce="sum")
    empty = total == 0.0
    divisor = total.masked_fill(empty, 1.0)
    lse = raised(highest + torch.log(divisor), centred(bias, target, q.shape[0])[1])
    lse = lse.masked_fill(empty, float("-inf"))
    p = e / gather_csr(divisor, rowptr)
    keep = factors(p, dropout, seed, source)
    silent = silent_edges(closed_edges(bias), keep)
    p = p if keep is None else p * keep
    messages = p[..., None] * without(v.to(wide).index_select(0, source), silent)
    out = segment_csr(messages, rowptr, reduce="sum").to(v.dtype)
    if cost is None:
        return out, None, lse
    costs = without(edge_values(cost, wide).expand_as(p), silent)
    return out, segment_csr(p * costs, rowptr, reduce="sum"), lse
