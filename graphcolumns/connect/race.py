"""Draw neighbours without replacement, near ones more often, without an N x N matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcolumns.connect import neighbours
from graphcolumns.connect.draws import LogKernel
from graphcolumns.connect.rank import Floats, Ids, row_blocks
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.hilbert import hilbert_key
from graphcolumns.geometry.rounding import Rounding

ALL_PAIRS = 4096  # columns up to which reading every clock is as quick as cells
NEAR_PER_DRAW, NEAR_LEAST = 4, 64  # clocks of how many near columns are read one by one
TINY, LOG_HUGE = float(np.finfo(np.float64).tiny), 700.0
FIRST_WINDOW = 1.5  # rings of the far cells expected in the first window, per draw


class Rings(NamedTuple):
    """Clocks that rang, sorted by ``key = row * N + column``, rows counted within their block."""

    key: Ids
    time: Floats


class Cells(NamedTuple):
    """All columns cut into compact cells; cell ``S`` holds ``members[start[S]:][:size[S]]``."""

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
    r"""Draw ``count`` other columns for each column, with weights ``w_ij = kernel(d_ij)``.

    Column ``i`` gives every other column ``j`` a clock that rings at ``T_ij ~ Exp(rate w_ij)`` and
    takes the first ``count`` to ring. That is successive sampling: each draw falls on a column not
    yet drawn, with probability proportional to its ``w_ij`` (Gumbel top-k, in time instead of log
    time).

    For many columns only the clocks that can matter are read. Those of the nearest columns are read
    one by one. All others form a Poisson process, made by thinning: columns are cut into cells,
    cell ``S`` rings at rate ``|S| b_iS``, where ``b_iS >= w_ij`` for its members by the triangle
    inequality; a ring falls on a random member and counts with probability ``w_ij / b_iS``. Time is
    read in windows until ``count`` clocks have rung. Both ways draw from the same distribution.

    Cost: ``O(N^2)`` for all pairs, ``O(N (sqrt(N) + count))`` with cells, in blocks of rows.

    Args:
        geometry: The columns.
        count: Columns to draw for each, below ``N``.
        log_kernel: ``log kernel(distance)``, elementwise, finite, never increasing.
        generator: Source of all randomness, read in a fixed order.
        all_pairs: Choose the way (default: all pairs up to 4096 columns).

    Returns:
        Ids ``[N, count]``, different in each row, in no particular order.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006); Lewis and
    Shedler, Simulation of nonhomogeneous Poisson processes by thinning (1979).
    """
    n = geometry.num_columns
    near = min(n, max(NEAR_PER_DRAW * count, NEAR_LEAST) + 1)
    if all_pairs is None:
        all_pairs = n <= max(ALL_PAIRS, 2 * near)
    near, cells = (n, None) if all_pairs else (near, _cut(geometry))
    race = _Race(geometry, count, log_kernel, generator)
    width = near + (0 if cells is None else len(cells.size))
    rows_of_blocks = row_blocks(n if count else 0, width)
    drawn = [race.draw(rows, near, cells) for rows in rows_of_blocks]
    return np.concatenate([np.empty((0, count), dtype=np.int64), *drawn])


class _Race:
    """What all blocks of rows share."""

    def __init__(
        self, geometry: Geometry, count: int, log_kernel: LogKernel, generator: np.random.Generator
    ) -> None:
        self.geometry, self.count = geometry, count
        self.log_kernel, self.generator = log_kernel, generator
        self.tree, self.points = neighbours.tree(geometry), neighbours.metric_points(geometry)
        self.rounding = Rounding.of(geometry.positions)

    def draw(self, rows: Ids, near: int, cells: Cells | None) -> Ids:
        """The columns drawn for the columns ``rows``: ``[R, count]``."""
        if cells is None:
            ids = np.broadcast_to(np.arange(near), (len(rows), near))
        else:
            # Among equally near ones the lowest ids: which clock a number goes to must not hang
            # on rounding.
            ids = neighbours.nearest_ids(self.tree, self.points[rows], near, self.rounding)
        log_time = self._read(rows, ids)
        if cells is not None:
            far_ids, far_log_time = self._read_far(_Far(self, rows, ids, cells), log_time)
            ids = np.concatenate([ids, far_ids], axis=1)
            log_time = np.concatenate([log_time, far_log_time], axis=1)
        first = np.argpartition(log_time, self.count - 1, axis=1)[:, : self.count]
        return np.take_along_axis(ids, first, 1)

    def log_weight(self, target: Ids, source: Ids) -> Floats:
        """Log rate of the clocks of pairs."""
        ends = self.points[target], self.points[source]
        return self.log_kernel(neighbours.pair_length(self.geometry, *ends))

    def _read(self, rows: Ids, ids: Ids) -> Floats:
        """Log times of the clocks of all ``ids`` ``[R, K]``; a column never draws itself."""
        wait = np.maximum(self.generator.standard_exponential(ids.shape), TINY)
        log_time = np.log(wait) - self.log_weight(rows[:, None], ids)
        return np.where(ids == rows[:, None], np.inf, log_time)

    def _read_far(self, far: _Far, near_log_time: Floats) -> tuple[Ids, Floats]:
        """Every far clock that rings before ``count`` clocks have rung: ids and log times."""
        # Here time is in units of 1 / the largest far weight, so that nothing overflows.
        near_time = np.exp(np.minimum(near_log_time + far.log_most[:, None], LOG_HUGE))
        last = np.partition(near_time, self.count - 1, axis=1)[:, self.count - 1]
        start = np.zeros(len(last))
        stop = np.minimum(last, FIRST_WINDOW * self.count / np.maximum(far.rate, TINY))
        rung = Rings(np.empty(0, dtype=np.int64), np.empty(0))
        while (stop > start).any():
            rung = _merge(rung, far.rings(start, stop))
            num_far = np.bincount(rung.key // far.n, minlength=len(last))
            go_on = ((near_time <= stop[:, None]).sum(1) + num_far < self.count) & (stop < last)
            start, stop = stop, np.where(go_on, np.minimum(last, 2 * stop), stop)
        ids, time = _table(rung, len(last), far.n)
        return ids, np.log(np.maximum(time, TINY)) - far.log_most[:, None]


class _Far:
    """The clocks of the columns that are not among ``ids``, as a thinned Poisson process."""

    def __init__(self, race: _Race, rows: Ids, ids: Ids, cells: Cells) -> None:
        self.race, self.rows, self.cells = race, rows, cells
        self.n = len(race.points)
        self.near_keys = (np.arange(len(rows))[:, None] * self.n + np.sort(ids, axis=1)).ravel()
        # A far column is no nearer than the last of ids, so its weight is no larger than this.
        self.log_most = race.log_weight(rows, ids[:, -1])
        ends = race.points[rows[:, None]], race.points[cells.centre]
        shortest = np.maximum(neighbours.pair_length(race.geometry, *ends) - cells.radius, 0)
        self.log_bound = np.minimum(race.log_kernel(shortest) - self.log_most[:, None], 0)
        cumulative = np.cumsum(cells.size * np.exp(self.log_bound), axis=1)
        self.rate = cumulative[:, -1]
        # Shares of cells, row after row on one line, so that one search serves all rows.
        shares = cumulative / np.maximum(self.rate, TINY)[:, None]
        self.steps = (shares + np.arange(len(rows))[:, None]).ravel()

    def rings(self, start: Floats, stop: Floats) -> Rings:
        """The far clocks that ring between the times ``start`` and ``stop`` of their rows."""
        random = self.race.generator.random
        row = np.repeat(
            np.arange(len(stop)), self.race.generator.poisson(self.rate * (stop - start))
        )
        num_cells = len(self.cells.size)
        place = np.searchsorted(self.steps, row + random(len(row)), side="right")
        cell = np.clip(place - row * num_cells, 0, num_cells - 1)
        member = (random(len(row)) * self.cells.size[cell]).astype(np.int64)
        column = self.cells.members[self.cells.start[cell] + member]
        time = start[row] + random(len(row)) * (stop - start)[row]
        log_weight = self.race.log_weight(self.rows[row], column) - self.log_most[row]
        counts = random(len(row)) < np.exp(log_weight - self.log_bound[row, cell])
        counts &= column != self.rows[row]
        rings = _first_rings(row[counts] * self.n + column[counts], time[counts])
        far = ~_contains(self.near_keys, rings.key)
        return Rings(rings.key[far], rings.time[far])


def _first_rings(key: Ids, time: Floats) -> Rings:
    """Sorted by key; of several rings of one clock only the first."""
    order = np.argsort(key)
    key, time = key[order], time[order]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    return Rings(key[start], np.minimum.reduceat(time, start) if len(key) else time)


def _merge(earlier: Rings, later: Rings) -> Rings:
    """All rings of ``earlier``, and those of ``later`` whose clock had not rung."""
    new = ~_contains(earlier.key, later.key)
    key, time = np.append(earlier.key, later.key[new]), np.append(earlier.time, later.time[new])
    order = np.argsort(key)
    return Rings(key[order], time[order])


def _table(rings: Rings, num_rows: int, n: int) -> tuple[Ids, Floats]:
    """Ids and times by row, ``[R, most rings of a row]``; empty places ring never."""
    row = rings.key // n
    start = np.searchsorted(row, np.arange(num_rows + 1))
    ids = np.zeros((num_rows, int(np.diff(start).max())), dtype=np.int64)
    time = np.full(ids.shape, np.inf)
    place = np.arange(len(row)) - start[row]
    ids[row, place], time[row, place] = rings.key % n, rings.time
    return ids, time


def _contains(sorted_keys: Ids, keys: Ids) -> NDArray[np.bool_]:
    place = np.searchsorted(sorted_keys, keys)
    found = place < len(sorted_keys)
    found[found] = sorted_keys[place[found]] == keys[found]
    return found


def _cut(geometry: Geometry) -> Cells:
    """About ``sqrt(N)`` cells of equal size: pieces of a Hilbert curve, so each is compact."""
    n = geometry.num_columns
    members = hilbert_key(geometry.positions.detach().cpu()).argsort(stable=True).numpy()
    start = np.linspace(0, n, round(n**0.5) + 1).astype(np.int64)
    size = np.diff(start)
    cell = np.repeat(np.arange(len(size)), size)
    points = neighbours.metric_points(geometry)[members]
    mean = np.add.reduceat(points, start[:-1]) / size[:, None]
    off_centre = np.linalg.norm(points - mean[cell], axis=1)
    nearest = np.minimum.reduceat(off_centre, start[:-1])[cell]
    tie = Rounding.of(geometry.positions).tie(np.linalg.norm(points, axis=1), off_centre)
    # The first along the curve of those that are as near the middle.
    central = np.flatnonzero(off_centre <= nearest + tie)
    centre = members[central[np.searchsorted(central, start[:-1])]]
    all_points = neighbours.metric_points(geometry)
    to_centre = neighbours.pair_length(geometry, all_points[centre][cell], points)
    radius = np.maximum.reduceat(to_centre, start[:-1])
    return Cells(members, start[:-1], size, centre, radius)
