"""The two measures of TDANN: a spatial loss of responses, and the smoothness of a map."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphcolumns.analysis.topography.inputs import (
    Floats,
    Ids,
    as_column_values,
    as_responses,
    correlation,
    distances_between,
    unit_columns,
)
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.nn.checks import check_counts


def tdann_spatial_loss(
    responses: Any,
    geometry: Geometry,
    neighbourhoods: int = 20,
    size: int = 100,
    seed: int = 0,
) -> float:
    r"""How badly the similarity of responses follows the nearness of columns.

    .. math::
        \frac{1}{2} \left(1 - r\!\left(\rho_{ij}, \frac{1}{1 + d_{ij}}\right)\right)

    with Pearson's r over all pairs of a neighbourhood, averaged over neighbourhoods;
    :math:`\rho_{ij}` is the correlation of the responses of two columns over samples. 0 if the
    closest columns respond most alike, 1/2 without topography, 1 if they respond least alike.

    A neighbourhood here is a column drawn at random and the ``size - 1`` columns nearest to it;
    the publication draws squares of cortex. The 1 in the formula is one unit of length, so that the
    loss changes with the unit: the publication takes millimetres.

    Args:
        responses: Responses ``[S, N]`` of samples x columns, in your order of columns.
        geometry: Positions of the columns.
        neighbourhoods: Number of neighbourhoods, their centres drawn with replacement.
        size: Number of columns in one, 3 or above; all of them if there are fewer.
        seed: Seed of the draws.

    Returns:
        A number in [0, 1]. Constant columns, and pairs that no path joins, are left out; NaN if in
        every neighbourhood correlations or distances do not differ.

    Raises:
        ValueError: Responses of another shape or not finite, fewer than two samples, a size below
            3.

    Source: Margalit et al., A unifying framework for functional organization in early and higher
    ventral visual cortex, Neuron 112 (2024), https://doi.org/10.1016/j.neuron.2024.04.018.
    """
    found = as_responses(responses, geometry.num_columns)
    check_counts(neighbourhoods=neighbourhoods, size=size)
    if size < 3:
        raise ValueError(f"size must be 3 or above, for more than one pair. Got {size}.")
    if len(found) < 2:
        raise ValueError(
            f"a correlation needs at least two samples. Got {len(found)} row of responses."
        )
    unit = unit_columns(found)
    centres = numpy_generator(seed).integers(0, geometry.num_columns, neighbourhoods)
    losses = [_neighbourhood_loss(unit, _nearest(geometry, c, size), geometry) for c in centres]
    known = [loss for loss in losses if np.isfinite(loss)]
    return float(np.mean(known)) if known else float("nan")


def _nearest(geometry: Geometry, centre: int, size: int) -> Ids:
    columns = np.arange(geometry.num_columns)
    distances = distances_between(geometry, np.full_like(columns, centre), columns)
    # A stable sort: of equally near columns those with smaller ids.
    return np.argsort(distances, kind="stable")[:size]


def _neighbourhood_loss(unit: Floats, ids: Ids, geometry: Geometry) -> float:
    first, second = np.triu_indices(len(ids), 1)
    similarity = (unit[:, ids].T @ unit[:, ids])[first, second]
    nearness = 1 / (1 + distances_between(geometry, ids[first], ids[second]))
    known = np.isfinite(similarity) & (nearness > 0)
    return (1 - correlation(similarity[known], nearness[known])) / 2


class MapSmoothness(NamedTuple):
    """How the difference of preferences grows with distance.

    Args:
        smoothness: ``(max c - c[0]) / max c`` of the mean curve; NaN if no two preferences differ,
            or no pair lies in the first bin.
        curve: Mean absolute difference c per bin, ``[K]``, in the unit of the preferences; NaN
            where there is no pair.
        edges: Borders of the bins, ``[K + 1]``, in the unit of the geometry.
        pairs: Number of pairs per bin, ``[K]``, summed over draws.
    """

    smoothness: float
    curve: Floats
    edges: Floats
    pairs: Ids


def tdann_smoothness(
    preferences: Any,
    geometry: Geometry,
    bins: int = 9,
    draws: int = 20,
    units: int = 1000,
    period: float | None = None,
    seed: int = 0,
) -> MapSmoothness:
    r"""Smoothness of a map of preferences: how much less neighbours differ than distant columns.

    .. math::
        \frac{\max_k c_k - c_0}{\max_k c_k}

    with :math:`c_k` the mean absolute difference of the preferences of two columns whose distance
    lies in bin k, averaged over draws. Bins are equally wide, from 0 to the largest distance. Also
    a map without topography is above 0, because its largest bin is large by chance: compare it
    with ``permuted_null``. The publication keeps the 25 % of the units that are tuned best; select
    them beforehand.

    Args:
        preferences: Preference of every column, ``[N]``, such as an orientation in degrees.
        geometry: Positions of the columns.
        bins: Number of bins of distance.
        draws: Number of draws of ``units`` columns; with fewer columns all of them are taken, once.
        units: Number of columns in a draw, 2 or above.
        period: Period of circular preferences in their unit, 180 for orientations in degrees, with
            differences of at most half of it (default: not circular).
        seed: Seed of the draws.

    Raises:
        ValueError: Preferences of another shape or not finite, fewer than two columns, a period
            that is not above 0.

    Source: Margalit et al., A unifying framework for functional organization in early and higher
    ventral visual cortex, Neuron 112 (2024), https://doi.org/10.1016/j.neuron.2024.04.018.
    """
    n = geometry.num_columns
    found = as_column_values("preferences", preferences, n)
    check_counts(bins=bins, draws=draws, units=units)
    _check_map(n, units, period)
    generator = numpy_generator(seed)
    chosen = (
        [np.arange(n)]
        if n <= units
        else [generator.choice(n, units, replace=False) for _ in range(draws)]
    )
    drawn = [_pairs(found, ids, geometry, period) for ids in chosen]
    largest = max((float(distance.max()) for distance, _ in drawn if len(distance)), default=0.0)
    edges = np.linspace(0, largest or 1.0, bins + 1)
    counts = [np.histogram(distance, edges)[0] for distance, _ in drawn]
    sums = [np.histogram(distance, edges, weights=gap)[0] for distance, gap in drawn]
    total = np.sum(counts, 0)
    curve = _mean_curve(np.array(sums), np.array(counts))
    top = np.nanmax(curve) if (total > 0).any() else 0.0
    smoothness = float((top - curve[0]) / top) if top > 0 else float("nan")
    return MapSmoothness(smoothness, curve, edges, total)


def _pairs(
    values: Floats, ids: Ids, geometry: Geometry, period: float | None
) -> tuple[Floats, Floats]:
    """Distance and difference of every pair that a path joins."""
    first, second = np.triu_indices(len(ids), 1)
    distance = distances_between(geometry, ids[first], ids[second])
    gap = np.abs(values[ids[first]] - values[ids[second]])
    if period is not None:
        gap = gap % period
        gap = np.minimum(gap, period - gap)
    joined = np.isfinite(distance)
    return distance[joined], gap[joined]


def _mean_curve(sums: Floats, counts: Ids) -> Floats:
    """Mean per bin in every draw, averaged over the draws that have pairs there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        present = counts > 0
        return np.where(present, means, 0).sum(0) / present.sum(0)


def _check_map(columns: int, units: int, period: float | None) -> None:
    if min(columns, units) < 2:
        raise ValueError(
            f"a difference needs at least two columns. Got {columns} columns, units={units}."
        )
    if period is not None and not 0 < period < float("inf"):
        raise ValueError(
            f"period must be above 0 and finite, in the unit of the preferences. Got {period}."
        )
