"""The registered ops: one linear map per column in C++, and the two products of its gradient."""

from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.context import as_given, batched
from graphcolumns.ops.untied_linear import cpp, reference


@torch.library.custom_op("graphcolumns::untied_linear", mutates_args=())
def untied_linear_op(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x [N, B, Cin]``, ``weight [N, Cin, Cout]``, ``bias [N, Cout]`` -> ``[N, B, Cout]``."""
    return cpp.forward(x, weight, bias)


@untied_linear_op.register_fake
def _fake(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], weight.shape[2])


@torch.library.custom_op("graphcolumns::untied_transposed", mutates_args=())
def transposed_op(grad: Tensor, weight: Tensor) -> Tensor:
    """``grad [N, B, Cout]`` -> ``[N, B, Cin]``."""
    return cpp.transposed(grad, weight)


@transposed_op.register_fake
def _fake_transposed(grad: Tensor, weight: Tensor) -> Tensor:
    return grad.new_empty(grad.shape[0], grad.shape[1], weight.shape[1])


@torch.library.custom_op("graphcolumns::untied_gradient", mutates_args=())
def gradient_op(xs: list[Tensor], grads: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pairs ``[N, B, Cin]``, ``[N, B, Cout]`` -> ``[N, Cin, Cout]``, ``[N, Cout]``."""
    return cpp.gradient(xs, grads)


@gradient_op.register_fake
def _fake_gradient(xs: list[Tensor], grads: list[Tensor]) -> tuple[Tensor, Tensor]:
    (columns, _, cin), cout = xs[0].shape, grads[0].shape[2]
    return xs[0].new_empty(columns, cin, cout), xs[0].new_empty(columns, cout)


def takes_plain(*grads: Tensor) -> bool:
    """Whether a backward pass must be plain torch: autograd records it, or it comes in batches."""
    recorded = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return recorded or batched(*grads)


def transposed(grad: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """The gradient of x, by the kernel or by the batched product of torch."""
    kernel = fused and not takes_plain(grad)
    return transposed_op(grad, weight) if kernel else reference.transposed(grad, weight)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    grad_x = grad_weight = grad_bias = None
    with as_given(grad):
        if ctx.needs_input_grad[0]:
            grad_x = transposed(grad, weight, fused=True)
        if ctx.needs_input_grad[1]:
            gradient = reference.gradient if takes_plain(grad) else gradient_op
            grad_weight, grad_bias = gradient([x], [grad])
        elif ctx.needs_input_grad[2]:
            grad_bias = grad.sum(1)
    return grad_x, grad_weight, grad_bias if ctx.needs_input_grad[2] else None


untied_linear_op.register_autograd(_backward, setup_context=_setup_context)
