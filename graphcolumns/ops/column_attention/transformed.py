"""Attention along edges for function transforms: plain torch that autograd differentiates.

The mathematics of :mod:`~graphcolumns.ops.column_attention.reference`, whose backward pass is
written by hand. Here torch derives it, in either mode and any number of times.
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.reference import edge_values, factors
from graphcolumns.ops.precision import accumulator
from graphcolumns.ops.segment import segment_max, segment_sum


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    source: Tensor,
    target: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Returns ``out [N, B, H, Dv]``, ``cost [N, B, H]`` or None, ``lse [N, B, H]``."""
    wide, columns = accumulator(q.dtype), q.shape[0]
    closed = None if bias is None else edge_values(bias.detach(), wide) == float("-inf")

    def at_edges(x: Tensor, ids: Tensor) -> Tensor:
        """Rows of nodes at edges; zeros at closed ones, which let nothing through, NaN neither."""
        rows = x.to(wide).index_select(0, ids)
        return rows if closed is None else rows.masked_fill(closed[..., None], 0.0)

    s = scale * torch.einsum("ebhd,ebhd->ebh", at_edges(q, target), at_edges(k, source))
    s = s if bias is None else s + edge_values(bias, wide)
    highest = segment_max(s, target, columns)
    highest = highest.masked_fill(highest == float("-inf"), 0.0)
    mass = torch.exp(s - highest.index_select(0, target))
    total = segment_sum(mass, target, columns)
    empty = total == 0.0
    total = total.masked_fill(empty, 1.0)
    lse = (highest + torch.log(total)).masked_fill(empty, float("-inf"))
    p = mass / total.index_select(0, target)
    keep = factors(p, dropout, seed, source)
    p = p if keep is None else p * keep
    out = segment_sum(p[..., None] * at_edges(v, source), target, columns).to(v.dtype)
    if cost is None:
        return out, None, lse
    return out, segment_sum(p * edge_values(cost, wide), target, columns), lse
