"""Metrics that look at held-out samples say so, and are computed where these may be scored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def reads_held_out(metric: Callable[..., float]) -> Callable[..., float]:
    """Marks a metric, a function of (model, data), that looks at held-out samples.

    ``train`` leaves it out where the held-out half may not be scored: along the way if that half is
    the test half, and with ``evaluate_test=False``. As a decorator, or as an attribute
    ``reads_held_out`` that is True.

    Args:
        metric: Function of (model, data).

    Example:
        >>> from graphcolumns.nn.held_out import reads_held_out
        >>> @reads_held_out
        ... def mean_prediction(model, data):
        ...     return float(model(data.test_inputs).prediction.mean())
    """
    metric.__dict__["reads_held_out"] = True
    return metric


def needs_held_out(metric: Any) -> bool:
    """Whether a metric, or the function that it calls with some arguments, is so marked."""
    while isinstance(metric, partial):
        metric = metric.func
    return bool(getattr(metric, "reads_held_out", False))
