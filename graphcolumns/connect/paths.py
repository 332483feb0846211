"""Nearest columns, and columns within a radius, along a mesh: rows of Dijkstra, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

from graphcolumns.connect.rank import Floats, Ids, first_ids, row_blocks
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import connected_parts, mean_edge, shortest_paths
from graphcolumns.geometry.rounding import MOST, Rounding

SUM = 4  # sums of edges differ so many times more by rounding than one straight line does
COLUMNS_PER_AREA = 3.0  # columns within r mean edges are about 3 r^2 on a mesh of equal triangles
SPARE = 8  # columns expected beyond the degree, so that most ties are seen at once


def nearest_on_mesh(geometry: Geometry, targets: Ids, sources: Ids, count: int, own: bool) -> Ids:
    """The ``count`` columns of ``sources`` nearest to each of ``targets`` along the mesh.

    Every search goes a little further than the degree needs, and twice as far where that was not
    enough. Among equally near columns the lowest ids, up to the rounding of positions.

    Args:
        geometry: Columns with metric ``"geodesic"``.
        targets: Ids ``[T]``.
        sources: Ids ``[S]``, ascending.
        count: 1 or above.
        own: Whether a column may be its own source.

    Returns:
        Ids ``[T, count]``, nearest first.

    Raises:
        ValueError: A target that reaches fewer than ``count`` of ``sources``.
    """
    available = reachable(geometry, targets, sources, own)
    check_reach(targets, available, count)
    result = np.empty((len(targets), count), dtype=np.int64)
    if not count:
        return result
    run, tie = shortest_paths(geometry), _tie(geometry)
    share = geometry.num_columns / len(sources)
    limit = mean_edge(geometry) * (1 + math.sqrt(share * (count + SPARE) / COLUMNS_PER_AREA))
    rows = np.arange(len(targets))
    while len(rows):
        open_rows = []
        for block in row_blocks(len(rows), geometry.num_columns):
            at = rows[block]
            lengths, ids = _table(run(targets[at], limit), targets[at], sources, own, count)
            result[at], may_go_on = first_ids(lengths, ids, count, tie(targets[at, None], lengths))
            open_rows.append(at[may_go_on & (np.isfinite(lengths).sum(1) < available[at])])
        rows, limit = np.concatenate(open_rows), 2 * limit
    return result


def pairs_on_mesh(geometry: Geometry, radius: float) -> Ids:
    """All pairs ``i < j`` at most ``radius`` apart along the mesh up to rounding, ``[P, 2]``."""
    run, tie = shortest_paths(geometry), _tie(geometry)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for rows in row_blocks(geometry.num_columns, geometry.num_columns):
        found = run(rows, radius * (1 + SUM * MOST))
        row, column = np.nonzero(found <= radius + tie(rows[:, None], radius))
        below = rows[row] < column
        pairs.append(np.stack([rows[row[below]], column[below]], axis=1))
    return np.concatenate(pairs)


def _tie(geometry: Geometry) -> Callable[[Ids, Floats | float], Floats]:
    """The difference up to which lengths ``d`` of paths from columns are equal."""
    rounding = Rounding.of(geometry.positions)
    far = np.linalg.norm(geometry.positions.detach().cpu().double().numpy(), axis=1)
    return lambda columns, length: SUM * rounding.tie(far[columns], length)


def reachable(geometry: Geometry, targets: Ids, sources: Ids, own: bool) -> Ids:
    """How many of ``sources`` each of ``targets`` can reach, ``[T]``, itself only with ``own``."""
    label = connected_parts(geometry)
    number = np.bincount(label[sources], minlength=int(label.max()) + 1)[label[targets]]
    return number if own else number - np.isin(targets, sources)


def check_reach(targets: Ids, available: Ids, count: int) -> None:
    """Raise a ValueError if a target reaches fewer than ``count`` columns."""
    short = np.flatnonzero(available < count)
    if len(short):
        i = short[0]
        raise ValueError(
            f"every column must reach as many columns along the mesh as its degree requires, here "
            f"{count} others. Column {targets[i]} reaches {available[i]} ({len(short)} columns "
            "reach too few); lower the degree, leave out columns that no face uses, or use "
            "metric='euclidean'."
        )


def check_joined(geometry: Geometry, edge_index: Tensor) -> None:
    """Raise a ValueError if an edge joins columns that no path does: its length is infinite."""
    label, (source, target) = connected_parts(geometry), edge_index.cpu().numpy()
    apart = np.flatnonzero(label[source] != label[target])
    if len(apart):
        raise ValueError(
            "every edge needs a finite length. There is no path on the mesh from column "
            f"{source[apart[0]]} to column {target[apart[0]]} ({len(apart)} of {len(source)} edges "
            "have none); use metric='euclidean', or a wiring that stays near, such as nearest."
        )


def _table(found: Floats, targets: Ids, sources: Ids, own: bool, count: int) -> tuple[Floats, Ids]:
    """The sources found in each row, nearest first: lengths (``inf`` at the end) and ids."""
    if not own:
        found[np.arange(len(targets)), targets] = np.inf
    if len(sources) < found.shape[1]:
        found = found[:, sources]
    row, place = np.nonzero(np.isfinite(found))
    length = found[row, place]
    order = np.lexsort((length, row))
    row, place, length = row[order], place[order], length[order]
    start = np.searchsorted(row, np.arange(len(targets)))
    width = max(count, int(np.bincount(row, minlength=1).max()))
    lengths = np.full((len(targets), width), np.inf)
    ids = np.zeros(lengths.shape, dtype=np.int64)
    lengths[row, np.arange(len(row)) - start[row]] = length
    ids[row, np.arange(len(row)) - start[row]] = sources[place]
    return lengths, ids
