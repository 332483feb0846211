"""What a task is: what a prediction is, what it costs, and how good it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from graphcolumns.data.metrics import Direction, Metric
from graphcolumns.nn.batches import Inputs


class Task:
    """A task as a value: the loss, the same of every sample, and metrics with their directions.

    Derive from it for a task of your own: ``name``, ``per_sample``, ``num_outputs`` and ``check``
    at least; ``metrics`` and ``main`` if something else than the loss is to be reported.

    Attributes:
        name: Name of the task.
        main: Metric that is shown first and decides which checkpoint is the best, or ``"loss"``.
        answers: Kind of labels that a model's own prediction defines, for scores under labels
            drawn from the model: ``"classes"``, ``"bits"`` or None.
        outputs: Noun for the values that are predicted per sample, for messages.
        groups: Names of groups of samples that have scores of their own, see ``group_of``.
    """

    name: ClassVar[str]
    main: ClassVar[str] = "loss"
    answers: ClassVar[Literal["classes", "bits"] | None] = None
    groups: tuple[str, ...] = ()
    outputs: ClassVar[str] = "values"

    def loss(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar: the mean of ``per_sample``."""
        return self.per_sample(prediction, targets).mean()

    def per_sample(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, ``[B]``."""
        raise NotImplementedError(f"{type(self).__name__} must define per_sample.")

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, beside the loss."""
        return {}

    def direction(self, metric: str) -> Direction:
        """The better direction of a metric or of the loss."""
        found = [m for name, m in self.metrics.items() if f"{metric}_".startswith(f"{name}_")]
        return found[0].direction if found else "lower"

    def num_outputs(self, targets: Tensor) -> int | None:
        """The number of values that are predicted per sample; None if targets do not say it."""
        return None

    def prediction_shapes(self, targets: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Further shapes of the prediction of one sample, besides ``(1, num_outputs)``.

        Args:
            targets: Shape of the targets of one sample.
        """
        return []

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs.

        Args:
            name: Name of the targets in messages.
            targets: Targets, ``[n, ...]``.
            inputs: Inputs, a tensor or a mapping of tensors.
            num_outputs: Number of values that are predicted per sample.
        """

    def group_of(self, inputs: Inputs) -> Tensor | None:
        """The group of every sample, ``[B]`` int64 into ``groups``; None without groups."""
        return None

    def to(self, device: torch.device | str) -> Task:
        """The same task with its tensors on ``device``."""
        return self

    def described(self) -> Any:
        """What tells this task from another one, for the fingerprint of a run."""
        return self.name

    def __repr__(self) -> str:
        return repr(self.name)
