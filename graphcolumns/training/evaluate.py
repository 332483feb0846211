"""Scores of a model on samples it is not learning from at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.data import AnyDataset, Task
from graphcolumns.nn.held_out import needs_held_out
from graphcolumns.nn.protocols import prediction_of
from graphcolumns.nn.recording import evaluating

# A number of the user: a function of (model, data).
Metric = Callable[[nn.Module, Any], float]


def evaluate(
    model: nn.Module, data: AnyDataset, half: str, batch_size: int = 256
) -> dict[str, float]:
    """Loss and metrics of the task on one half of the data.

    The model is put in evaluation mode (no dropout) and back; no gradients, no randomness.

    Args:
        model: Model that returns an output with a ``prediction``.
        data: Data set on the model's device.
        half: ``"train"`` or ``"test"``, the held-out half.
        batch_size: Number of samples at a time.

    Returns:
        A dictionary with ``loss``, the mean, and the metrics of ``data.task`` by name; where
        samples have groups, such as instructions, also ``METRIC_GROUP`` of the main metric.
    """
    with evaluating(model):
        prediction, targets, group = _run(model, data, half, batch_size)
    return scores_of(data.task, prediction, targets, group)


def run_scores(
    model: nn.Module, data: AnyDataset, metrics: Mapping[str, Metric], held_out: bool
) -> dict[str, float]:
    """Scores of a run by the names of the log.

    Args:
        model: Model on the device of the data.
        data: Data set that is scored.
        metrics: Functions of (model, data) by name.
        held_out: Whether to score the held-out half beside the training half; if not, metrics that
            look at it (:func:`~graphcolumns.nn.held_out.reads_held_out`) are left out.
    """
    halves = {"train": "train"} | ({data.held_out: "test"} if held_out else {})
    scores = {
        f"{name}_{key}": value
        for name, half in halves.items()
        for key, value in evaluate(model, data, half).items()
    }
    allowed = {n: metric for n, metric in metrics.items() if held_out or not needs_held_out(metric)}
    return scores | {name: float(metric(model, data)) for name, metric in allowed.items()}


def scores_of(
    task: Task, prediction: Tensor, targets: Tensor, group: Tensor | None = None
) -> dict[str, float]:
    """Loss and metrics of predictions.

    Args:
        task: Task that says which.
        prediction: Predictions, ``[n, ...]``.
        targets: Targets, ``[n, ...]``.
        group: Group of every sample, ``[n]`` int64 into ``task.groups``; groups without samples
            have no score.
    """
    metrics = task.metrics
    scores = {"loss": float(task.loss(prediction, targets))}
    scores |= {name: float(m.function(prediction, targets)) for name, m in metrics.items()}
    if group is None:
        return scores
    for number, name in enumerate(task.groups):
        inside = torch.eq(group, number)
        if bool(inside.any()):
            value = metrics[task.main].function(prediction[inside], targets[inside])
            scores[f"{task.main}_{name}"] = float(value)
    return scores


@torch.no_grad()
def _run(
    model: nn.Module, data: AnyDataset, half: str, batch_size: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Predictions, targets and groups of all samples."""
    predictions, targets, groups = [], [], []
    for inputs, part in data.in_order(half, batch_size, data.num_scored(half)):
        predictions.append(prediction_of(model(inputs), len(part)).float())
        targets.append(part)
        group = data.task.group_of(inputs)
        groups += [] if group is None else [group]
    return torch.cat(predictions), torch.cat(targets), torch.cat(groups) if groups else None
