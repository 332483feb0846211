"""Metrics of tasks: pure functions of all predictions and targets of one half of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Direction = Literal["higher", "lower"]


class Metric(NamedTuple):
    """A number that says how good predictions are.

    Attributes:
        function: Function of predictions and targets, ``[n, ...]`` each, that returns a number.
        direction: Better direction, ``"higher"`` or ``"lower"``.
        unit: Unit of the number, such as ``"fraction"`` or ``"dB"``; ``"1"`` for a pure number.
    """

    function: Callable[[Tensor, Tensor], Tensor | float]
    direction: Direction
    unit: str = "1"


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """The fraction of samples whose largest logit is that of their class.

    Args:
        logits: One value per class, ``[n, K]``.
        targets: Classes, ``[n]``.
    """
    return (logits.argmax(1) == targets).double().mean()


def binary_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """The fraction of all yes-or-no answers that are right.

    Args:
        logits: Log odds of the answer yes, ``[n, K]``.
        targets: Answers, ``[n, K]`` of 0 and 1.
    """
    return ((logits > 0) == targets.bool()).double().mean()


def r2_per_target(predicted: Tensor, targets: Tensor) -> Tensor:
    r"""Coefficient of determination of every target over samples, ``[V]`` float64.

    .. math::
        R^2_v = 1 - \frac{\sum_b (y_{bv} - \hat y_{bv})^2}{\sum_b (y_{bv} - \bar y_v)^2}

    as ``sklearn.metrics.r2_score(..., multioutput="raw_values")``. It is 1 at best, 0 for the mean
    of the targets and negative below, :math:`-\infty` for predictions with NaN or infinity. NaN
    where it is not defined: for a target that is constant, or measured less than twice.

    Args:
        predicted: Predicted responses, ``[n, V]``.
        targets: Measured responses, ``[n, V]``; samples where a target is NaN are left out of it.
    """
    measured = ~targets.isnan()
    error = torch.where(measured, predicted.double() - targets.double(), 0.0).square().sum(0)
    # NaN is left out of medians, and no prediction may be left out by being wrong enough.
    error = error.nan_to_num(torch.inf, posinf=torch.inf)
    centred = _centred(targets, measured)
    return 1 - error / _positive(centred.square().sum(0))


def pearson_per_target(predicted: Tensor, targets: Tensor) -> Tensor:
    r"""Pearson's correlation of every target over samples, ``[V]`` float64.

    .. math::
        r_v = \frac{\sum_b (y_{bv} - \bar y_v)(\hat y_{bv} - \bar{\hat y}_v)}
        {\sqrt{\sum_b (y_{bv} - \bar y_v)^2 \sum_b (\hat y_{bv} - \bar{\hat y}_v)^2}}

    as ``scipy.stats.pearsonr``, with 0 for predictions that are constant, or have NaN or infinity.
    NaN where it is not defined: for a target that is constant, or measured less than twice.

    Args:
        predicted: Predicted responses, ``[n, V]``.
        targets: Measured responses, ``[n, V]``; samples where a target is NaN are left out of it.
    """
    measured = ~targets.isnan()
    usable = (predicted.isfinite() | ~measured).all(0)
    y, p = _centred(targets, measured), _centred(predicted, measured & usable)
    norms = _positive(y.square().sum(0)).sqrt() * p.square().sum(0).sqrt()
    return torch.where(norms == 0, 0.0, (y * p).sum(0) / norms)


def ceiling_fraction_per_target(predicted: Tensor, targets: Tensor, ceiling: Tensor) -> Tensor:
    r"""The share of the explainable variance that is explained, ``[V]`` float64.

    .. math::
        f_v = \max(r_v, 0)^2 / \mathrm{NC}_v

    NaN where the ceiling is 0 or :math:`r_v` is not defined. It may exceed 1, because both are
    estimates.

    Args:
        predicted: Predicted responses, ``[n, V]``.
        targets: Measured responses, ``[n, V]``.
        ceiling: Noise ceiling of every target, ``[V]``: the share of its variance that the
            stimulus explains.

    Source: the noise-normalised squared correlation of the Algonauts Project 2023, Gifford et al.
        (https://arxiv.org/abs/2301.03198).
    """
    share = pearson_per_target(predicted, targets).clamp(min=0).square()
    return share / _positive(ceiling.double())


def clipped_ceiling_fraction_per_target(
    predicted: Tensor, targets: Tensor, ceiling: Tensor
) -> Tensor:
    r"""``ceiling_fraction_per_target`` with 1 where it exceeds 1, ``[V]`` float64 in [0, 1] or NaN.

    .. math::
        \min(f_v, 1) = \min(\max(r_v, 0)^2 / \mathrm{NC}_v, 1)

    A target with a ceiling of 0 is NaN here too: a tiny number in place of its ceiling would make
    it score 1 for any correlation above 0.

    Args:
        predicted: Predicted responses, ``[n, V]``.
        targets: Measured responses, ``[n, V]``.
        ceiling: Noise ceiling of every target, ``[V]``.
    """
    return ceiling_fraction_per_target(predicted, targets, ceiling).clamp(max=1)


def median(values: Tensor) -> Tensor:
    """The median of the values that are not NaN; of two middle ones the mean, as NumPy's."""
    return torch.nanquantile(values, 0.5)


def psnr(predicted: Tensor, targets: Tensor) -> Tensor:
    r"""Peak signal-to-noise ratio in decibels, :math:`10 \log_{10} (R^2 / \mathrm{MSE})`.

    The peak :math:`R` is the range of all targets, their maximum minus their minimum.

    Args:
        predicted: Predicted values, ``[n, K]`` or the shape of the targets.
        targets: True values, ``[n, ...]``.
    """
    span = targets.max().double() - targets.min().double()
    return 20 * span.log10() - 10 * _mean_squared(predicted, targets).log10()


def normalised_error(predicted: Tensor, targets: Tensor) -> Tensor:
    r"""Normalised mean squared error, :math:`\sum (y - \hat y)^2 / \sum y^2`.

    Args:
        predicted: Predicted values, ``[n, K]`` or the shape of the targets.
        targets: True values, ``[n, ...]``.
    """
    return _mean_squared(predicted, targets) / _positive(targets.double().square().mean())


def _mean_squared(predicted: Tensor, targets: Tensor) -> Tensor:
    return (predicted.flatten(1).double() - targets.flatten(1).double()).square().mean()


def _centred(values: Tensor, measured: Tensor) -> Tensor:
    """Values minus their mean over the samples that count, 0 elsewhere."""
    known = torch.where(measured, values.double(), 0.0)
    mean = known.sum(0) / measured.sum(0).clamp(min=1)
    # A constant target is exactly 0 here, whatever its mean was rounded to.
    lowest = torch.where(measured, values.double(), torch.inf).amin(0)
    highest = torch.where(measured, values.double(), -torch.inf).amax(0)
    return torch.where(measured & (lowest < highest), known - mean, 0.0)


def _positive(values: Tensor) -> Tensor:
    """Values as they are, NaN where they are not above 0."""
    return torch.where(values > 0, values, torch.nan)
