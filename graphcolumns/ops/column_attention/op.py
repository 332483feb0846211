"""The registered op: one forward, one backward, whichever kernel computes them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.column_attention import cpp, dense, reference, triton, triton_hubs
from graphcolumns.ops.precision import accumulator, as_given
from graphcolumns.ops.transforms import batched
from graphcolumns.ops.views import Views

PLAIN = {"reference": reference, "dense": dense}  # plain torch: autograd differentiates them again
FUSED: Mapping[str, Any] = {
    "cpp": cpp,
    "triton": triton,
    **triton_hubs.CUTS,
}  # kernels of their own; a second derivative is that of the reference


@torch.library.custom_op("graphcolumns::column_attention", mutates_args=())
def column_attention_op(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    csc_target: Tensor,
    csc_edge: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ``out``, ``cost`` (an empty tensor without cost) and ``lse``; tensors only."""
    with as_given(q):
        if backend in FUSED:
            views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
            return FUSED[backend].forward(q, k, v, bias, cost, views, scale, dropout, seed)
        return PLAIN[backend].forward(q, k, v, bias, cost, source, target, scale, dropout, seed)


@column_attention_op.register_fake
def _fake(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, cost: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (q.shape[0], *v.shape[1:3])
    wide = accumulator(q.dtype)
    total = q.new_empty(0 if cost is None else shape, dtype=wide)
    return v.new_empty((*shape, v.shape[3])), total, q.new_empty(shape, dtype=wide)


# An op of its own, so that compilers see one call and not what is behind it.
@torch.library.custom_op("graphcolumns::column_attention_backward", mutates_args=())
def column_attention_backward_op(
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
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    csc_target: Tensor,
    csc_edge: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of q, k, v, bias and cost (empty tensors where there is none)."""
    views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
    arrived = (grad_out, grad_total, grad_lse, q, k, v, bias, cost, out, total, lse)
    grads = FUSED[backend].backward(*arrived, views, scale, dropout, seed)
    return tuple(q.new_empty(0) if x is None else x for x in grads)  # type: ignore[return-value]


@column_attention_backward_op.register_fake
def _fake_backward(
    grad_out: Tensor,
    grad_total: Tensor,
    grad_lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    *rest: Any,
) -> tuple[Tensor, ...]:
    inputs = (q, k, v, bias, cost)
    return tuple(q.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *given, scale, dropout, seed, backend = inputs
    views = Views(*given[5:])
    edges = views if backend in FUSED else (views.source, views.target)
    ctx.save_for_backward(seed, *given[:5], *output, *edges)
    ctx.scale, ctx.dropout, ctx.backend = scale, dropout, backend


def _backward(
    ctx: Any, grad_out: Tensor, grad_total: Tensor, grad_lse: Tensor
) -> tuple[Tensor | None, ...]:
    seed, *saved = ctx.saved_tensors
    options = (ctx.scale, ctx.dropout, seed)
    arrived = (grad_out, grad_total, grad_lse, *saved[:8])
    with as_given(grad_out):
        if ctx.backend in FUSED and not torch.is_grad_enabled():
            grads = column_attention_backward_op(*arrived, *saved[8:], *options, ctx.backend)
            grads = _where_given(grads, saved[:5])
        else:
            # Plain torch on saved inputs and outputs, lse among them: differentiable again.
            ends = saved[9:11] if ctx.backend in FUSED else saved[8:]
            kernel = reference if batched(*arrived[:3]) else PLAIN.get(ctx.backend, reference)
            grads = kernel.backward(*arrived, *ends, *options)
    return (*grads, *(None,) * 10)


def _where_given(
    grads: tuple[Tensor, ...], inputs: list[Tensor | None]
) -> tuple[Tensor | None, ...]:
    return tuple(None if x is None else grad for grad, x in zip(grads, inputs, strict=True))


column_attention_op.register_autograd(_backward, setup_context=_setup_context)
