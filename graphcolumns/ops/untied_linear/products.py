"""The sum of weight gradients over steps in plain torch, with little memory traffic.

Where the C++ kernels run (see ops/backend.py) they form the sum instead.
"""

import torch
from torch import Tensor

from graphcolumns.ops import kernels
from graphcolumns.ops.context import batched

# On a CPU the gradient is updated in place, once per so many rows: copying more pairs together
# costs more than another pass over a gradient that is in the cache.
ROWS_PER_PRODUCT = 8
# Bytes of the gradient that are finished before the next are begun: they stay in the cache between
# updates. (At N=4096, C=64, B=8, T=8 on two cores: 60 ms, over all columns at once 70 ms.) Pairs
# copied together may take a quarter of it.
BLOCK = 2**22
# Where the gradient of other steps is in memory too, as it is in autograd, copies may take only
# this share of a gradient.
COPIED = 1 / 32


def sum_over_steps(
    xs: list[Tensor], ys: list[Tensor], frugal: bool = False
) -> tuple[Tensor, Tensor]:
    r"""``sum_t x_t^T dy_t`` and ``sum_t sum_b dy_t``.

    Args:
        xs: Inputs ``[N, B, Cin]`` of the steps.
        ys: Gradients ``[N, B, Cout]`` of their outputs.
        frugal: Save memory rather than time.

    Returns:
        The gradients of the weights ``[N, Cin, Cout]`` and of the biases ``[N, Cout]``.
    """
    on_cpu = xs[0].device.type == "cpu"
    group = -(-ROWS_PER_PRODUCT // xs[0].shape[1]) if on_cpu else len(xs)
    pairs = [
        (xs[start : start + group], ys[start : start + group]) for start in range(0, len(xs), group)
    ]
    plain = torch.is_grad_enabled() or torch.compiler.is_compiling() or batched(*xs, *ys)
    if on_cpu and not plain:
        return _in_place(pairs, frugal)
    return _traced(pairs)


def _traced(pairs: list[tuple[list[Tensor], list[Tensor]]]) -> tuple[Tensor, Tensor]:
    """Without writing in place: for compilers, for batches, and for autograd when it goes on."""
    x, y = map(_join, pairs[0])
    weight, bias = torch.bmm(x.transpose(1, 2), y), y.sum(1)
    for group in pairs[1:]:
        x, y = map(_join, group)
        weight, bias = torch.baddbmm(weight, x.transpose(1, 2), y), bias + y.sum(1)
    return weight, bias


def _in_place(
    pairs: list[tuple[list[Tensor], list[Tensor]]], frugal: bool
) -> tuple[Tensor, Tensor]:
    """A block of columns at a time."""
    x, y = pairs[0][0][0], pairs[0][1][0]
    columns, cin, cout = x.shape[0], x.shape[2], y.shape[2]
    weight, bias = x.new_empty(columns, cin, cout), y.new_zeros(columns, cout)
    kernels.advise(weight)
    copied = x.shape[1] * len(pairs[0][0]) * (cin + cout) if len(pairs[0][0]) > 1 else 0
    width = BLOCK // (x.element_size() * max(cin * cout, 4 * copied))
    if frugal and copied:
        width = min(width, int(COPIED * columns * cin * cout / copied))
    width = max(1, width)
    for block in (slice(start, start + width) for start in range(0, columns, width)):
        for index, group in enumerate(pairs):
            _add(weight[block], bias[block], group, block, first=index == 0)
    return weight, bias


def _add(
    weight: Tensor,
    bias: Tensor,
    group: tuple[list[Tensor], list[Tensor]],
    block: slice,
    first: bool,
) -> None:
    x, y = (_join([step[block] for step in steps]) for steps in group)
    weight.baddbmm_(x.transpose(1, 2), y, beta=0.0 if first else 1.0)
    bias += y.sum(1)


def _join(steps: list[Tensor]) -> Tensor:
    """The rows of several steps, ``[N, steps * B, C]``."""
    return steps[0] if len(steps) == 1 else torch.cat(steps, 1)
