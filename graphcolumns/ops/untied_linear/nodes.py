"""The two autograd nodes of a recurrence: one per step, and one that gathers what they send."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.context import as_given
from graphcolumns.ops.untied_linear import reference
from graphcolumns.ops.untied_linear.op import (
    gradient_op,
    takes_plain,
    transposed,
    untied_linear_op,
)
from graphcolumns.ops.untied_linear.products import sum_over_steps


class Unroll(torch.autograd.Function):
    """Dummies whose gradients are the pairs of all steps; its backward forms the sum."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        steps: int,
        batch: int,
        fused: bool,
        frugal: bool,
    ) -> tuple[Tensor, ...]:
        """Zero-stride dummies ``x_1, y_1, x_2, y_2, ...``."""
        columns, cin, cout = weight.shape
        ctx.set_materialize_grads(False)  # steps that were not taken send nothing
        ctx.has_bias, ctx.fused, ctx.frugal = bias is not None, fused, frugal
        zero = weight.new_zeros(())
        shapes = [(columns, batch, cin), (columns, batch, cout)] * steps
        return tuple(zero.clone().expand(shape) for shape in shapes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradients of weight and bias from the pairs that came."""
        xs = [x for x in grads[::2] if x is not None]
        ys = [y for y in grads[1::2] if y is not None]
        if not xs:
            return None, None, None, None, None, None
        with as_given(xs[0]):
            if ctx.fused and not takes_plain(*xs, *ys):
                weight, bias = gradient_op(xs, ys)
            else:
                weight, bias = sum_over_steps(xs, ys, ctx.frugal)
        return weight, bias if ctx.has_bias else None, None, None, None, None


class StepLinear(torch.autograd.Function):
    """``y = x W + b``; its backward sends the pair ``(x, dy)`` to the dummies."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        step_x: Tensor,
        step_y: Tensor,
        fused: bool,
    ) -> Tensor:
        """``[N, B, Cout]``."""
        ctx.save_for_backward(x, weight)
        ctx.fused = fused
        with as_given(x):
            return (untied_linear_op if fused else reference.forward)(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x, and the pair."""
        x, weight = ctx.saved_tensors
        grad_x = None
        if ctx.needs_input_grad[0]:
            with as_given(grad):
                grad_x = transposed(grad, weight, ctx.fused)
        return grad_x, None, None, x, grad, None
