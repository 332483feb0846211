"""The registered op: one forward, one backward, whichever kernel computes them."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.edge_linear import dense, reference
from graphcolumns.ops.precision import accumulator, as_given

KERNELS = {"reference": reference, "dense": dense}


@torch.library.custom_op("graphcolumns::edge_linear", mutates_args=())
def edge_linear_op(
    x: Tensor,
    weight: Tensor,
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    csc_target: Tensor,
    csc_edge: Tensor,
    backend: str,
) -> Tensor:
    """``x [M, B, H, D]``, ``weight [E, H]`` -> ``[N, B, H, D]``."""
    dtype = torch.promote_types(x.dtype, weight.dtype)
    wide = accumulator(dtype)
    with as_given(x):
        out = KERNELS[backend].forward(
            x.to(wide), weight.to(wide), source, target, rowptr.shape[0] - 1
        )
    return out.to(dtype)


@edge_linear_op.register_fake
def _fake(x: Tensor, weight: Tensor, rowptr: Tensor, *rest: Any) -> Tensor:
    dtype = torch.promote_types(x.dtype, weight.dtype)
    return x.new_empty((rowptr.shape[0] - 1, *x.shape[1:]), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, source, target, _, _, _, ctx.backend = inputs
    ctx.save_for_backward(x, weight, source, target)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, source, target = ctx.saved_tensors
    wide = accumulator(grad.dtype)
    # Plain torch, so that autograd differentiates it again; the messages are not kept.
    with as_given(grad):
        grad_x, grad_weight = KERNELS[ctx.backend].backward(
            grad.to(wide), x.to(wide), weight.to(wide), source, target
        )
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), *(None,) * 7


edge_linear_op.register_autograd(_backward, setup_context=_setup_context)
