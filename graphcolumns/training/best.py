"""The best validation score of a run, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graphcolumns.checkpoint import Best
from graphcolumns.data import AnyDataset
from graphcolumns.data.metrics import Direction


class Criterion(NamedTuple):
    """A score, and the direction in which it is better."""

    metric: str
    direction: Direction


def best_metric(data: AnyDataset, best: str | None, evaluate_every: int | None) -> Criterion | None:
    """The score by which the best checkpoint is chosen; None if none is kept.

    Never a score of the test half: only a validation fold that is scored while training counts.

    Args:
        data: Data set, whose task has the metrics.
        best: ``"loss"``, a metric of the task, ``"auto"`` for its main one, or None.
        evaluate_every: Steps between scores, or None.

    Raises:
        ValueError: The task has no such score.
    """
    task = data.task
    groups = [f"{task.main}_{group}" for group in task.groups]
    names = ["auto", "loss", *task.metrics, *groups]
    if best is not None and best not in names:
        raise ValueError(
            f"best must be None (null) or a score of the task {task!r}: "
            f"{', '.join(map(repr, names))}. Got {best!r}."
        )
    if best is None or evaluate_every is None or data.held_out != "validation":
        return None
    name = task.main if best == "auto" else best
    return Criterion(f"validation_{name}", task.direction(name))


def better(
    best: Best | None, criterion: Criterion | None, scores: Mapping[str, float], step: int
) -> Best | None:
    """The score of this step if it is the best so far, else None; of equal ones the first stays."""
    if criterion is None or criterion.metric not in scores:
        return None
    metric, direction = criterion
    if best is not None and best.metric != metric:
        best = None  # another score decided so far
    value = float(scores[metric])
    sign = -1.0 if direction == "lower" else 1.0
    if value != value or (best is not None and sign * value <= sign * best.value):
        return None
    return Best(step, metric, value)
