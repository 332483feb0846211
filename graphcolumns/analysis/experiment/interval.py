"""How sure a mean of a few seeds is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, sqrt
from statistics import mean, stdev
from typing import NamedTuple

from scipy.special import stdtrit  # the quantile of t; scipy.stats takes a second to import

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean with its confidence interval."""

    mean: float
    low: float
    high: float
    size: int  # values behind it


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Mean of independent values, with the interval of Student's t.

    ``mean +- t_{(1 + confidence) / 2, n - 1} * s / sqrt(n)``, s the standard deviation with n - 1
    (Student, "The probable error of a mean", Biometrika 1908).

    Args:
        values: Values, at least one, in any unit.
        confidence: Probability that such intervals hold the true mean.

    Returns:
        Mean, ends of the interval (nan for a single value) and n.

    Raises:
        ValueError: No value.
    """
    if not values:
        raise ValueError("a mean needs at least one value. Got none.")
    count, centre = len(values), mean(values)
    if count == 1:
        return Interval(centre, nan, nan, count)
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * stdev(values) / sqrt(count)
    return Interval(centre, centre - half, centre + half, count)


def paired_interval(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = CONFIDENCE
) -> Interval:
    """Mean of ``values[seed] - baseline[seed]`` over the seeds that both have, with its interval.

    What a seed changes for both (the order of samples, the initial weights) cancels, so this
    interval is the one to look at when two arms are compared.

    Args:
        values: Values, at least one, in any unit.
        baseline: Result of the arm that it is compared with, by seed.
        confidence: Probability that such intervals hold the true mean.

    Raises:
        ValueError: No seed in common.
    """
    seeds = [seed for seed in values if seed in baseline]
    if not seeds:
        raise ValueError(
            f"paired differences need seeds in common. Got {[*values]} and {[*baseline]}."
        )
    return mean_interval([values[seed] - baseline[seed] for seed in seeds], confidence)
