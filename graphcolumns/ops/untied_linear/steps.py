"""Weight gradients of a recurrence in one product over all steps.

Applied T times, autograd would write a weight gradient ``[N, Cin, Cout]`` at every step and add
it to the last: with few inputs per column that traffic is the cost of training. Here every step
hands its pair ``(x_t, dy_t)`` to one node, which forms the whole gradient at once, as cuDNN does
for its recurrent layers.

A handle is a pair of zero-stride dummies whose *gradients* are ``x_t`` and ``dy_t``: autograd
itself collects the pairs, so the same code runs eagerly, under ``torch.compile(fullgraph=True)``
and under activation checkpointing.

Source: Appleyard, Kociský & Blunsom, Optimizing performance of recurrent neural networks on GPUs,
2016, https://arxiv.org/abs/1604.01946.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.ops.backend import takes_kernel
from graphcolumns.ops.context import product_dtype, transformed
from graphcolumns.ops.untied_linear.nodes import StepLinear, Unroll

# The pairs kept for one gradient may take this many times its memory: autograd's own second
# buffer and the inputs that it keeps come to the same.
PAYLOAD = 2.0
# Fewer steps at a time than these are not gathered: with two, the handles cost what they save
# (0.93 to 1.1 times the speed of autograd) ...
FEWEST = 3
# ... unless the pairs are so small that this many would fit (then 1.1 to 1.6 times).
ROOM_FOR_TWO = 16
# Bytes of the smallest gradient worth the trouble: a smaller one stays in the cache of a core,
# where the sum over steps costs less than the handles do, some 30 us a step (at a fifth of it, B=8,
# linear maps took 1.6 times as long).
SMALLEST = 2**20
# The priority of autograd's AccumulateGrad: a node runs as soon as it has all of its gradients.
AT_ONCE = 2**64 - 1


@dataclass(eq=False, slots=True)
class Step:
    """One use of weights in a recurrence; made by :func:`unroll`.

    Attributes:
        made_for: The weights given to ``unroll``.
        batch: Batch size of the use.
        weight: The same weights ready for products (under autocast in its dtype).
        bias: ``[N, Cout]`` or None, likewise.
        x: Dummy ``[N, B, Cin]`` whose gradient is the input of the step, or None when autograd
            forms the weight gradient by itself.
        y: Dummy ``[N, B, Cout]`` whose gradient is the gradient of the output, or None.
        fused: Whether the C++ kernels compute the products.
        used: Whether the handle was taken; a handle is good for one use.
    """

    made_for: Tensor
    batch: int
    weight: Tensor
    bias: Tensor | None
    x: Tensor | None = None
    y: Tensor | None = None
    fused: bool = False
    used: bool = False

    @property
    def batched(self) -> bool:
        """Whether the weight gradient waits for other steps."""
        return self.x is not None


def unroll(
    weight: Tensor, bias: Tensor | None, steps: int, batch: int, *, backend: str = "auto"
) -> list[Step]:
    r"""Handles for using the same weights at every step of a recurrence.

    .. math::
        dW_n = \sum_t x_{n,t}^\top dy_{n,t} = [x_{n,1}; \dots; x_{n,T}]^\top
        [dy_{n,1}; \dots; dy_{n,T}]

    The sum is taken over as many steps at a time as keep the pairs within ``PAYLOAD`` times the
    memory of the weight gradient. Where there are fewer than ``FEWEST`` (large batches, or two
    steps, unless their pairs are small) or the weights are below ``SMALLEST``, weight gradients
    are not the bottleneck, and the handles leave them to autograd. Call it under the same autocast
    as the steps.

    Args:
        weight: ``[N, Cin, Cout]``.
        bias: ``[N, Cout]`` or None.
        steps: Number of uses ``T``; fewer may be taken.
        batch: Batch size ``B`` of every use.
        backend: Backend of the products; see :func:`untied_linear`.

    Returns:
        ``T`` one-use handles for ``untied_linear(x, weight, bias, step=handle)``.

    Raises:
        ValueError: ``steps`` or ``batch`` below one, or a ``backend`` that cannot run here.

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
    fused = takes_kernel(backend, weight)
    together = _steps_per_gradient(weight, batch)
    if steps < 2 or together < (FEWEST if steps >= FEWEST else ROOM_FOR_TWO):
        return [Step(weight, batch, weight, bias, fused=fused) for _ in range(steps)]
    # One cast for all steps: autocast itself would cast again at each of them.
    dtype = product_dtype(weight)
    cast, cast_bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    handles: list[Step] = []
    while len(handles) < steps:
        count = min(together, steps - len(handles))
        pairs = _pairs(cast, cast_bias, count, batch, fused, frugal=together < steps)
        handles += [Step(weight, batch, cast, cast_bias, x, y, fused) for x, y in pairs]
    return handles


def take(step: Step, x: Tensor, weight: Tensor) -> None:
    """Marks a handle as used; raises when it is not for this use."""
    if x.shape[1] != step.batch:
        raise ValueError(
            f"the handle was made for a batch of {step.batch}, got x [N, B, Cin] of "
            f"{list(x.shape)}: call untied_linear.unroll with this batch size"
        )
    # Recomputation, inside a backward pass, is no second use.
    if torch.compiler.is_compiling() or torch._C._current_graph_task_id() != -1:
        return
    if step.made_for is not weight:
        raise ValueError(
            "the handle was made for other weights, which would get the gradient of these: "
            "use the handles of untied_linear.unroll(weight, ...) with that weight"
        )
    if step.used:
        raise RuntimeError(
            "a step handle is good for one use: two uses would add up their inputs. Take one "
            "handle per application from untied_linear.unroll(weight, bias, steps, batch)"
        )
    step.used = True


def step_linear(x: Tensor, step: Step) -> Tensor:
    """``y_n = x_n W_n + b_n`` with its weight gradient left to the node of ``step``."""
    if product_dtype(x) != x.dtype:
        x = x.to(step.weight.dtype)
    kind = (step.weight.dtype, step.weight.device, step.weight.layout)
    fused = step.fused and (x.dtype, x.device, x.layout) == kind
    return StepLinear.apply(x, step.weight, step.bias, step.x, step.y, fused)


def _steps_per_gradient(weight: Tensor, batch: int) -> int:
    if not (weight.requires_grad and torch.is_grad_enabled()) or transformed():
        return 0
    if weight.numel() * weight.element_size() < SMALLEST:
        return 0
    _, cin, cout = weight.shape
    return int(PAYLOAD * cin * cout / (batch * (cin + cout)))


def _pairs(
    weight: Tensor, bias: Tensor | None, steps: int, batch: int, fused: bool, frugal: bool
) -> list[tuple[Tensor, Tensor]]:
    dummies = Unroll.apply(weight, bias, steps, batch, fused, frugal)
    if not torch.compiler.is_compiling():
        # The engine runs the youngest ready node first. This one is older than all steps: without
        # a word it would wait, and hold its pairs, until the backward pass is over.
        dummies[0].grad_fn._set_sequence_nr(AT_ONCE)
    return list(zip(dummies[::2], dummies[1::2], strict=True))
