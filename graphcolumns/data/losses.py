"""Losses of tasks: pure functions of a prediction and its targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from graphcolumns.ops.context import accumulator


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    r"""Classification: :math:`-\operatorname{mean}_b \log \operatorname{softmax}(z_b)_{y_b}`.

    Args:
        logits: Unnormalised log probabilities of the classes, ``[B, K]``.
        targets: Classes, ``[B]`` int64.
    """
    return functional.cross_entropy(logits.to(accumulator(logits.dtype)), targets)


def squared_error(predicted: Tensor, targets: Tensor) -> Tensor:
    r"""Reconstruction: :math:`\operatorname{mean} (y - \hat y)^2` over samples and values.

    Args:
        predicted: Predicted values, ``[B, K]`` or the shape of the targets.
        targets: Values to be reconstructed, ``[B, ...]`` with ``K`` values per sample.
    """
    return functional.mse_loss(
        predicted.to(accumulator(predicted.dtype)).flatten(1), targets.flatten(1)
    )


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    r"""Several yes-or-no answers: :math:`-\operatorname{mean} \log \sigma((2 y - 1) z)`.

    Args:
        logits: Log odds of the answer yes, ``[B, K]``.
        targets: Answers, ``[B, K]`` of 0 and 1, of any type.
    """
    logits = logits.to(accumulator(logits.dtype))
    return functional.binary_cross_entropy_with_logits(logits, targets.to(logits))


def masked_squared_error(predicted: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Regression: the mean of ``masked_squared_error_each`` over samples."""
    return masked_squared_error_each(predicted, targets, mask).mean()


def cross_entropy_each(logits: Tensor, targets: Tensor) -> Tensor:
    """``cross_entropy`` of every sample, ``[B]``."""
    return functional.cross_entropy(logits.to(accumulator(logits.dtype)), targets, reduction="none")


def squared_error_each(predicted: Tensor, targets: Tensor) -> Tensor:
    """``squared_error`` of every sample, ``[B]``: the mean over its values."""
    difference = predicted.to(accumulator(predicted.dtype)).flatten(1) - targets.flatten(1)
    return difference.square().mean(1)


def binary_cross_entropy_each(logits: Tensor, targets: Tensor) -> Tensor:
    """``binary_cross_entropy`` of every sample, ``[B]``: the mean over its answers."""
    logits = logits.to(accumulator(logits.dtype))
    each = functional.binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="none")
    return each.mean(1)


def masked_squared_error_each(
    predicted: Tensor, targets: Tensor, mask: Tensor | None = None
) -> Tensor:
    r"""Regression: :math:`\operatorname{mean}_v (y_v - \hat y_v)^2` of every sample, ``[B]``.

    The mean is over the targets of the sample that count: those in the mask that are not NaN. A
    sample without any has loss 0.

    Args:
        predicted: Predicted responses, ``[B, V]``.
        targets: Measured responses, ``[B, V]``; NaN where a response is missing.
        mask: Whether each target counts, ``[V]`` bool (default: all do).
    """
    counted = ~targets.isnan() if mask is None else ~targets.isnan() & mask
    # The difference, not its square, is masked: the gradient of a square of NaN would be NaN.
    predicted = predicted.to(accumulator(predicted.dtype))
    difference = torch.where(counted, predicted - targets.to(predicted), 0.0)
    return difference.square().sum(1) / counted.sum(1).clamp(min=1)
