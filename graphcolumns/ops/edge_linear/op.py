"""The registered op: one forward, one backward, whichever kernel computes them."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.edge_linear import reference


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
    return reference.forward(x, weight, source, target, rowptr.shape[0] - 1)


@edge_linear_op.register_fake
def _fake(x: Tensor, weight: Tensor, rowptr: Tensor, *rest: Any) -> Tensor:
    dtype = torch.promote_types(x.dtype, weight.dtype)
    return x.new_empty((rowptr.shape[0] - 1, *x.shape[1:]), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, source, target, *_ = inputs
    ctx.save_for_backward(x, weight, source, target)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    # Plain torch, so that autograd differentiates it again; the messages are not kept.
    return (*reference.backward(grad, *ctx.saved_tensors), *(None,) * 7)


edge_linear_op.register_autograd(_backward, setup_context=_setup_context)
