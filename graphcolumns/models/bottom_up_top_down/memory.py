"""What another task costs in parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from graphcolumns.models.bottom_up_top_down.prefix import prefix_of


class TaskMemory(NamedTuple):
    """Parameters of a network for several tasks.

    Attributes:
        total: Number of all parameters.
        per_task: Number of those that exist once for every task, divided by the number of tasks.
        total_bytes: Bytes of all parameters.
        per_task_bytes: Bytes of those of one task.
        tasks: Number of tasks.
    """

    total: int
    per_task: float
    total_bytes: int
    per_task_bytes: float
    tasks: int

    @property
    def sentence(self) -> str:
        """In words."""
        if self.tasks == 1:
            return f"It takes {self.total_bytes:,} bytes."
        return (
            f"{self.per_task:,.0f} parameters ({self.per_task_bytes:,.0f} bytes) belong to each of "
            f"{self.tasks} tasks, {self.total - self.per_task * self.tasks:,.0f} to all of them."
        )


def task_memory(model: Any) -> TaskMemory:
    """Number and bytes of the parameters of a network, and of those of every task.

    To a task belong its row of the weights to the task population, which draw its sub-network; its
    weights where instructions come from below; its head where there are several; its network where
    networks are separate.

    Args:
        model: A :class:`BottomUpTopDown`.

    Example:
        >>> from graphcolumns.models.bottom_up_top_down import layered_top_down, task_memory
        >>> model = layered_top_down([64, 32, 10], num_instructions=2)
        >>> task_memory(model).total, task_memory(model).per_task
        (2474, 32.0)
    """
    everything = {id(p): p for p in model.parameters()}
    own: dict[int, nn.Parameter] = {}
    for source, target, layer in model.network.projections:
        heads = target == model.prediction and model.heads > 1
        ends = {source, target} & {model.task, model.task_input}
        if heads or ends or prefix_of(target):
            own |= {id(p): p for p in layer.parameters()}
    total, total_bytes = _size(everything.values())
    per_task, per_task_bytes = _size(own.values())
    tasks = model.num_instructions
    return TaskMemory(total, per_task / tasks, total_bytes, per_task_bytes / tasks, tasks)


def _size(parameters: Iterable[nn.Parameter]) -> tuple[int, int]:
    kept = list(parameters)
    return sum(p.numel() for p in kept), sum(p.numel() * p.element_size() for p in kept)
