"""Attention along edges as a masked N x M product: the fastest form on nearly complete graphs."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.column_attention.reference import accumulator, factors, finite


def scatter_edges(values: Tensor, graph: ColumnGraph, fill: float) -> Tensor:
    """Edge values ``[E, ...]`` as a matrix ``[N, M, ...]``, ``fill`` where there is no edge."""
    matrix = values.new_full((graph.num_columns, graph.num_sources, *values.shape[1:]), fill)
    return matrix.index_put((graph.target.long(), graph.source.long()), values)


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
    """See :func:`graphcolumns.ops.column_attention.column_attention`; O(N M B H) memory."""
    dtype, wide = v.dtype, accumulator(q.dtype)
    q, k, v = (x.to(wide).permute(1, 2, 0, 3) for x in (q, k, v))  # [B, H, N, D]
    scores = scale * (q @ k.transpose(2, 3))
    if bias is not None or graph.num_edges < graph.num_columns * graph.num_sources:
        values = q.new_zeros(graph.num_edges) if bias is None else bias.to(wide)
        scores = scores + _heads_first(scatter_edges(values, graph, float("-inf")))
    highest = finite(scores.detach().amax(-1, keepdim=True))
    mass = torch.exp(scores - highest)
    total = mass.sum(-1, keepdim=True)
    empty = total == 0.0  # a logarithm of zero would send NaN into the gradient
    total = total.masked_fill(empty, 1.0)
    p = mass / total
    lse = (highest + torch.log(total)).masked_fill(empty, float("-inf")).squeeze(-1)
    if seed is not None:
        shape = (graph.num_edges, k.shape[0], k.shape[1])
        keep = factors(p.new_empty(shape), dropout, seed, graph.source)
        assert keep is not None
        p = p * scatter_edges(keep, graph, 0.0).permute(2, 3, 0, 1)
    out = (p @ v).permute(2, 0, 1, 3).to(dtype)
    lse = lse.permute(2, 0, 1)
    if cost is None:
        return out, None, lse
    return out, (p * _heads_first(scatter_edges(cost, graph, 0.0))).sum(-1).permute(2, 0, 1), lse


def _heads_first(matrix: Tensor) -> Tensor:
    """``[N, M]`` or ``[N, M, H]`` as ``[N, M]`` or ``[H, N, M]``, to broadcast over the batch."""
    return matrix if matrix.dim() == 2 else matrix.permute(2, 0, 1)
