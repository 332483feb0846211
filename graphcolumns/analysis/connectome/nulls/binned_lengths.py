"""Graphs with the degrees of a graph and, to the bin, its lengths of edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.analysis.connectome.nulls.checks import check_positive, require_geometry
from graphcolumns.analysis.connectome.nulls.slots import EdgeSlots, Ids, NullDraw, edge_slots
from graphcolumns.analysis.connectome.nulls.swaps import Pairs, Swaps, random_pairs
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

# Up to so many columns the bins of all pairs are kept in a table, 2 bytes each.
TABLE = 4096
# Columns of the smallest groups of near ones, and the largest number of groups.
GROUP, GROUPS = 8, 512


def rewire_within_lengths(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
    bins: int | Sequence[float] = 10,
    swaps_per_edge: float = 10,
    undirected: bool = False,
) -> NullDraw:
    """A random graph of the observed degrees that has as many edges in every bin of length.

    Targets of two edges are swapped as in ``rewire_degrees``, if the lengths of the two new edges
    are in the bins of the two old ones. Edges from columns near each other are paired more often,
    as most other swaps would change a bin; that prefers no graph. Whether swaps lead to every such
    graph is not known, and where few swaps are possible the result remains like the graph.

    Args:
        graph: Edges among columns; self-edges stay as they are.
        weights: Weight of every edge, ``[E]``, which stays with the source of its edge.
        geometry: Positions of the columns, required.
        seed: Seed of the draw, 0 or above.
        bins: Number of bins with as many edges each and number of bins of one width, from the
            shortest edge to the longest, whose bounds are merged; or the bounds of bins, ascending,
            in the unit of the geometry, where lengths beyond the outermost are two more bins.
        swaps_per_edge: Mean number of swaps per edge, fewer if less than one in 100 proposals is
            possible.
        undirected: Whether every edge has its reverse, and keeps it.

    Raises:
        ValueError: No geometry, bounds that do not ascend, fewer than one bin, or what
            ``rewire_degrees`` raises.

    Source: Betzel and Bassett, Specificity and robustness of long-distance connections in weighted,
    interareal connectomes, PNAS 115 (2018).
    """
    check_positive("swaps_per_edge", swaps_per_edge)
    geometry = require_geometry(graph, geometry, "rewire_within_lengths")
    state = edge_slots(graph, weights, undirected, self_edges=False)
    generator = numpy_generator(seed)
    if len(state.source):
        bounds = length_bounds(lengths_of(geometry, state.source, state.target), bins)
        pairs = near_pairs(geometry, generator)
        swaps = Swaps(state, generator, pairs=pairs, bins=binned(geometry, bounds))
        swaps.run(swaps_per_edge)
    return state.draw(graph, weights, geometry)


def length_bounds(lengths: NDArray[np.float64], bins: int | Sequence[float]) -> NDArray[np.float64]:
    """Bounds of bins: those given, or quantiles of the lengths and equal parts of their range."""
    if isinstance(bins, int):
        if bins < 1:
            raise ValueError(f"bins must be 1 or above. Got {bins}.")
        # The longest edge is in the last bin, and nothing longer.
        ends = lengths.min(), np.nextafter(lengths.max(), np.inf)
        quantiles = np.quantile(lengths, np.arange(1, bins) / bins)
        return np.union1d(quantiles, np.linspace(*ends, bins + 1))
    bounds = np.asarray(bins, dtype=float)
    if bounds.ndim != 1 or not (np.diff(bounds) > 0).all():
        raise ValueError(f"bounds of bins must ascend. Got {list(bins)}.")
    return bounds


@torch.no_grad()
def lengths_of(geometry: Geometry, source: Ids, target: Ids) -> NDArray[np.float64]:
    """Lengths of pairs of columns."""
    a, b = (torch.from_numpy(x).to(geometry.positions.device) for x in (target, source))
    return geometry.distance(a, b).double().cpu().numpy()


def binned(geometry: Geometry, bounds: NDArray[np.float64]) -> Callable[[Ids, Ids], Ids]:
    """Function of pairs (source, target) that gives the bin of their length."""
    n = geometry.num_columns

    def measured(source: Ids, target: Ids) -> Ids:
        # The same order of ends always, so that both directions are in one bin.
        ends = np.minimum(source, target), np.maximum(source, target)
        return np.searchsorted(bounds, lengths_of(geometry, *ends), side="right")

    if n > TABLE:
        return measured
    ids = np.arange(n)
    table = np.stack([measured(np.full(n, i), ids) for i in ids]).astype(np.int16)
    return lambda source, target: table[source, target].astype(np.int64)


def near_pairs(geometry: Geometry, generator: np.random.Generator) -> Pairs:
    """Function that pairs slots with near sources in two of three rounds, any in the others."""
    n = geometry.num_columns
    count = min(-(-n // GROUP), GROUPS)
    groups = [nearest_landmark(geometry, generator, k) for k in (count, -(-count // GROUP))]

    def pairs(state: EdgeSlots, generator: np.random.Generator) -> tuple[Ids, Ids]:
        kind = generator.integers(3)
        if kind == 2:
            return random_pairs(state, generator)
        order = generator.permutation(len(state.source))
        order = order[np.argsort(groups[kind][state.source[order]], kind="stable")]
        return order[:-1:2], order[1::2]

    return pairs


def nearest_landmark(
    geometry: Geometry, generator: np.random.Generator, count: int
) -> NDArray[np.uint16]:
    """For each column the nearest of ``count`` columns drawn at random, ``[N]``."""
    n = geometry.num_columns
    landmarks, ids = generator.permutation(n)[:count], np.arange(n)
    nearest, least = np.zeros(n, dtype=np.uint16), np.full(n, np.inf)
    for place, landmark in enumerate(landmarks):
        lengths = lengths_of(geometry, np.full(n, landmark), ids)
        nearest[lengths < least] = place
        least = np.minimum(least, lengths)
    return nearest
