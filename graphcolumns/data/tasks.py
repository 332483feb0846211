"""The tasks that need no numbers of their own, and all tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from graphcolumns.data import losses, metrics
from graphcolumns.data.check_targets import check_bits, check_class_ids, check_values
from graphcolumns.data.metrics import Metric
from graphcolumns.data.regression import Regression
from graphcolumns.data.task import Task
from graphcolumns.nn.batches import Inputs


class Classification(Task):
    """One of K classes: logits ``[B, K]``, targets ``[B]`` int64, cross-entropy."""

    name = "classification"
    outputs = "classes"
    main = "accuracy"
    answers = "classes"

    def loss(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        return losses.cross_entropy(prediction, targets)

    def per_sample(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, ``[B]``."""
        return losses.cross_entropy_each(prediction, targets)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, beside the loss."""
        return {"accuracy": Metric(metrics.accuracy, "higher", "fraction")}

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs, see ``Task.check``."""
        check_class_ids(name, targets, inputs, num_outputs)


class MultiLabel(Task):
    """K yes-or-no answers: log odds ``[B, K]``, targets ``[B, K]`` of 0 and 1, cross-entropy."""

    name = "multi_label"
    outputs = "answers"
    main = "accuracy"
    answers = "bits"

    def loss(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        return losses.binary_cross_entropy(prediction, targets)

    def per_sample(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, ``[B]``."""
        return losses.binary_cross_entropy_each(prediction, targets)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, beside the loss."""
        return {"accuracy": Metric(metrics.binary_accuracy, "higher", "fraction")}

    def num_outputs(self, targets: Tensor) -> int | None:
        """The number of values per sample, as the targets have it."""
        return targets.shape[1] if targets.ndim == 2 else None

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs, see ``Task.check``."""
        check_bits(name, targets, inputs, num_outputs)


class Reconstruction(Task):
    """Every value of the targets ``[B, ...]``, such as a clean image: ``[B, K]``, squared error."""

    name = "reconstruction"

    def loss(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        return losses.squared_error(prediction, targets)

    def per_sample(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, ``[B]``."""
        return losses.squared_error_each(prediction, targets)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, beside the loss."""
        return {
            "normalised_error": Metric(metrics.normalised_error, "lower", "1"),
            "psnr": Metric(metrics.psnr, "higher", "dB"),
        }

    def num_outputs(self, targets: Tensor) -> int | None:
        """The number of values per sample, as the targets have it."""
        return targets[0].numel() if len(targets) else None

    def prediction_shapes(self, targets: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The shape of the targets."""
        return [(1, *targets)]

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs, see ``Task.check``."""
        check_values(name, targets, inputs, num_outputs)


# By the names of configurations; "binary" and "denoising" are those of earlier versions.
TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "classification": Classification(),
        "multi_label": MultiLabel(),
        "binary": MultiLabel(),
        "regression": Regression(),
        "reconstruction": Reconstruction(),
        "denoising": Reconstruction(),
    }
)


def task_named(task: Task | str) -> Task:
    """A task by its name, or as it is.

    Raises:
        ValueError: The name of no task.
        TypeError: Neither a task nor a name.
    """
    if isinstance(task, Task):
        return task
    if not isinstance(task, str):
        raise TypeError(f"task must be a Task or the name of one. Got {type(task).__name__}.")
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(map(repr, TASKS))}. Got {task!r}.")
    return TASKS[task]
