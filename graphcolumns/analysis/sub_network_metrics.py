"""Metrics of instructed models, functions of (model, data) for ``train`` and configurations.

Where a model has no gates, or data have no second instruction, they are NaN: one configuration does
for all models of a comparison. Instructions with arguments have no next one.
"""

from __future__ import annotations

from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.analysis.sub_networks import has_gates, sub_networks
from graphcolumns.nn.held_out import reads_held_out
from graphcolumns.nn.protocols import prediction_of
from graphcolumns.nn.recording import evaluating

BATCH = 256


def sub_network_share(
    model: nn.Module, data: Any, population: str | None = None, task: int | None = None
) -> float:
    """Share of neurons that an instruction opens.

    Args:
        model: Model with gates.
        data: Data set, which is not looked at.
        population: Name of one population (default: the mean over populations).
        task: Id of one task (default: the mean over tasks).
    """
    if not has_gates(model):
        return nan
    shares = _of(sub_networks(model).shares, population)
    return float((shares if task is None else shares[:, task]).mean())


def sub_network_iou(model: nn.Module, data: Any, population: str | None = None) -> float:
    """Intersection over union of the sub-networks of two tasks, mean over pairs of tasks.

    Args:
        model: Model with gates and two tasks or more.
        data: Data set, which is not looked at.
        population: Name of one population (default: the mean over populations).
    """
    return _mean_overlap(model, "iou", population)


def sub_network_cosine(model: nn.Module, data: Any, population: str | None = None) -> float:
    """Cosine between the gates of two tasks, mean over pairs of tasks.

    Args:
        model: Model with gates and two tasks or more.
        data: Data set, which is not looked at.
        population: Name of one population (default: the mean over populations).
    """
    return _mean_overlap(model, "cosine", population)


@reads_held_out
def wrong_instruction_score(model: nn.Module, data: Any) -> float:
    """Main metric of held-out samples, each under the next instruction in place of its own.

    Predictions are compared with the answers to the right instruction: a network that follows
    instructions falls to the score of a guess.

    Args:
        model: Instructed model.
        data: Data set with an instructed task.
    """
    if len(data.task.groups) < 2 or getattr(data.task, "arguments", False):
        return nan
    predictions, targets = [], []
    with evaluating(model), torch.no_grad():
        for inputs, wanted in data.in_order("test", BATCH, data.num_scored("test")):
            predictions.append(prediction_of(model(_next(inputs, data.task))))
            targets.append(wanted)
    metric = data.task.metrics[data.task.main]
    return float(metric.function(torch.cat(predictions), torch.cat(targets)))


def _next(inputs: Any, task: Any) -> Any:
    """The same inputs with the next instruction."""
    given = inputs[task.key]
    following = (given + 1) % len(task.groups) if given.ndim == 1 else given.roll(1, 1)
    return {**inputs, task.key: following}


def _of(values: dict[str, Tensor], population: str | None) -> Tensor:
    """Values of all populations, or of one, the populations first."""
    if population is None:
        return torch.stack(list(values.values()))
    if population not in values:
        raise ValueError(
            "population must be one with gates. Expected one of "
            f"{', '.join(map(repr, values))}. Got {population!r}."
        )
    return values[population][None]


def _mean_overlap(model: nn.Module, kind: str, population: str | None) -> float:
    """Mean over populations and pairs of different tasks; NaN with one task, or without gates."""
    if not has_gates(model):
        return nan
    overlaps = _of(sub_networks(model).overlaps(kind), population)
    tasks = overlaps.shape[-1]
    first, second = torch.triu_indices(tasks, tasks, 1)
    return float(overlaps[:, first, second].nanmean())
