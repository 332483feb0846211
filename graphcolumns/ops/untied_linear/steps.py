"""Weight gradients of a recurrence in one product over all steps.

Applied T times, autograd would write a weight gradient ``[N, Cin, Cout]`` at every step and add
it to the last: with few inputs per column that traffic is the cost of training. Here every step
hands its pair ``(x_t, dy_t)`` to one node, which forms the whole gradient at once, as cuDNN does
for its recurrent layers (Appleyard et al. 2016, https://arxiv.org/abs/1604.01946).

A handle is a pair of zero-stride dummies whose *gradients* are ``x_t`` and ``dy_t``: autograd
itself collects the pairs, so the same code runs eagerly, under ``torch.compile(fullgraph=True)``
and under activation checkpointing.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# The pairs kept for one gradient may take this many times its memory: autograd's own second
# buffer and the inputs that it keeps come to the same.
PAYLOAD = 2.0
# On a CPU the gradient is updated in place once per so many rows: copying the pairs together
# into fresh pages costs more than another pass over a gradient that is already in memory. (One
# product over all T B = 64 rows took 1.3 times as long as eight, with the default allocator of glibc.)
ROWS_PER_PRODUCT = 8


@dataclass(eq=False)
class Step:
    """One use of weights in a recurrence.

    Attributes:
        x: Dummy ``[N, B, Cin]`` whose gradient is the input of the step, or None.
        y: Dummy ``[N, B, Cout]`` whose gradient is the gradient of the output, or None.
        used: Whether the handle was taken; a handle is good for one use.
    """

    x: Tensor | None = None
    y: Tensor | None = None
    used: bool = False

    @property
    def batched(self) -> bool:
        """Whether the weight gradient waits for other steps."""
        return self.x is not None


def unroll(weight: Tensor, bias: Tensor | None, steps: int, batch: int) -> list[Step]:
    r"""Handles for using the same weights at every step of a recurrence.

    .. math::
        dW_n = \sum_t x_{n,t}^\top dy_{n,t} = [x_{n,1}; \dots; x_{n,T}]^\top
        [dy_{n,1}; \dots; dy_{n,T}]

    The sum is taken over as many steps at a time as keep the pairs within ``PAYLOAD`` times the
    memory of the weight gradient; where that is not even two steps (large batches, where the
    weights are not the bottleneck) the handles fall back to autograd's own gradients.

    Args:
        weight: ``[N, Cin, Cout]``.
        bias: ``[N, Cout]`` or None.
        steps: Number of uses ``T``.
        batch: Batch size ``B`` of every use.

    Returns:
        ``T`` one-use handles for ``untied_linear(x, weight, bias, step=handle)``.

    Raises:
        ValueError: ``steps`` or ``batch`` below one.

    Example:
        >>> import torch
        >>> from graphcolumns import untied_linear
        >>> weight = torch.randn(3, 4, 4, requires_grad=True)
        >>> x = torch.ones(3, 1, 4)
        >>> for step in untied_linear.unroll(weight, None, steps=2, batch=1):
        ...     x = untied_linear(x, weight, step=step)
        >>> x.sum().backward()
        >>> weight.grad.shape
        torch.Size([3, 4, 4])
    """
    if steps < 1 or batch < 1:
        raise ValueError(f"steps and batch must be at least 1, got {steps} and {batch}")
    _, cin, cout = weight.shape
    together = int(PAYLOAD * cin * cout / (batch * (cin + cout)))
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    if together < 2 or steps < 2 or not (trained and torch.is_grad_enabled()):
        return [Step() for _ in range(steps)]
    handles: list[Step] = []
    while len(handles) < steps:
        count = min(together, steps - len(handles))
        dummies = _Unroll.apply(weight, bias, count, batch)
        handles += [Step(x, y) for x, y in zip(dummies[::2], dummies[1::2], strict=True)]
    return handles


def step_linear(x: Tensor, weight: Tensor, bias: Tensor | None, step: Step) -> Tensor:
    """``y_n = x_n W_n + b_n`` with its weight gradient left to the node of ``step``."""
    if not torch.compiler.is_compiling() and not _in_backward():  # recomputation is no second use
        if step.used:
            raise RuntimeError(
                "a step handle is good for one use: two uses would add up their inputs. Take one "
                "handle per application from untied_linear.unroll(weight, bias, steps, batch)"
            )
        step.used = True
    assert step.x is not None
    if x.shape[:2] != step.x.shape[:2]:
        raise ValueError(
            f"the handle was made for [N, B] = {list(step.x.shape[:2])}, got x of "
            f"{list(x.shape)}: call untied_linear.unroll with this batch size"
        )
    return _StepLinear.apply(x, weight, bias, step.x, step.y)


def _in_backward() -> bool:
    return torch._C._current_graph_task_id() != -1


def _gradients(xs: list[Tensor], ys: list[Tensor]) -> tuple[Tensor, Tensor]:
    """``sum_t x_t^T dy_t`` and ``sum_t sum_b dy_t``, a few steps per product."""
    batch = xs[0].shape[1]
    group = -(-ROWS_PER_PRODUCT // batch) if xs[0].device.type == "cpu" else len(xs)
    x, y = _together(xs[:group]), _together(ys[:group])
    weight, bias = torch.bmm(x.transpose(1, 2), y), y.sum(1)
    for start in range(group, len(xs), group):
        x, y = _together(xs[start : start + group]), _together(ys[start : start + group])
        weight.baddbmm_(x.transpose(1, 2), y)
        bias += y.sum(1)
    return weight, bias


def _together(steps: list[Tensor]) -> Tensor:
    return steps[0] if len(steps) == 1 else torch.cat(steps, 1)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, steps: int, batch: int
    ) -> tuple[Tensor, ...]:
        columns, cin, cout = weight.shape
        ctx.set_materialize_grads(False)  # steps that were not taken send nothing
        ctx.has_bias = bias is not None
        zero = weight.new_zeros(())
        shapes = [(columns, batch, cin), (columns, batch, cout)] * steps
        return tuple(zero.clone().expand(shape) for shape in shapes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        pairs = [(x, y) for x, y in zip(grads[::2], grads[1::2], strict=True) if y is not None]
        if not pairs:
            return None, None, None, None
        weight, bias = _gradients([x for x, _ in pairs], [y for _, y in pairs])
        return weight, bias if ctx.has_bias else None, None, None


class _StepLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, step_x: Tensor, step_y: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        if bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(bias[:, None, :], x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.bmm(grad, weight.to(grad.dtype).transpose(1, 2)).to(x.dtype)
        return grad_x, None, None, x, grad
