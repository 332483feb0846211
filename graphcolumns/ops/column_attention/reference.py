"""Attention along edges in plain torch: the definition, and the oracle of every other backend.

``forward`` and ``backward`` are written as a kernel would compute them; the backward pass
recomputes the attention from its normaliser instead of keeping it. The normaliser is two numbers,
the highest score and the logarithm of the sum of ``exp(s - highest)``: their sum ``lse`` has lost
the second to rounding where scores are large. Scores are counted from the highest bias of the
column (:func:`~graphcolumns.ops.column_attention.closed.centred`).
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.closed import (
    CLOSED,
    centred,
    closed_edges,
    edge_values,
    finite,
    raised,
    silent_edges,
    without,
)
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    AttentionOutputs,
    InputGradients,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.context import accumulator, batched
from graphcolumns.ops.dropout import edge_dropout
from graphcolumns.ops.segment import segment_max, segment_sum


def dot(x: Tensor, y: Tensor) -> Tensor:
    """``[E, B or 1, H, D] . [E, B, H, D] -> [E, B, H]`` without the products in memory."""
    if batched(x, y):
        return (x * y).sum(-1)
    return torch.einsum("ebhd,ebhd->ebh", x, y)


def edge_logits(
    q: Tensor, k: Tensor, bias: Tensor | None, source: Tensor, target: Tensor, scale: float
) -> Tensor:
    """``s_ij = scale * q_i . k_j + bias_ij - level_i``, ``[E, B, H]``.

    The level of a column, its highest bias, changes no softmax; closed edges get ``-inf``.
    """
    closed = closed_edges(bias)
    keys = without(k.index_select(0, source), closed)
    products = scale * dot(q.index_select(0, target), keys)
    shifted, _ = centred(bias, target, q.shape[0])
    if shifted is None:
        return products
    return without(products + edge_values(shifted, products.dtype), closed, CLOSED)


def factors(p: Tensor, dropout: float, seed: Tensor | None, source: Tensor) -> Tensor | None:
    """The dropout factors of ``p [E, B, H]``, or None."""
    if seed is None:
        return None
    edges = torch.arange(source.shape[0], device=source.device)
    return edge_dropout(seed, edges, p.shape[1], p.shape[2], dropout, p.dtype)


def forward(inputs: AttentionInputs) -> AttentionOutputs:
    """Returns ``out [N, B, H, Dv]``, ``cost`` (empty without cost), ``lse``, and its parts.

    ``cost``, ``lse``, ``highest`` and ``log_mass`` are ``[N, B, H]``. ``highest`` is counted from
    the level of the biases, and 0 where nothing is received; ``log_mass`` is ``-inf`` there.
    """
    q, k, v, bias, cost, views, scale, dropout, seed = inputs
    source, target = views.source, views.target
    wide = accumulator(q.dtype)
    s = edge_logits(q.to(wide), k.to(wide), bias, source, target, scale)
    highest = finite(segment_max(s, target, q.shape[0]))
    mass = torch.exp(s - highest.index_select(0, target))
    total_mass = segment_sum(mass, target, q.shape[0])
    nothing = total_mass == 0.0
    divisor = total_mass.masked_fill(nothing, 1.0)
    log_mass = torch.log(divisor).masked_fill(nothing, CLOSED)
    p = mass / divisor.index_select(0, target)
    keep = factors(p, dropout, seed, source)
    silent = silent_edges(closed_edges(bias), keep)
    p = p if keep is None else p * keep
    values = without(v.to(wide).index_select(0, source), silent)
    out = segment_sum(p[..., None] * values, target, q.shape[0]).to(v.dtype)
    lse = raised(highest + log_mass, centred(bias, target, q.shape[0])[1])
    if cost is None:
        return AttentionOutputs(out, lse.new_empty(0), lse, highest, log_mass)
    costs = without(edge_values(cost, wide).expand_as(p), silent)
    total = segment_sum(p * costs, target, q.shape[0])
    return AttentionOutputs(out, total, lse, highest, log_mass)


def backward(
    arrived: OutputGradients, inputs: AttentionInputs, saved: SavedOutputs
) -> InputGradients:
    r"""The gradients of q, k, v, bias and cost; differentiable again.

    .. math::
        dP_{ij} &= m_{ij} (d\mathrm{out}_i^\top v_j + d\mathrm{cost}_i c_{ij}), \qquad
        \delta_i = d\mathrm{out}_i^\top \mathrm{out}_i + d\mathrm{cost}_i \mathrm{cost}_i
        - d\mathrm{lse}_i \\
        p_{ij} &= \exp((s_{ij} - \mathrm{highest}_i) - \mathrm{logmass}_i), \qquad
        dS_{ij} = p_{ij} (dP_{ij} - \delta_i) \\
        dq_i &= \mathrm{scale} \sum_j dS_{ij} k_j, \quad
        dk_j = \mathrm{scale} \sum_i dS_{ij} q_i, \quad
        dv_j = \sum_i m_{ij} p_{ij} d\mathrm{out}_i

    with the dropout factors :math:`m`.
    """
    q, k, v, bias, cost, views, scale, dropout, seed = inputs
    (grad_out, grad_total, grad_lse), (out, total, highest, log_mass) = arrived, saved
    source, target = views.source, views.target
    dtype, wide = q.dtype, accumulator(q.dtype)
    q, k, v, out, grad_out = (x.to(wide) for x in (q, k, v, out, grad_out))
    s = edge_logits(q, k, bias, source, target, scale)
    above = s - highest.index_select(0, target)
    closed = closed_edges(bias)
    p = without(torch.exp(above - finite(log_mass).index_select(0, target)), closed)
    keep = factors(p, dropout, seed, source)
    silent = silent_edges(closed, keep)
    grad_out_e = without(grad_out.index_select(0, target), silent)
    dp = dot(grad_out_e, without(v.index_select(0, source), silent))
    delta = (grad_out * out).sum(-1)
    if grad_lse is not None:
        delta = delta - grad_lse
    if cost is not None and grad_total is not None:
        grad_total_e = without(grad_total.index_select(0, target), silent)
        dp = dp + grad_total_e * without(edge_values(cost, wide).expand_as(p), silent)
        delta = delta + grad_total * total
    kept = p if keep is None else p * keep
    dp = dp if keep is None else dp * keep
    ds = without(p * (dp - delta.index_select(0, target)), closed)

    weighted = scale * ds[..., None]
    grad_q = segment_sum(weighted * without(k.index_select(0, source), closed), target, q.shape[0])
    if q.shape[1] == 1 != k.shape[1]:  # queries without a batch: one query, many inputs
        grad_q = grad_q.sum(1, keepdim=True)
    grad_k = segment_sum(weighted * without(q.index_select(0, target), closed), source, k.shape[0])
    grad_v = segment_sum(kept[..., None] * grad_out_e, source, v.shape[0])
    grad_bias = None if bias is None else _like_edges(ds, bias)
    grad_cost = None if cost is None else _like_edges(kept * grad_total_e, cost)
    rows = (grad_q.to(dtype), grad_k.to(dtype), grad_v.to(dtype))
    return InputGradients(*rows, grad_bias, grad_cost)


def _like_edges(values: Tensor, like: Tensor) -> Tensor:
    """Sums ``[E, B, H]`` over the axes that ``like``, ``[E]`` or ``[E, H]``, does not have."""
    return values.sum((1, 2) if like.dim() == 1 else 1).to(like.dtype)
