"""Draw neighbours without replacement, near ones more often, without an N x N matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from graphcolumns import neighbours
from graphcolumns.geometry import Geometry
from graphcolumns.hilbert import hilbert_key

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
LogKernel = Callable[[Floats], Floats]

ALL_PAIRS = 4096  # columns up to which reading every clock is as quick as cells
NEAR_PER_DRAW, NEAR_LEAST = 4, 64  # clocks of how many near columns are read one by one
FIRST_WINDOW = 2  # rings of the far cells expected in the first window, per draw


class Rings(NamedTuple):
    """Clocks that rang: row of the block, column, log of the time."""

    row: Ids
    column: Ids
    log_time: Floats


class Cells(NamedTuple):
    """All columns cut into compact cells; cell `S` holds `members[start[S]:][:size[S]]`."""

    members: Ids
    start: Ids
    size: Ids
    centre: Ids  # a member
    radius: Floats  # largest distance from the centre to a member


def exponential_race(
    geometry: Geometry,
    count: int,
    log_kernel: LogKernel,
    generator: np.random.Generator,
    all_pairs: bool | None = None,
) -> Ids:
    r"""Draw `count` other columns for each column, `j` in proportion to `w_ij = kernel(d_ij)`.

    Column `i` gives every other column `j` a clock that rings at `T_ij ~ Exp(rate w_ij)` and takes
    the first `count` to ring. That is successive sampling: each draw falls on a column not yet
    drawn, with probability proportional to its `w_ij` (Gumbel top-k, in time instead of log time).

    For many columns only the clocks that can matter are read. Those of the nearest columns are
    read one by one. All others form a Poisson process, made by thinning: columns are cut into
    cells, cell `S` rings at rate `|S| b_iS`, where `b_iS >= w_ij` for its members by the triangle
    inequality; a ring falls on a random member and counts with probability `w_ij / b_iS`. Time is
    read in windows until `count` clocks have rung. Both ways draw from the same distribution.

    Cost: `O(N^2)` for all pairs, `O(N (sqrt(N) + count))` with cells, in blocks of rows.

    Args:
        geometry: the columns.
        count: columns to draw for each, below `N`.
        log_kernel: `log kernel(distance)`, elementwise, finite, never increasing.
        generator: source of all randomness, read in a fixed order.
        all_pairs: choose the way (default: all pairs up to 4096 columns).

    Returns:
        Ids `[N, count]`, different in each row, in the order in which they rang.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006); Lewis and
    Shedler, Simulation of nonhomogeneous Poisson processes by thinning (1979).
    """
    n = geometry.num_columns
    if n <= ALL_PAIRS if all_pairs is None else all_pairs:
        near, cells = n, None
    else:
        near, cells = min(n, max(NEAR_PER_DRAW * count, NEAR_LEAST) + 1), _cut(geometry)
    race = _Race(geometry, count, log_kernel, generator)
    tree, points = neighbours.tree(geometry), neighbours.points(geometry)
    drawn = [np.empty((0, count), dtype=np.int64)]
    for rows in neighbours.row_blocks(n if count else 0, near + (len(cells.size) if cells else 0)):
        if cells is None:
            rung = race.near(rows, np.broadcast_to(np.arange(n), (len(rows), n)))
        else:
            _, ids = tree.query(points[rows], k=near)
            rung = race.near_and_far(rows, ids, cells)
        drawn.append(_first(rung, count))
    return np.concatenate(drawn)


@dataclass(frozen=True)
class _Race:
    """What every block of rows shares."""

    geometry: Geometry
    count: int
    log_kernel: LogKernel
    generator: np.random.Generator

    def near(self, rows: Ids, ids: Ids) -> Rings:
        """The first `count` rings among the columns `ids` `[R, K]`, each clock read."""
        weight = self.log_kernel(_distance(self.geometry, rows[:, None], ids))
        wait = np.maximum(self.generator.standard_exponential(ids.shape), np.finfo(float).tiny)
        log_time = np.where(ids == rows[:, None], np.inf, np.log(wait) - weight)
        first = np.argpartition(log_time, self.count - 1, axis=1)[:, : self.count]
        row = np.repeat(np.arange(len(rows)), self.count)
        column = np.take_along_axis(ids, first, 1)
        return Rings(row, column.ravel(), np.take_along_axis(log_time, first, 1).ravel())

    def near_and_far(self, rows: Ids, ids: Ids, cells: Cells) -> Rings:
        """The rings of `near`, and all rings of other columns before the last of those counts."""
        near = self.near(rows, ids)
        # A far column is no nearer than any of ids, so its kernel is no larger than this.
        reach = _distance(self.geometry, rows[:, None], ids).max(1)
        far = _Far(self, rows, ids, cells, self.log_kernel(reach))
        # From here time is in units of 1 / that kernel, so that nothing overflows.
        last = np.exp(near.log_time.reshape(len(rows), -1).max(1) + far.log_most)
        rung, start = near, np.zeros(len(rows))
        with np.errstate(divide="ignore"):  # no far rate: the first window is the last
            stop = np.minimum(last, FIRST_WINDOW * self.count / far.rate)
        while (stop > start).any():
            rung = _earliest(rung, far.rings(start, stop))
            scaled = np.exp(rung.log_time + far.log_most[rung.row])
            done = np.bincount(rung.row[scaled <= stop[rung.row]], minlength=len(rows))
            go_on = (done < self.count) & (stop < last)
            start, stop = stop, np.where(go_on, np.minimum(last, 2 * stop), stop)
        return rung


class _Far:
    """The clocks of the columns that are not among `ids`, as a thinned Poisson process."""

    def __init__(self, race: _Race, rows: Ids, ids: Ids, cells: Cells, log_most: Floats) -> None:
        self.race, self.rows, self.cells, self.log_most = race, rows, cells, log_most
        n = race.geometry.num_columns
        self.near_pairs = (np.arange(len(rows))[:, None] * n + np.sort(ids, axis=1)).ravel()
        to_centre = _distance(race.geometry, rows[:, None], cells.centre[None])
        shortest = np.maximum(to_centre - cells.radius, 0)
        self.log_bound = np.minimum(race.log_kernel(shortest) - log_most[:, None], 0)
        self.cumulative = np.cumsum(cells.size * np.exp(self.log_bound), axis=1)
        self.rate = self.cumulative[:, -1]

    def rings(self, start: Floats, stop: Floats) -> Rings:
        """All rings between the scaled times `start` and `stop` of each row; repeats included."""
        generator, n = self.race.generator, self.race.geometry.num_columns
        row = np.repeat(np.arange(len(stop)), generator.poisson(self.rate * (stop - start)))
        cell = self._cell(row, generator.random(len(row)))
        place = (generator.random(len(row)) * self.cells.size[cell]).astype(np.int64)
        column = self.cells.members[self.cells.start[cell] + place]
        time = start[row] + generator.random(len(row)) * (stop - start)[row]
        distance = _distance(self.race.geometry, self.rows[row], column)
        log_weight = self.race.log_kernel(distance) - self.log_most[row]
        counts = generator.random(len(row)) < np.exp(log_weight - self.log_bound[row, cell])
        counts &= ~_contains(self.near_pairs, row * n + column) & (column != self.rows[row])
        row, column, time = row[counts], column[counts], time[counts]
        return Rings(row, column, np.log(np.maximum(time, np.finfo(float).tiny)) - self.log_most[row])

    def _cell(self, row: Ids, uniform: Floats) -> Ids:
        """A cell for each row, in proportion to the rates: one search in all rows at once."""
        share = self.cumulative / np.where(self.rate > 0, self.rate, 1)[:, None]
        steps = (share + np.arange(len(share))[:, None]).ravel()
        num_cells = share.shape[1]
        found = np.searchsorted(steps, row + uniform, side="right") - row * num_cells
        return np.clip(found, 0, num_cells - 1)


def _earliest(*rings: Rings) -> Rings:
    """Of several rings of one clock only the first."""
    row, column, log_time = (np.concatenate(parts) for parts in zip(*rings, strict=True))
    order = np.lexsort((log_time, column, row))
    row, column, log_time = row[order], column[order], log_time[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    return Rings(row[new], column[new], log_time[new])


def _first(rings: Rings, count: int) -> Ids:
    """The first `count` columns of each row, by time; every row has at least that many."""
    order = np.lexsort((rings.log_time, rings.row))
    row, column = rings.row[order], rings.column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    return column[place < count].reshape(-1, count)


def _contains(sorted_values: Ids, values: Ids) -> NDArray[np.bool_]:
    place = np.searchsorted(sorted_values, values).clip(max=len(sorted_values) - 1)
    return sorted_values[place] == values


def _cut(geometry: Geometry) -> Cells:
    """About `sqrt(N)` cells of equal size: pieces of a Hilbert curve, so each is compact."""
    n = geometry.num_columns
    members = hilbert_key(geometry.positions.detach().cpu()).argsort(stable=True).numpy()
    start = np.linspace(0, n, round(n**0.5) + 1).astype(np.int64)
    size = np.diff(start)
    cell = np.repeat(np.arange(len(size)), size)
    points = neighbours.points(geometry)[members]
    mean = np.add.reduceat(points, start[:-1]) / size[:, None]
    off_centre = np.linalg.norm(points - mean[cell], axis=1)
    centre = members[np.lexsort((off_centre, cell))[start[:-1]]]
    radius = np.maximum.reduceat(_distance(geometry, centre[cell], members), start[:-1])
    return Cells(members, start[:-1], size, centre, radius)


def _distance(geometry: Geometry, target: Ids, source: Ids) -> Floats:
    shape = np.broadcast_shapes(target.shape, source.shape)
    pairs = (torch.from_numpy(np.broadcast_to(ids, shape).copy()) for ids in (target, source))
    with torch.no_grad():
        return geometry.distance(*pairs).double().numpy()
