"""Nearest columns, and columns within a radius: never an N x N matrix."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from graphcolumns.connect import paths
from graphcolumns.connect.rank import Floats, Ids, first_ids, row_blocks
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.rounding import DOUBLE, MOST, Rounding

SPARE = 8  # neighbours requested beyond the degree, so that most ties are seen at once
PAIRS = 2**18  # pairs that are measured at once


def nearest_sources(
    geometry: Geometry, targets: Ids, sources: Ids, count: int, own: bool = True
) -> Ids:
    """The ``count`` of ``sources`` (ascending) nearest to each of ``targets``, ``[T, count]``.

    By KD-tree, or along the mesh for metric ``"geodesic"``. ``own`` says whether a column may be
    its own source.
    """
    if geometry.metric == "geodesic":
        return paths.nearest_on_mesh(geometry, targets, sources, count, own)
    place = None if own else np.searchsorted(sources, targets)
    rounding = Rounding.of(geometry.positions)
    queries = metric_points(geometry)[targets]
    return sources[nearest_ids(tree(geometry, sources), queries, count, rounding, place)]


def metric_points(geometry: Geometry) -> Floats:
    """Positions ``[N, 2 or 3]`` in which straight lines order pairs as the metric does.

    A chord grows with its arc, so on a sphere the positions themselves do, put exactly on it.
    """
    positions = geometry.positions.detach().cpu().double().numpy()
    if geometry.radius is None:
        return positions
    return positions * (geometry.radius / np.linalg.norm(positions, axis=1, keepdims=True))


def pair_length(geometry: Geometry, a: Floats, b: Floats) -> Floats:
    """``Geometry.distance`` between points ``a`` and ``b`` ``[..., 2 or 3]``, which broadcast."""
    squared = np.zeros(np.broadcast_shapes(a.shape, b.shape)[:-1])
    for axis in range(a.shape[-1]):
        delta = a[..., axis] - b[..., axis]
        if geometry.period is not None:
            delta -= geometry.period[axis] * np.round(delta / geometry.period[axis])
        squared += delta * delta
    straight = np.sqrt(squared)
    if geometry.radius is None:
        return straight
    # The chord to the antipode; its cosine alone would lose the digits of near points.
    across = np.zeros_like(squared)
    for axis in range(a.shape[-1]):
        across += (a[..., axis] + b[..., axis]) ** 2
    return 2 * geometry.radius * np.arctan2(straight, np.sqrt(across))


def tree(geometry: Geometry, ids: Ids | slice = slice(None)) -> cKDTree:
    """KD-tree of the columns ``ids``."""
    return cKDTree(metric_points(geometry)[ids], boxsize=geometry.period)


def nearest_ids(
    sources: cKDTree, queries: Floats, count: int, rounding: Rounding, own: Ids | None = None
) -> Ids:
    """The ``count`` nearest points of each query; among equally near ones the lowest ids.

    Args:
        sources: Tree of ``M`` points.
        queries: ``[Q, 2 or 3]``.
        count: Number of points per query, at most ``M``, or ``M - 1`` with ``own``.
        rounding: Tolerance within which lengths are equal.
        own: The point that each query leaves out, ``[Q]``.

    Returns:
        Ids ``[Q, count]``, nearest first.
    """
    result = np.empty((len(queries), count), dtype=np.int64)
    rows, requested = np.arange(len(queries)), min(sources.n, count + SPARE)
    while len(rows) and count:
        open_rows = [
            _rank(sources, queries, rows[block], count, rounding, own, requested, result)
            for block in row_blocks(len(rows), requested)
        ]
        rows, requested = np.concatenate(open_rows), min(sources.n, 2 * requested)
    return result


def _rank(
    sources: cKDTree,
    queries: Floats,
    rows: Ids,
    count: int,
    rounding: Rounding,
    own: Ids | None,
    requested: int,
    result: Ids,
) -> Ids:
    """Fill ``result[rows]`` from ``requested`` neighbours; return rows whose last tie may go on."""
    lengths, ids = sources.query(queries[rows], k=np.arange(1, requested + 1))
    if own is not None:
        lengths[ids == own[rows, None]] = np.inf
        order = np.argsort(lengths, axis=1, kind="stable")
        lengths, ids = np.take_along_axis(lengths, order, 1), np.take_along_axis(ids, order, 1)
    place = np.linalg.norm(queries[rows], axis=1, keepdims=True)
    tie = rounding.tie(place, lengths)
    result[rows], may_go_on = first_ids(lengths, ids, count, tie)
    return rows[may_go_on] if requested < sources.n else rows[:0]


def pairs_within(geometry: Geometry, radius: float) -> Ids:
    """All pairs ``i < j`` whose distance is at most ``radius`` up to rounding, ``[P, 2]``."""
    if geometry.metric == "geodesic":
        return paths.pairs_on_mesh(geometry, radius)
    reach = radius * (1 + MOST)
    if geometry.radius is not None:
        angle = min(reach / geometry.radius, math.pi)
        # Near the antipode a chord says little of its arc: the reach is rounded up.
        reach = 2 * geometry.radius * (math.sin(angle / 2) + 4 * DOUBLE)
    pairs: Ids = tree(geometry).query_pairs(reach, output_type="ndarray")
    rounding, places = Rounding.of(geometry.positions), metric_points(geometry)
    far = np.linalg.norm(places, axis=1)
    near = np.empty(len(pairs), dtype=bool)
    for start in range(0, len(pairs), PAIRS):
        part = slice(start, start + PAIRS)
        a, b = pairs[part].T
        tie = rounding.tie(np.maximum(far[a], far[b]), radius)
        near[part] = pair_length(geometry, places[a], places[b]) <= radius + tie
    return pairs[near].astype(np.int64)
