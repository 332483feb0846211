"""The first step at which a column responds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from graphcolumns.analysis.function.checks import class_numbers
from graphcolumns.analysis.function.decoding import decoding_accuracy
from graphcolumns.analysis.function.model_states import ModelStates
from graphcolumns.geometry.checks import check_choice

Response = Literal["change", "d_prime", "decoding"]


class ResponseLatency(NamedTuple):
    """When columns respond first.

    Attributes:
        latency: First step with a score above the threshold, ``[N]`` float64, 1 for the first step;
            NaN where there is none.
        scores: Score of every column after every step, ``[T, N]`` float64.
        threshold: Threshold of the scores.
        response: Kind of score.
    """

    latency: Tensor
    scores: Tensor
    threshold: float
    response: Response


def response_latency(
    states: ModelStates,
    labels: Tensor | None = None,
    *,
    response: Response,
    threshold: float,
    baseline: ModelStates | None = None,
    ridge: float = 1.0,
    seed: int = 0,
) -> ResponseLatency:
    """First-response latency: the first step at which a score of a column exceeds a threshold.

    Fix the threshold before looking at the edges, or an order of columns by latency is no evidence
    on them. The score is

    - ``"change"``: root mean square over samples and channels of the difference to the baseline
      after the same step, in the unit of states; no labels are needed;
    - ``"d_prime"``: see :func:`d_prime`;
    - ``"decoding"``: see :func:`decoding_accuracy`, with 5 parts of the samples. Chance is the
      share of the most frequent class.

    A maximum over classes and channels is above 0 by chance too: find out with permuted labels
    which threshold chance does not exceed.

    Args:
        states: States of ``N`` columns after ``T`` steps.
        labels: Classes, ``[S]`` int64, for ``"d_prime"`` and ``"decoding"``.
        response: Kind of score.
        threshold: Value that the score must exceed.
        baseline: States without the stimulus, for ``"change"``: of one sample, which is compared
            with all, or of as many as ``states``, which are compared in pairs.
        ridge: Weight of the squared norm of the classifier, for ``"decoding"``.
        seed: Seed of the parts of the samples, for ``"decoding"``.

    Raises:
        ValueError: An unknown kind, labels or a baseline that are missing or do not fit, or a
            threshold that is NaN.
        TypeError: Labels that are not int64.
    """
    check_choice("response", response, ("change", "d_prime", "decoding"))
    if threshold != threshold:
        raise ValueError("threshold must be a number. Got NaN.")
    if response == "change":
        scores = _change(states, baseline)
    elif labels is None:
        raise ValueError(f"response={response!r} needs labels. Got none; pass classes [S].")
    else:
        kept: Tensor = labels
        score: Callable[[Tensor], Tensor] = (
            (lambda state: d_prime(state, kept))
            if response == "d_prime"
            else (lambda state: decoding_accuracy(state, kept, ridge=ridge, seed=seed))
        )
        scores = torch.stack([score(state) for state in states.values])
    above = scores > threshold
    steps = torch.tensor(states.steps, dtype=torch.float64)
    first = steps[above.double().argmax(0)]
    latency = torch.where(above.any(0), first, torch.nan)
    return ResponseLatency(latency, scores, float(threshold), response)


def d_prime(states: Tensor, labels: Tensor) -> Tensor:
    r"""Largest sensitivity of a column to a class, over its channels and all classes.

    .. math::
        d' = \frac{|\mu_{in} - \mu_{out}|}{\sqrt{(\sigma^2_{in} + \sigma^2_{out}) / 2}}

    with means and variances of a channel over samples inside and outside of a class. A channel with
    the same value for all samples has 0, one that is constant inside and outside of the class but
    not over both has infinity.

    Args:
        states: States after one step, ``[N, S, C]``.
        labels: Classes, ``[S]`` int64.

    Returns:
        ``[N]`` float64, in standard deviations.

    Raises:
        ValueError: Labels of other samples, or of one class.
        TypeError: Labels that are not int64.
    """
    numbers, values = class_numbers(labels, states.shape[1]), states.double()
    largest = torch.zeros(len(values), dtype=torch.float64)
    for number in range(int(numbers.max()) + 1):
        inside = numbers == number
        one, other = values[:, inside], values[:, ~inside]
        gap = (one.mean(1) - other.mean(1)).abs()
        noise = ((one.var(1, correction=0) + other.var(1, correction=0)) / 2).sqrt()
        # The mean of equal values differs from them by rounding.
        gap = gap.masked_fill(values.amax(1) == values.amin(1), 0.0)
        sensitivity = torch.where(gap > 0, gap / noise, 0.0)
        largest = torch.maximum(largest, sensitivity.amax(1))
    return largest


def _change(states: ModelStates, baseline: ModelStates | None) -> Tensor:
    if baseline is None:
        raise ValueError("response='change' needs a baseline. Got none; pass ModelStates.")
    values, rest = states.values.double(), baseline.values.double()
    expected = [1, values.shape[2]]
    same = (*values.shape[:2], values.shape[3]) == (*rest.shape[:2], rest.shape[3])
    if not same or rest.shape[2] not in expected:
        raise ValueError(
            "the baseline must have the steps, columns and channels of the states and one sample "
            f"or as many. Expected {list(values.shape)}. Got {list(rest.shape)}."
        )
    return (values - rest).square().mean((2, 3)).sqrt()
