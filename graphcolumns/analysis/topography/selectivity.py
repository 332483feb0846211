"""How well the response of a column tells one category from all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphcolumns.analysis.topography.inputs import Floats, as_responses


def category_selectivity(responses: Any, members: Any, ddof: int = 0) -> Floats:
    r"""Selectivity d' of every column for one category of samples.

    .. math::
        d' = \frac{\mu_{in} - \mu_{out}}{\sqrt{(\sigma^2_{in} + \sigma^2_{out}) / 2}}

    Positive if the column responds more to the category, 0 if it responds to all alike.

    Args:
        responses: Responses ``[S, N]`` of samples x columns, in your order of columns.
        members: Whether each sample is of the category, ``[S]`` bool.
        ddof: Number that variances subtract from the number of samples: 0, or 1 for variances
            without bias.

    Returns:
        Selectivity in standard deviations, ``[N]``; NaN for a column without variance inside and
        outside.

    Raises:
        ValueError: Responses of another shape or not finite, members of another number, a category
            with no more than ``ddof`` samples inside or outside, another ddof.
        TypeError: Members that are not bool.

    Source: Green and Swets, Signal detection theory and psychophysics, Wiley 1966. Lu et al.,
    End-to-end topographic networks as models of cortical map formation and human visual behaviour,
    Nature Human Behaviour 9 (2025), https://doi.org/10.1038/s41562-025-02220-7.
    """
    found = as_responses(responses)
    inside = np.asarray(members)
    if inside.dtype != np.bool_:
        raise TypeError(
            f"members must be bool, one per sample. Got {inside.dtype}; pass labels == category."
        )
    if inside.shape != (len(found),):
        raise ValueError(
            f"members must be one per sample, [S] = [{len(found)}]. Got {list(inside.shape)}."
        )
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1. Got {ddof}.")
    count = int(inside.sum())
    if min(count, len(found) - count) <= ddof:
        raise ValueError(
            f"a category needs at least {ddof + 1} samples inside and outside. Got {count} inside, "
            f"{len(found) - count} outside."
        )
    one, other = found[inside], found[~inside]
    variance = (_variance(one, ddof) + _variance(other, ddof)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        selectivity = (one.mean(0) - other.mean(0)) / np.sqrt(variance)
    return np.where(variance > 0, selectivity, np.nan)


def _variance(values: Floats, ddof: int) -> Floats:
    # The variance of equal numbers is exactly 0, which rounding of their mean would hide.
    return np.where((values == values[0]).all(0), 0.0, values.var(0, ddof=ddof))
