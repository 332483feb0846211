"""Numbers about a wiring: how long its edges are, and how long distance alone would make them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Floats = NDArray[np.float64]

PAIRS, TARGETS = 200_000, 64  # pairs that are measured, or those of so many columns if that is more


def wire_lengths(graph: ColumnGraph) -> Floats:
    """Lengths of the edges between different columns, in the unit of the graph.

    Raises:
        ValueError: Distances were never measured.
    """
    if graph.distance is None:
        raise ValueError(
            "the lengths of edges are needed, and this graph was never measured: call "
            "graph.remeasure(geometry)."
        )
    between = graph.source != graph.target
    return graph.distance[between].detach().cpu().double().numpy()


@torch.no_grad()
def pair_lengths(geometry: Geometry, seed: int = 0) -> Floats:
    """Distances from some columns, drawn at random, to all others that a path leads to.

    For up to 447 columns these are all pairs.

    Args:
        geometry: Positions of the columns.
        seed: Seed of the draw.
    """
    n = geometry.num_columns
    count = min(n, max(TARGETS, PAIRS // n))
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:count]
    target, source = torch.cartesian_prod(drawn.sort().values, torch.arange(n)).T
    other = target != source
    lengths = geometry.distance(target[other], source[other]).double().cpu().numpy()
    return lengths[np.isfinite(lengths)]


def distance_rule(wires: Floats, pairs: Floats) -> float:
    r"""The rate of the exponential distance rule that fits a wiring best.

    If an edge of length :math:`d` is present in proportion to :math:`e^{-r d}`, the lengths of
    edges have density :math:`q(d) \propto n(d) e^{-r d}`, with :math:`n` the density of all pairs.
    The likelihood is largest where the mean length under :math:`q` is that of the edges.

    Args:
        wires: Lengths of edges, at least one.
        pairs: Lengths of all pairs, or of a sample of them.

    Returns:
        ``r``, per unit of length: positive when short edges are preferred, 0 for random wiring,
        and ``inf`` or ``-inf`` when all edges are as short or as long as any pair.

    Raises:
        ValueError: No length of an edge or of a pair, or some that are not finite.

    Source: Ercsey-Ravasz et al., A predictive network model of cerebral cortical connectivity
    based on a distance rule, Neuron 80 (2013).
    """
    for name, lengths in (("wires", wires), ("pairs", pairs)):
        _check_lengths(name, lengths)
    mean, low, high = wires.mean(), pairs.min(), pairs.max()
    if not low < mean < high:
        return float(np.inf if mean <= low else -np.inf)

    def excess(rate: float) -> float:
        return float(np.average(pairs, weights=rule_weights(pairs, rate)) - mean)

    reach = 1.0 / (high - low)
    while excess(reach) > 0:
        reach *= 2
    lowest = -1.0 / (high - low)
    while excess(lowest) < 0:
        lowest *= 2
    return float(brentq(excess, lowest, reach))


def _check_lengths(name: str, lengths: Floats) -> None:
    if not len(lengths) or not np.isfinite(lengths).all():
        got = f"{int((~np.isfinite(lengths)).sum())} that are not" if len(lengths) else "none"
        raise ValueError(f"{name} must be at least one length, all finite. Got {got}.")


def rule_weights(pairs: Floats, rate: float) -> Floats:
    """Share of each pair under the distance rule; they sum to one.

    Args:
        pairs: Lengths of pairs, ``[P]``, at least one.
        rate: Rate per unit of length; ``inf`` and ``-inf`` choose the shortest and the longest.

    Raises:
        ValueError: No pair, or lengths or a rate that are no numbers.
    """
    _check_lengths("pairs", pairs)
    if np.isnan(rate):
        raise ValueError("rate must be a number. Got nan.")
    if np.isinf(rate):
        chosen = pairs == (pairs.min() if rate > 0 else pairs.max())
        return chosen / chosen.sum()
    exponent = -rate * pairs
    weights = np.exp(exponent - exponent.max())
    return weights / weights.sum()
