"""Graphs drawn by the exponential distance rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from graphcolumns.analysis.connectome.lengths import pair_lengths
from graphcolumns.analysis.connectome.nulls.binned_lengths import lengths_of
from graphcolumns.analysis.connectome.nulls.checks import require_geometry
from graphcolumns.analysis.connectome.nulls.slots import NullDraw, edge_slots
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

# Pairs whose time is drawn at once.
BLOCK = 2**20


class DistanceRule(NamedTuple):
    r"""A rule by which edges are drawn one after the other until there are enough.

    Args:
        rate: :math:`\lambda`, per unit of length.
        log_time: Logarithm of :math:`t`: a pair of length ``d`` is an edge with probability
            :math:`1 - \exp(-t e^{-\lambda d})`.
    """

    rate: float
    log_time: float


def draw_by_distance(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
    undirected: bool = False,
    rate: float | None = None,
) -> NullDraw:
    r"""A random graph of as many edges, drawn with probability :math:`p(d) \propto e^{-\lambda d}`.

    Edges are drawn one after the other, each among all pairs that are not edges yet. The rate
    :math:`\lambda` is such that the expected mean length is observed: where short pairs are used up
    it is larger than the rate of ``distance_rule``, which is for a few edges. Self-edges stay; no
    degree is kept. Its time grows with ``N^2``: 10^4 columns take 3 s on one thread.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``; permuted at random.
        geometry: Positions of the columns, required.
        seed: Seed of the draw, 0 or above.
        undirected: Whether every edge has its reverse; pairs of edges are drawn.
        rate: Rate per unit of length (default: fitted).

    Raises:
        ValueError: No geometry; fewer pairs that a path joins than edges, or a mean length that no
            rate gives; or what ``rewire_degrees`` raises.

    Source: Ercsey-Ravasz et al., A predictive network model of cerebral cortical connectivity
    based on a distance rule, Neuron 80 (2013).
    """
    geometry = require_geometry(graph, geometry, "draw_by_distance")
    state = edge_slots(graph, weights, undirected, self_edges=False)
    generator, count, n = numpy_generator(seed), len(state.source), graph.num_columns
    if count:
        share = count / (n * (n - 1) / (2 if undirected else 1))
        mean = float(lengths_of(geometry, state.source, state.target).mean())
        rule = fit_rule(pair_lengths(geometry), mean, share, rate)
        state.source, state.target = draw_pairs(geometry, rule, count, undirected, generator)
        state.origin = generator.permutation(state.origin)
    return state.draw(graph, weights, geometry)


def fit_rule(pairs: Floats, mean: float, share: float, rate: float | None = None) -> DistanceRule:
    """The rule by which a share of all pairs is drawn, and their mean length expected.

    Args:
        pairs: Lengths of all pairs, or of a sample of them.
        mean: Mean length of the edges, in the same unit.
        share: Number of edges over that of pairs, in (0, 1].
        rate: Rate per unit of length; None: fitted to the mean.

    Raises:
        ValueError: No rate gives this mean length.
    """
    if share >= 1:
        return DistanceRule(0.0, np.inf)
    lengths, number = np.unique(pairs, return_counts=True)
    scale = max(float(np.average(lengths, weights=number)), 1e-300)

    def mean_at(scaled: float) -> float:
        chance = chances(lengths, DistanceRule(scaled / scale, log_time(scaled / scale)))
        return float(np.average(lengths, weights=number * chance)) - mean

    def log_time(rate: float) -> float:
        def missing(log: float) -> float:
            chance = chances(lengths, DistanceRule(rate, log))
            return float(np.average(chance, weights=number)) - share

        reach = abs(rate) * float(lengths[-1]) + 50
        return float(brentq(missing, -reach - 50, reach))

    if rate is None:
        if not mean_at(-500) >= 0 >= mean_at(500):
            raise ValueError(
                f"a distance rule must exist. Got edges of mean length {mean:.4g}, shorter or "
                "longer than any rate gives; pass rate=."
            )
        rate = float(brentq(mean_at, -500, 500)) / scale
    return DistanceRule(rate, log_time(rate))


def chances(lengths: Floats, rule: DistanceRule) -> Floats:
    """Probability that a pair of each length is an edge."""
    exponent = np.minimum(rule.log_time - rule.rate * lengths, 700)
    return -np.expm1(-np.exp(exponent))


def draw_pairs(
    geometry: Geometry,
    rule: DistanceRule,
    count: int,
    undirected: bool,
    generator: np.random.Generator,
) -> tuple[Ids, Ids]:
    """``count`` pairs, those whose exponential time of arrival is earliest."""
    n = geometry.num_columns
    total = n * (n - 1) // (2 if undirected else 1)
    best: tuple[Ids, Floats] = np.empty(0, dtype=np.int64), np.empty(0)
    latest = np.inf
    for start in range(0, total, BLOCK):
        arrival = generator.exponential(size=min(BLOCK, total - start))
        # No length is below 0: what is late even then is not measured.
        early = np.flatnonzero(arrival < latest) if rule.rate >= 0 else np.arange(len(arrival))
        numbers = start + early
        lengths = lengths_of(geometry, *numbered_pairs(numbers, n, undirected))
        with np.errstate(divide="ignore"):
            times = np.log(arrival[early]) + rule.rate * lengths
        times[~np.isfinite(lengths)] = np.inf
        best = earliest(np.append(best[0], numbers), np.append(best[1], times), count)
        if len(best[0]) == count:
            latest = np.exp(min(best[1].max(), 700))
    if len(best[0]) < count or not np.isfinite(best[1]).all():
        raise ValueError(
            f"there must be {count} pairs of columns that a path joins. Got fewer; pass a geometry "
            "in which more of them are joined."
        )
    # Sorted, since the order of a partition differs from one kind of CPU to another.
    return numbered_pairs(np.sort(best[0]), n, undirected)


def numbered_pairs(numbers: Ids, columns: int, undirected: bool) -> tuple[Ids, Ids]:
    """Sources and targets of pairs numbered by target, then source; once each if undirected."""
    if not undirected:
        target, source = np.divmod(numbers, columns - 1)
        return source + (source >= target), target
    ids = np.arange(columns)
    first = ids * (ids - 1) // 2
    # Target 0 has no smaller source, and its first number is that of target 1.
    target = np.searchsorted(first, numbers, side="right") - 1
    return numbers - first[target], target


def earliest(numbers: Ids, times: Floats, count: int) -> tuple[Ids, Floats]:
    """The ``count`` pairs of the smallest times."""
    if len(numbers) <= count:
        return numbers, times
    chosen = np.argpartition(times, count - 1)[:count]
    return numbers[chosen], times[chosen]
