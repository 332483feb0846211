"""The exponential race on a mesh, where every distance costs a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from graphcolumns.connect import paths
from graphcolumns.connect.draws import LogKernel
from graphcolumns.connect.rank import Floats, Ids, row_blocks
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import mean_edge, shortest_paths

NEAR_PER_DRAW = 2  # columns that a search must at least find, per draw
FAR_RINGS = 0.5  # rings from beyond the search that a row may expect before its race is over
STEP = 1.3  # the limit of searches grows by this factor
TINY, LOG_HUGE = float(np.finfo(np.float64).tiny), 700.0

Search = Callable[[Ids, float], Floats]


class Near(NamedTuple):
    """The columns that the search from one column found, itself left out."""

    ids: Ids
    log_weight: Floats
    num_far: int  # columns that a longer search would find
    log_rate: float  # none of which rings at a higher rate than this


def race_on_mesh(
    geometry: Geometry, count: int, log_kernel: LogKernel, generator: np.random.Generator
) -> Ids:
    """What ``exponential_race`` draws, by searches along the mesh that end early.

    The clocks of all columns within a limit are read one by one. A column beyond it rings at a
    rate of at most ``kernel(limit)``, so the rings of all of them are thinned from one Poisson
    process; only a row where that process rings before the race is over searches the whole mesh.
    The limit depends on distances only, never on a clock: the draw is exact.

    Args, returns: as ``exponential_race``.

    Raises:
        ValueError: A column that reaches fewer than ``count`` others.
    """
    columns = np.arange(geometry.num_columns)
    available = paths.reachable(geometry, columns, columns, own=False)
    paths.check_reach(columns, available, count)
    run, limit = shortest_paths(geometry), mean_edge(geometry)
    drawn = np.empty((len(columns), count), dtype=np.int64)
    for rows in row_blocks(len(columns) if count else 0, len(columns)):
        nears, limit = _search(run, rows, available[rows], count, log_kernel, limit)
        for row, near in zip(rows, nears, strict=True):
            drawn[row] = _draw(run, row, near, count, log_kernel, generator)
    return drawn


def _search(
    run: Search, rows: Ids, available: Ids, count: int, log_kernel: LogKernel, limit: float
) -> tuple[list[Near], float]:
    """Go further until what is beyond hardly ever rings in time; also how far that was."""
    while True:
        log_rate = float(log_kernel(np.array([limit]))[0])
        found = run(rows, limit)
        found[np.arange(len(rows)), rows] = np.inf
        nears = []
        for distance, total in zip(found, available, strict=True):
            ids = np.flatnonzero(np.isfinite(distance))
            nears.append(Near(ids, log_kernel(distance[ids]), int(total) - len(ids), log_rate))
            if not _is_enough(nears[-1], count):
                break
        else:
            return nears, limit
        limit *= STEP


def _is_enough(near: Near, count: int) -> bool:
    if not near.num_far:
        return True
    if len(near.ids) < NEAR_PER_DRAW * count:
        return False
    # The race lasts some count / weight; meanwhile the far ones ring at most so often.
    most = near.log_weight.max()
    weight = np.exp(near.log_weight - most).sum()
    return bool(near.num_far * np.exp(near.log_rate - most) * count <= FAR_RINGS * weight)


def _draw(
    run: Search,
    row: int,
    near: Near,
    count: int,
    log_kernel: LogKernel,
    generator: np.random.Generator,
) -> Ids:
    """The first ``count`` columns to ring for one column."""
    wait = np.maximum(generator.standard_exponential(len(near.ids)), TINY)
    log_time = np.log(wait) - near.log_weight
    first = np.argpartition(log_time, count - 1)[:count]
    ids, log_time = near.ids[first], log_time[first]
    last = log_time.max()
    rings = generator.poisson(near.num_far * np.exp(min(near.log_rate + last, LOG_HUGE)))
    if not rings:
        return ids
    distance = run(np.array([row]), np.inf)[0]
    distance[near.ids], distance[row] = np.inf, np.inf
    far = np.flatnonzero(np.isfinite(distance))
    column = far[generator.integers(len(far), size=rings)]
    time = last + np.log(np.maximum(generator.random(rings), TINY))
    counts = generator.random(rings) < np.exp(log_kernel(distance[column]) - near.log_rate)
    return _first(ids, log_time, column[counts], time[counts])


def _first(ids: Ids, log_time: Floats, more_ids: Ids, more_time: Floats) -> Ids:
    """The earliest ``len(ids)`` of all, each column at its first ring."""
    both, time = np.append(ids, more_ids), np.append(log_time, more_time)
    order = np.argsort(time)
    _, first = np.unique(both[order], return_index=True)
    return both[order[np.sort(first)[: len(ids)]]]
