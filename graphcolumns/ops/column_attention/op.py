"""The registered op: one forward, one backward, whichever kernel computes them."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.column_attention import dense, reference
from graphcolumns.ops.precision import accumulator, as_given

KERNELS = {"reference": reference, "dense": dense}


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
        return KERNELS[backend].forward(q, k, v, bias, cost, source, target, scale, dropout, seed)


@column_attention_op.register_fake
def _fake(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, cost: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (q.shape[0], *v.shape[1:3])
    wide = accumulator(q.dtype)
    total = q.new_empty(0 if cost is None else shape, dtype=wide)
    return v.new_empty((*shape, v.shape[3])), total, q.new_empty(shape, dtype=wide)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, bias, cost, _, source, target, _, _, _, scale, dropout, seed, backend = inputs
    ctx.save_for_backward(q, k, v, bias, cost, *output, source, target, seed)
    ctx.scale, ctx.dropout, ctx.backend = scale, dropout, backend


def _backward(
    ctx: Any, grad_out: Tensor, grad_total: Tensor, grad_lse: Tensor
) -> tuple[Tensor | None, ...]:
    *saved, seed = ctx.saved_tensors
    # Plain torch on saved inputs and outputs, lse among them: autograd differentiates it again.
    with as_given(grad_out):
        grads = KERNELS[ctx.backend].backward(
            grad_out, grad_total, grad_lse, *saved, ctx.scale, ctx.dropout, seed
        )
    return (*grads, *(None,) * 10)


column_attention_op.register_autograd(_backward, setup_context=_setup_context)
