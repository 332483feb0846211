"""How the similarity of responses falls with distance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphcolumns.analysis.topography.inputs import (
    Floats,
    Ids,
    as_responses,
    correlation,
    distances_between,
    require_columns,
    unit_columns,
)
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts

# Pairs whose responses are multiplied at a time: 80 MB for 1000 samples.
CHUNK = 10_000


class TuningByDistance(NamedTuple):
    """Correlation of the responses of two columns, by their distance.

    Args:
        r: Pearson's r of correlation and distance over pairs; NaN where one of them is constant.
        length: Distance at which the mean correlation first falls to 1/e of that of the first bin
            that has pairs, interpolated between the middles of bins, in the unit of the geometry;
            NaN if it never does, or does not begin above 0. It means something only where the curve
            begins far from 0.
        relative_length: ``length`` over the mean distance of all pairs, without unit.
        curve: Mean correlation per bin, ``[K]``; NaN where there is no pair.
        edges: Borders of the bins, ``[K + 1]``, in the unit of the geometry.
        pairs: Number of pairs per bin, ``[K]``.
    """

    r: float
    length: float
    relative_length: float
    curve: Floats
    edges: Floats
    pairs: Ids


def tuning_by_distance(
    responses: Any, geometry: Geometry, bins: int = 20, pairs: int = 200_000, seed: int = 0
) -> TuningByDistance:
    """Correlation of tuning against distance, and the distance at which it falls to 1/e.

    Bins are equally wide, from 0 to the largest distance. Columns with constant responses, and
    pairs that no path joins, are left out.

    Args:
        responses: Responses ``[S, N]`` of samples x columns, in your order of columns.
        geometry: Positions of the columns.
        bins: Number of bins of distance.
        pairs: Number of pairs drawn at random with replacement; all pairs, each once, if there are
            no more.
        seed: Seed of the draw.

    Raises:
        ValueError: Responses of another shape or not finite, fewer than two samples, or fewer than
            two columns whose responses vary.
    """
    unit = _varying(as_responses(responses, geometry.num_columns))
    check_counts(bins=bins, pairs=pairs)
    varying = np.flatnonzero(np.isfinite(unit[0]))
    if len(varying) < 2:
        raise ValueError(
            f"at least two columns must have responses that vary. Got {len(varying)} of "
            f"{unit.shape[1]}."
        )
    first, second = _drawn_pairs(varying, pairs, seed)
    distance = distances_between(geometry, first, second)
    joined = np.isfinite(distance)
    first, second, distance = first[joined], second[joined], distance[joined]
    similarity = _products(unit, first, second)
    largest = float(distance.max()) if len(distance) else 0.0
    edges = np.linspace(0, largest or 1.0, bins + 1)
    counts = np.histogram(distance, edges)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        curve = np.histogram(distance, edges, weights=similarity)[0] / counts
    length = _fall(curve, (edges[1:] + edges[:-1]) / 2)
    mean = float(distance.mean()) if largest else float("nan")
    r = correlation(similarity, distance)
    return TuningByDistance(r, length, length / mean, curve, edges, counts)


def edge_tuning_correlation(responses: Any, graph: ColumnGraph) -> float:
    """Pearson's r of the length of edges and the correlation of the responses of their two ends.

    Negative if columns that short edges join respond alike. It is a measure for ``null_values``
    with the null ``permute_positions``, which keeps edges and permutes positions.

    Args:
        responses: Responses ``[S, N]`` of samples x columns, in your order of columns.
        graph: Edges among the columns with their lengths. Self-edges, infinite lengths and columns
            whose responses are constant are left out.

    Returns:
        Pearson's r, without unit; NaN where lengths or correlations do not differ.

    Raises:
        ValueError: Lengths were never measured; responses of another shape or not finite, fewer
            than two samples, a graph with other sources than its columns.
    """
    require_columns(graph)
    unit = _varying(as_responses(responses, graph.num_columns))
    if graph.distance is None:
        raise ValueError(
            "the lengths of edges are needed, and this graph was never measured: call "
            "graph.remeasure(geometry)."
        )
    source, target = graph.edge_index.cpu().numpy()
    length = graph.distance.detach().cpu().double().numpy()
    similarity = _products(unit, target, source)
    kept = (source != target) & np.isfinite(similarity) & np.isfinite(length)
    return correlation(similarity[kept], length[kept])


def _varying(responses: Floats) -> Floats:
    if len(responses) < 2:
        raise ValueError(
            f"a correlation needs at least two samples. Got {len(responses)} row of responses."
        )
    return unit_columns(responses)


def _drawn_pairs(ids: Ids, count: int, seed: int) -> tuple[Ids, Ids]:
    n = len(ids)
    if n * (n - 1) // 2 <= count:
        first, second = np.triu_indices(n, 1)
    else:
        generator = numpy_generator(seed)
        first = generator.integers(0, n, count)
        # Any column but the first.
        second = (first + generator.integers(1, n, count)) % n
    return ids[first], ids[second]


def _products(unit: Floats, first: Ids, second: Ids) -> Floats:
    found = [np.zeros(0)]
    for k in range(0, len(first), CHUNK):
        part = slice(k, k + CHUNK)
        found.append(np.einsum("sp,sp->p", unit[:, first[part]], unit[:, second[part]]))
    return np.concatenate(found)


def _fall(curve: Floats, middle: Floats) -> float:
    """The distance at which a curve first falls to 1/e of its beginning."""
    known = np.isfinite(curve)
    curve, middle = curve[known], middle[known]
    if not len(curve) or curve[0] <= 0:
        return float("nan")
    goal = curve[0] / np.e
    below = np.flatnonzero(curve <= goal)
    if not len(below):
        return float("nan")
    k = int(below[0])
    share = (curve[k - 1] - goal) / (curve[k - 1] - curve[k])
    return float(middle[k - 1] + share * (middle[k] - middle[k - 1]))
