"""Attention along edges in plain torch: the definition, and the oracle of every other backend.

``forward`` and ``backward`` are written as a kernel would compute them; the backward pass
recomputes the attention from ``lse`` instead of keeping it.
"""

import torch
from torch import Tensor

from graphcolumns.ops.dropout import edge_dropout
from graphcolumns.ops.precision import accumulator
from graphcolumns.ops.segment import segment_max, segment_sum
from graphcolumns.ops.transforms import batched


def edge_values(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Per-edge values ``[E]`` or ``[E, H]`` as ``[E, 1, 1 or H]``, to broadcast over the batch."""
    values = values.to(dtype)
    return values[:, None, None] if values.dim() == 1 else values[:, None, :]


def dot(x: Tensor, y: Tensor) -> Tensor:
    """``[E, B or 1, H, D] . [E, B, H, D] -> [E, B, H]`` without the products in memory."""
    if batched(x, y):
        return (x * y).sum(-1)
    return torch.einsum("ebhd,ebhd->ebh", x, y)


def scores(
    q: Tensor, k: Tensor, bias: Tensor | None, source: Tensor, target: Tensor, scale: float
) -> Tensor:
    """``s_ij = scale * q_i . k_j + bias_ij``, ``[E, B, H]``."""
    products = dot(q.index_select(0, target), k.index_select(0, source))
    return scale * products + (0.0 if bias is None else edge_values(bias, products.dtype))


def finite(lse: Tensor) -> Tensor:
    """``lse`` with 0 for columns that receive nothing, so that ``exp(-inf - lse)`` is 0."""
    return lse.masked_fill(lse == float("-inf"), 0.0)


def factors(p: Tensor, dropout: float, seed: Tensor | None, source: Tensor) -> Tensor | None:
    """The dropout factors of ``p [E, B, H]``, or None."""
    if seed is None:
        return None
    edges = torch.arange(source.shape[0], device=source.device)
    return edge_dropout(seed, edges, p.shape[1], p.shape[2], dropout, p.dtype)


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ``out [N, B, H, Dv]``, ``cost [N, B, H]`` (empty without cost), ``lse [N, B, H]``."""
    wide = accumulator(q.dtype)
    s = scores(q.to(wide), k.to(wide), bias, source, target, scale)
    highest = finite(segment_max(s, target, q.shape[0]))
    mass = torch.exp(s - highest.index_select(0, target))
    lse = highest + torch.log(segment_sum(mass, target, q.shape[0]))
    p = torch.exp(s - finite(lse).index_select(0, target))
    keep = factors(p, dropout, seed, source)
    p = p if keep is None else p * keep
    out = segment_sum(p[..., None] * v.to(wide).index_select(0, source), target, q.shape[0])
    if cost is None:
        return out.to(v.dtype), lse.new_empty(0), lse
    return out.to(v.dtype), segment_sum(p * edge_values(cost, wide), target, q.shape[0]), lse


def backward(
    grad_out: Tensor,
    grad_total: Tensor,
    grad_lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    out: Tensor,
    total: Tensor,
    lse: Tensor,
    source: Tensor,
    target: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    r"""The gradients of q, k, v, bias and cost; differentiable again.

    .. math::
        dP_{ij} &= m_{ij} (d\mathrm{out}_i^\top v_j + d\mathrm{cost}_i c_{ij}), \qquad
        \delta_i = d\mathrm{out}_i^\top \mathrm{out}_i + d\mathrm{cost}_i \mathrm{cost}_i
        - d\mathrm{lse}_i \\
        dS_{ij} &= p_{ij} (dP_{ij} - \delta_i), \qquad
        dq_i = \mathrm{scale} \sum_j dS_{ij} k_j, \quad
        dk_j = \mathrm{scale} \sum_i dS_{ij} q_i, \quad
        dv_j = \sum_i m_{ij} p_{ij} d\mathrm{out}_i

    with the dropout factors :math:`m`.
    """
    dtype, wide = q.dtype, accumulator(q.dtype)
    q, k, v, out, grad_out = (x.to(wide) for x in (q, k, v, out, grad_out))
    s = scores(q, k, bias, source, target, scale)
    p = torch.exp(s - finite(lse).index_select(0, target))
    keep = factors(p, dropout, seed, source)
    grad_out_e = grad_out.index_select(0, target)
    dp = dot(grad_out_e, v.index_select(0, source))
    delta = (grad_out * out).sum(-1) - grad_lse
    if cost is not None:
        grad_total_e = grad_total.index_select(0, target)
        dp = dp + grad_total_e * edge_values(cost, wide)
        delta = delta + grad_total * total
    kept = p if keep is None else p * keep
    dp = dp if keep is None else dp * keep
    ds = p * (dp - delta.index_select(0, target))

    weighted = scale * ds[..., None]
    grad_q = segment_sum(weighted * k.index_select(0, source), target, q.shape[0])
    if q.shape[1] == 1 != k.shape[1]:  # queries without a batch: one query, many inputs
        grad_q = grad_q.sum(1, keepdim=True)
    grad_k = segment_sum(weighted * q.index_select(0, target), source, k.shape[0])
    grad_v = segment_sum(kept[..., None] * grad_out_e, source, v.shape[0])
    grad_bias = None if bias is None else _like_edges(ds, bias)
    grad_cost = None if cost is None else _like_edges(kept * grad_total_e, cost)
    return grad_q.to(dtype), grad_k.to(dtype), grad_v.to(dtype), grad_bias, grad_cost


def _like_edges(values: Tensor, like: Tensor) -> Tensor:
    """Sums ``[E, B, H]`` over the axes that ``like``, ``[E]`` or ``[E, H]``, does not have."""
    return values.sum((1, 2) if like.dim() == 1 else 1).to(like.dtype)
