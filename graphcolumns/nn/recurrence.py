"""Steps of columns: which weights act when, and what is kept for the backward pass."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphcolumns.nn.column import Column
from graphcolumns.nn.untied import Use
from graphcolumns.ops.context import transformed

Uses = dict[str, Use] | None


def recurrent_steps(
    columns: nn.ModuleList, depth: int, batch: int
) -> Iterator[tuple[nn.Module, Uses]]:
    """The column of every step: a single one again and again, or one after the other.

    Args:
        columns: One :class:`Column` for all steps (recurrent), or one per step.
        depth: Number of steps ``T``.
        batch: Batch size ``B``.

    Yields:
        A column, and its weights for this step when their gradients are formed over all steps.
    """
    first = columns[0] if len(columns) == 1 else None
    if isinstance(first, Column):
        yield from ((first, uses) for uses in first.unroll(depth, batch))
    else:
        yield from ((column, None) for column in columns[:depth])


def run_step(memory: str, column: nn.Module, *inputs: Any) -> tuple[Tensor, Tensor | None]:
    """One step; with ``memory="recompute"`` its activations are computed again when needed.

    Under function transforms they are kept: torch has no hooks there that could compute them again.
    """
    if memory == "recompute" and torch.is_grad_enabled() and not transformed():
        result: Any = checkpoint(column, *inputs, use_reentrant=False)
        return result
    return column(*inputs)


def embedding(*shape: int) -> nn.Parameter:
    """A learned code of columns or steps."""
    parameter = nn.Parameter(torch.empty(shape))
    nn.init.trunc_normal_(parameter, std=0.02)
    return parameter
