"""Attention along edges as a masked N x M product: the fastest form on nearly complete graphs.

The same two functions as :mod:`~graphcolumns.ops.column_attention.reference`, whose docstrings
hold the mathematics; edges become entries of a matrix ``[B, H, N, M]`` that is not kept. A product
with a matrix lets a NaN through where there is no edge or a closed one: what comes out not finite
is computed again by the reference, edge by edge.
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.closed import (
    CLOSED,
    can_look,
    centred,
    finite,
    raised,
    sound,
)
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    AttentionOutputs,
    InputGradients,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.reference import factors
from graphcolumns.ops.context import accumulator


def scatter_edges(
    values: Tensor, target: Tensor, source: Tensor, shape: tuple[int, int], fill: float
) -> Tensor:
    """Edge values ``[E, ...]`` as a matrix ``[N, M, ...]``, ``fill`` where there is no edge."""
    matrix = values.new_full((*shape, *values.shape[1:]), fill)
    return matrix.index_put((target.long(), source.long()), values)


def forward(inputs: AttentionInputs) -> AttentionOutputs:
    """See :func:`~graphcolumns.ops.column_attention.reference.forward`."""
    if inputs.k.shape[0] == 0:  # no maximum over nothing
        return reference.forward(inputs)
    found = _matrix_forward(inputs)
    if not _sound_outputs(found):
        found = _matrix_forward(_open_only(inputs))
    return found if _sound_outputs(found) else reference.forward(inputs)


def _sound_outputs(found: AttentionOutputs) -> bool:
    return sound(found.out, found.total, found.highest)


def _matrix_forward(inputs: AttentionInputs) -> AttentionOutputs:
    q, k, v, bias, cost, views, scale, dropout, seed = inputs
    source, target = views.source, views.target
    wide = accumulator(q.dtype)
    level = centred(bias, target, q.shape[0])[1]
    q, k, values = (_heads_first(x, wide) for x in (q, k, v))
    s = _scores(q, k, bias, source, target, scale)
    highest = finite(s.amax(-1))
    p = s.sub_(highest[..., None]).exp_()
    mass = p.sum(-1)
    p = p.div_(mass.masked_fill(mass == 0.0, 1.0)[..., None])
    keep = _factors(p, dropout, seed, source, target)
    p = p if keep is None else p.mul_(keep)
    out = _columns_first(p @ values).to(v.dtype)
    total = out.new_empty(0, dtype=wide)
    if cost is not None:
        total = _columns_first((p * _edge_matrix(cost, p, source, target)).sum(-1))
    highest, log_mass = _columns_first(highest), _columns_first(mass.log())
    lse = raised(highest + log_mass, level)
    return AttentionOutputs(out, total, lse, highest, log_mass)


def backward(
    arrived: OutputGradients, inputs: AttentionInputs, saved: SavedOutputs
) -> InputGradients:
    """The gradients of q, k, v, bias and cost; differentiable again."""
    grads = _matrix_gradients(arrived, inputs, saved)
    if not can_look(arrived.out) or sound(*grads):
        return grads
    grads = _matrix_gradients(arrived, _open_only(inputs), saved)
    return grads if sound(*grads) else reference.backward(arrived, inputs, saved)


def _matrix_gradients(
    arrived: OutputGradients, inputs: AttentionInputs, saved: SavedOutputs
) -> InputGradients:
    q, k, v, bias, cost, views, scale, dropout, seed = inputs
    (grad_out, grad_total, grad_lse), (out, total, highest, log_mass) = arrived, saved
    source, target = views.source, views.target
    dtype, wide = q.dtype, accumulator(q.dtype)
    q, k, v, out, grad_out = (_heads_first(x, wide) for x in (q, k, v, out, grad_out))
    highest, log_mass = highest.permute(1, 2, 0), log_mass.permute(1, 2, 0)
    above = _scores(q, k, bias, source, target, scale) - highest[..., None]
    p = torch.exp(above - finite(log_mass)[..., None])
    keep = _factors(p, dropout, seed, source, target)
    dp = grad_out @ v.transpose(2, 3)
    delta = (grad_out * out).sum(-1)
    if grad_lse is not None:
        delta = delta - grad_lse.permute(1, 2, 0)
    if cost is not None and grad_total is not None:
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
    if cost is not None and grad_total is not None:
        grad_cost = _at_edges(kept * grad_total[..., None], cost, source, target)
    rows = [_columns_first(x).to(dtype) for x in (grad_q, grad_k, grad_v)]
    return InputGradients(rows[0], rows[1], rows[2], grad_bias, grad_cost)


def _open_only(inputs: AttentionInputs) -> AttentionInputs:
    """Keys, values and costs with zeros where no edge is open: the bits of a source of zeros."""
    (_, k, v, bias, cost), source = inputs[:5], inputs.views.source
    is_open = torch.ones_like(source, dtype=torch.bool)[:, None]
    if bias is not None:
        is_open = (bias if bias.dim() == 2 else bias[:, None]) != CLOSED
    count = is_open.new_zeros((k.shape[0], is_open.shape[1]), dtype=torch.int64)
    unused = (count.index_add(0, source, is_open.long()) == 0)[:, None, :, None]
    if cost is not None:
        shut = ~is_open
        cost = cost.masked_fill(shut if cost.dim() == 2 else shut.all(1), 0.0)
    return inputs._replace(k=k.masked_fill(unused, 0.0), v=v.masked_fill(unused, 0.0), cost=cost)


def _heads_first(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``[N, B, H, D]`` as ``[B, H, N, D]``."""
    return x.to(dtype).permute(1, 2, 0, 3)


def _columns_first(x: Tensor) -> Tensor:
    """``[B, H, N, ...]`` as ``[N, B, H, ...]``, in memory: a kernel's outputs are contiguous."""
    return x.movedim(2, 0).contiguous()


def _scores(
    q: Tensor, k: Tensor, bias: Tensor | None, source: Tensor, target: Tensor, scale: float
) -> Tensor:
    """``[B, H, N, M]`` from the highest bias of a column on; ``-inf`` where there is no edge."""
    s = (scale * q) @ k.transpose(2, 3)
    if bias is None and source.shape[0] == s.shape[2] * s.shape[3]:
        return s
    shifted, _ = centred(bias, target, q.shape[2])
    shifted = s.new_zeros(source.shape[0]) if shifted is None else shifted
    return s + _edge_matrix(shifted, s, source, target, CLOSED)


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
