"""The best validation score of a run, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from graphcolumns.checkpoint import Best
from graphcolumns.data import Dataset

Score = Literal["auto", "accuracy", "loss"]


def best_metric(data: Dataset, best: Score | None, evaluate_every: int | None) -> str | None:
    """The score by which the best checkpoint is chosen; None if none is kept.

    Never a score of the test half: only a validation fold that is scored while training counts.

    Raises:
        ValueError: an unknown score, or an accuracy of a task that has none.
    """
    if best is not None and best not in get_args(Score):
        raise ValueError(f"best must be 'auto', 'accuracy', 'loss' or None (null). Got {best!r}.")
    if best is None or evaluate_every is None or data.held_out != "validation":
        return None
    has_accuracy = "accuracy" in data.task.metrics
    if best == "accuracy" and not has_accuracy:
        raise ValueError(f"best='accuracy' needs a task with answers. Got {data}; use 'loss'.")
    return "validation_loss" if best == "loss" or not has_accuracy else "validation_accuracy"


def better(
    best: Best | None, metric: str | None, scores: Mapping[str, float], step: int
) -> Best | None:
    """The score of this step if it is the best so far, else None; of equal ones the first stays.

    An accuracy is better when it is higher, a loss when it is lower.
    """
    if metric is None or metric not in scores:
        return None
    if best is not None and best.metric != metric:
        best = None  # another score decided so far
    value = float(scores[metric])
    sign = -1.0 if metric.endswith("loss") else 1.0
    if value != value or (best is not None and sign * value <= sign * best.value):
        return None
    return Best(step, metric, value)
