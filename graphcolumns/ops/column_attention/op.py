"""The registered op: one forward, one backward, whichever kernel computes them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops.column_attention import cpp, dense, reference
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.triton import backend as triton
from graphcolumns.ops.column_attention.triton import hubs
from graphcolumns.ops.context import accumulator, as_given, batched

PLAIN = {"reference": reference, "dense": dense}  # plain torch: autograd differentiates them again
FUSED: Mapping[str, Any] = {
    "cpp": cpp,
    "triton": triton,
    **hubs.CUTS,
}  # kernels of their own; a second derivative is that of the reference
KERNELS: Mapping[str, Any] = {**PLAIN, **FUSED}


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns ``out``, ``cost`` (an empty tensor without cost), ``lse``, ``highest``, ``log_mass``.

    The last two are what backward computes the attention from. Scores count from the highest bias
    of their column, so ``lse`` is that level plus both; no gradient arrives at ``highest``.
    """
    views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
    inputs = AttentionInputs(q, k, v, bias, cost, views, scale, dropout, seed)
    with as_given(q):
        found: tuple[Tensor, ...] = KERNELS[backend].forward(inputs)
        # Contiguous, as the fake kernels below say.
        return tuple(found if backend in FUSED else (x.contiguous() for x in found))  # type: ignore[return-value]


@column_attention_op.register_fake
def _fake(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, cost: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    shape = (q.shape[0], *v.shape[1:3])
    wide = accumulator(q.dtype)
    total = q.new_empty(0 if cost is None else shape, dtype=wide)
    lse, highest, log_mass = (q.new_empty(shape, dtype=wide) for _ in range(3))
    return v.new_empty((*shape, v.shape[3])), total, lse, highest, log_mass


# An op of its own, so that compilers see one call and not what is behind it.
@torch.library.custom_op("graphcolumns::column_attention_backward", mutates_args=())
def column_attention_backward_op(
    grad_out: Tensor,
    grad_total: Tensor | None,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    out: Tensor,
    total: Tensor,
    highest: Tensor,
    log_mass: Tensor,
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
    inputs = AttentionInputs(q, k, v, bias, cost, views, scale, dropout, seed)
    arrived = OutputGradients(grad_out, grad_total, grad_lse)
    grads = KERNELS[backend].backward(arrived, inputs, SavedOutputs(out, total, highest, log_mass))
    # Contiguous, as the fake kernels below say.
    return tuple(q.new_empty(0) if x is None else x.contiguous() for x in grads)  # type: ignore[return-value]


@column_attention_backward_op.register_fake
def _fake_backward(
    grad_out: Tensor,
    grad_total: Tensor | None,
    grad_lse: Tensor | None,
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
    *given, ctx.scale, ctx.dropout, seed, ctx.backend = inputs
    out, total, _, highest, log_mass = output
    ctx.mark_non_differentiable(highest)
    ctx.set_materialize_grads(False)  # most often no gradient arrives at lse
    ctx.save_for_backward(seed, *given[:5], out, total, highest, log_mass, *given[5:])


def _backward(
    ctx: Any,
    grad_out: Tensor | None,
    grad_total: Tensor | None,
    grad_lse: Tensor | None,
    _: Tensor | None,
    grad_log_mass: Tensor | None,
) -> tuple[Tensor | None, ...]:
    seed, *tensors = ctx.saved_tensors
    saved, views = SavedOutputs(*tensors[5:9]), Views(*tensors[9:])
    q, k, v, bias, cost = tensors[:5]
    inputs = AttentionInputs(q, k, v, bias, cost, views, ctx.scale, ctx.dropout, seed)
    if grad_out is None:
        grad_out = torch.zeros_like(saved.out)
    if grad_total is None and inputs.cost is not None:
        grad_total = torch.zeros_like(saved.total)
    if grad_log_mass is not None:  # of a second derivative: with `highest` constant, that of lse
        grad_lse = grad_log_mass if grad_lse is None else grad_lse + grad_log_mass
    arrived = OutputGradients(grad_out, grad_total, grad_lse)
    many = batched(*arrived)
    grads: tuple[Tensor | None, ...]
    with as_given(grad_out):
        if not torch.is_grad_enabled() and (ctx.backend in FUSED or not many):
            options = (ctx.scale, ctx.dropout, seed, ctx.backend)
            found = column_attention_backward_op(*arrived, *tensors, *options)
            grads = _where_given(found, tensors[:5])
        else:
            # Plain torch on saved inputs and outputs: differentiable again.
            kernel = reference if many else PLAIN.get(ctx.backend, reference)
            grads = kernel.backward(arrived, inputs, saved)
    return (*grads, *(None,) * 10)


def _where_given(
    grads: tuple[Tensor, ...], inputs: list[Tensor | None]
) -> tuple[Tensor | None, ...]:
    return tuple(None if x is None else grad for grad, x in zip(grads, inputs, strict=True))


column_attention_op.register_autograd(_backward, setup_context=_setup_context)
