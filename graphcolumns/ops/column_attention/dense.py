"""Attention along edges as a masked N x M product: the fastest form on nearly complete graphs.

The same two functions as :mod:`~graphcolumns.ops.column_attention.reference`, whose docstrings
hold the mathematics; edges become entries of a matrix ``[B, H, N, M]`` that is not kept.
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.reference import factors, finite
from graphcolumns.ops.precision import accumulator


def scatter_edges(
    values: Tensor, target: Tensor, source: Tensor, shape: tuple[int, int], fill: float
) -> Tensor:
    """Edge values ``[E, ...]`` as a matrix ``[N, M, ...]``, ``fill`` where there is no edge."""
    matrix = values.new_full((*shape, *values.shape[1:]), fill)
    return matrix.index_put((target.long(), source.long()), values)


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
    q, k, values = (_heads_first(x, wide) for x in (q, k, v))
    s = _scores(q, k, bias, source, target, scale)
    lse = torch.logsumexp(s, -1)
    p = s.sub_(finite(lse)[..., None]).exp_()
    keep = _factors(p, dropout, seed, source, target)
    p = p if keep is None else p.mul_(keep)
    out = _columns_first(p @ values).to(v.dtype)
    if cost is None:
        return out, lse.new_empty(0), _columns_first(lse)
    total = (p * _edge_matrix(cost, p, source, target)).sum(-1)
    return out, _columns_first(total), _columns_first(lse)


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
    """The gradients of q, k, v, bias and cost; differentiable again."""
    dtype, wide = q.dtype, accumulator(q.dtype)
    q, k, v, out, grad_out = (_heads_first(x, wide) for x in (q, k, v, out, grad_out))
    lse, grad_lse = lse.permute(1, 2, 0), grad_lse.permute(1, 2, 0)
    p = torch.exp(_scores(q, k, bias, source, target, scale) - finite(lse)[..., None])
    keep = _factors(p, dropout, seed, source, target)
    dp = grad_out @ v.transpose(2, 3)
    delta = (grad_out * out).sum(-1) - grad_lse
    if cost is not None:
        grad_total, total = grad_total.permute(1, 2, 0), total.permute(1, 2, 0)
        dp = dp + grad_total[..., None] * _edge_matrix(cost, p, source, target)
        delta = delta + grad_total * total
    kept = p if keep is None else p * keep
    dp = dp if keep is None else dp * keep
    ds = p * (dp - delta[..., None])

    grad_q = scale * (ds @ k)
    if q.shape[0] == 1 != k.shape[0]:  # queries without a batch: one query, many inputs
        grad_q = grad_q.sum(0, keepdim=True)
    grad_k = scale * (ds.transpose(2, 3) @ q)
    grad_v = kept.transpose(2, 3) @ grad_out
    grad_bias = None if bias is None else _at_edges(ds, bias, source, target)
    grad_cost = None
    if cost is not None:
        grad_cost = _at_edges(kept * grad_total[..., None], cost, source, target)
    grads = (_columns_first(x).to(dtype) for x in (grad_q, grad_k, grad_v))
    return (*grads, grad_bias, grad_cost)  # type: ignore[return-value]


def _heads_first(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``[N, B, H, D]`` as ``[B, H, N, D]``."""
    return x.to(dtype).permute(1, 2, 0, 3)


def _columns_first(x: Tensor) -> Tensor:
    """``[B, H, N, ...]`` as ``[N, B, H, ...]``, in memory: a kernel's outputs are contiguous."""
    return x.movedim(2, 0).contiguous()


def _scores(
    q: Tensor, k: Tensor, bias: Tensor | None, source: Tensor, target: Tensor, scale: float
) -> Tensor:
    """``[B, H, N, M]``, ``-inf`` where there is no edge."""
    s = (scale * q) @ k.transpose(2, 3)
    if bias is None and source.shape[0] == s.shape[2] * s.shape[3]:
        return s
    bias = s.new_zeros(source.shape[0]) if bias is None else bias
    return s + _edge_matrix(bias, s, source, target, float("-inf"))


def _factors(
    p: Tensor, dropout: float, seed: Tensor | None, source: Tensor, target: Tensor
) -> Tensor | None:
    """The dropout factors of ``p [B, H, N, M]``, or None."""
    keep = factors(p.new_empty((source.shape[0], *p.shape[:2])), dropout, seed, source)
    if keep is None:
        return None
    return scatter_edges(keep, target, source, _pairs(p), 0.0).permute(2, 3, 0, 1)


def _edge_matrix(
    values: Tensor, like: Tensor, source: Tensor, target: Tensor, fill: float = 0.0
) -> Tensor:
    """``[E]`` or ``[E, H]`` as ``[N, M]`` or ``[H, N, M]``, to broadcast over the batch."""
    matrix = scatter_edges(values.to(like.dtype), target, source, _pairs(like), fill)
    return matrix if matrix.dim() == 2 else matrix.permute(2, 0, 1)


def _at_edges(matrix: Tensor, like: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Sums ``[B, H, N, M]`` over the batch, and the heads of ``like [E]``, at the edges."""
    summed = matrix.sum((0, 1) if like.dim() == 1 else 0)
    return summed[..., target.long(), source.long()].t().to(like.dtype)


def _pairs(matrix: Tensor) -> tuple[int, int]:
    return matrix.shape[2], matrix.shape[3]
