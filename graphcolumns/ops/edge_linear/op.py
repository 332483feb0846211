"""The registered op: one forward, one backward, whichever kernel computes them."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops.context import accumulator, as_given, batched
from graphcolumns.ops.edge_linear import cpp, dense, reference, triton

PLAIN = {"reference": reference, "dense": dense}  # plain torch: autograd differentiates them again
# Kernels of their own; a second derivative is that of the reference.
FUSED = {"cpp": cpp, "triton": triton}
READ_HALF = ("triton",)  # the others get half types in float32


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
    if backend not in READ_HALF:
        x, weight = x.to(accumulator(dtype)), weight.to(accumulator(dtype))
    with as_given(x):
        if backend in FUSED:
            views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
            out = FUSED[backend].forward(x, weight, views)
        else:
            out = PLAIN[backend].forward(x, weight, source, target, rowptr.shape[0] - 1)
    return out.to(dtype)


@edge_linear_op.register_fake
def _fake(x: Tensor, weight: Tensor, rowptr: Tensor, *rest: Any) -> Tensor:
    dtype = torch.promote_types(x.dtype, weight.dtype)
    return x.new_empty((rowptr.shape[0] - 1, *x.shape[1:]), dtype=dtype)


# An op of its own, so that compilers see one call and not what is behind it.
@torch.library.custom_op("graphcolumns::edge_linear_backward", mutates_args=())
def edge_linear_backward_op(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    csc_target: Tensor,
    csc_edge: Tensor,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """The gradients of x and weight, in their dtypes."""
    views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
    return FUSED[backend].backward(grad, x, weight, views)


@edge_linear_backward_op.register_fake
def _fake_backward(grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, *views, ctx.backend = inputs
    edges = views if ctx.backend in FUSED else views[1:3]
    ctx.save_for_backward(x, weight, *edges)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, *edges = ctx.saved_tensors
    fused = ctx.backend in FUSED and not torch.is_grad_enabled()
    narrow = fused and ctx.backend in READ_HALF
    wide = accumulator(grad.dtype)
    given = (grad, x, weight) if narrow else (grad.to(wide), x.to(wide), weight.to(wide))
    with as_given(grad):
        if fused:
            grad_x, grad_weight = edge_linear_backward_op(*given, *edges, ctx.backend)
        else:
            # Plain torch, so that autograd differentiates it again; the messages are not kept.
            ends = edges[1:3] if ctx.backend in FUSED else edges
            kernel = reference if batched(grad) else PLAIN.get(ctx.backend, reference)
            grad_x, grad_weight = kernel.backward(*given, *ends)
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), *(None,) * 7


edge_linear_op.register_autograd(_backward, setup_context=_setup_context)
