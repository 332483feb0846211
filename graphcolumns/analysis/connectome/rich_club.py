"""Whether columns of high degree are joined among each other more than their degrees imply."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphcolumns.analysis.connectome.nulls import rewire_degrees
from graphcolumns.analysis.connectome.pairs import Floats, Ids, JoinedPairs, joined_pairs
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive


class RichClub(NamedTuple):
    r"""Densities among the columns of degree above k, for each k from 0 on.

    Args:
        density: :math:`\phi(k)`, ``[K]``; NaN where fewer than two columns are left.
        null: Mean :math:`\phi(k)` of graphs with the same degrees, ``[K]``.
        ratio: ``density / null``, ``[K]``; NaN where a null graph has no such edge.
        members: Columns of degree above k, ``[K]``.
        largest: Largest ratio with enough members; NaN without one.
        degree: The k of it; -1 without one.
    """

    density: Floats
    null: Floats
    ratio: Floats
    members: Ids
    largest: float
    degree: int


def rich_club(
    graph: ColumnGraph, references: int = 10, least_share: float = 0.1, seed: int = 0
) -> RichClub:
    r"""Rich-club coefficients of a graph without directions, weights and self-edges.

    :math:`\phi(k) = 2 E_{>k} / (N_{>k} (N_{>k} - 1))`, with :math:`N_{>k}` the columns of degree
    above k and :math:`E_{>k}` the pairs of them that are joined.

    Args:
        graph: Edges among columns.
        references: Number of random graphs of the same degrees.
        least_share: Share of the columns that must be left for ``largest``, in [0, 1].
        seed: Seed of the random graphs.

    Raises:
        ValueError: No reference, a share out of range, a bipartite graph.

    Source: Colizza et al., Detecting rich-club ordering in complex networks, Nature Physics 2
    (2006); van den Heuvel and Sporns, Rich-club organization of the human connectome, Journal of
    Neuroscience 31 (2011).
    """
    if references < 1:
        raise ValueError(f"references must be 1 or above. Got {references}.")
    if not 0 <= least_share <= 1:
        raise ValueError(f"least_share must lie in [0, 1]. Got {least_share}.")
    pairs = joined_pairs(graph)
    density, members = _coefficients(pairs)
    both_ways, _ = pairs.graph()
    draws = (
        rewire_degrees(both_ways, seed=derive(seed, "rich club", k), undirected=True).graph
        for k in range(references)
    )
    null = np.mean([_coefficients(joined_pairs(draw))[0] for draw in draws], axis=0)
    ratio = np.divide(density, null, out=np.full(len(density), np.nan), where=null > 0)
    enough = (members >= least_share * pairs.columns) & np.isfinite(ratio)
    degree = int(np.where(enough, ratio, -np.inf).argmax()) if enough.any() else -1
    largest = float(ratio[degree]) if degree >= 0 else float("nan")
    return RichClub(density, null, ratio, members, largest, degree)


def _coefficients(pairs: JoinedPairs) -> tuple[Floats, Ids]:
    """Density among columns of degree above each k, and how many these are."""
    degree = pairs.degree
    most = int(degree.max(initial=0)) + 1
    least = np.minimum(degree[pairs.low], degree[pairs.high])
    # JoinedPairs whose ends both have a degree above k are all but those of a smaller one up to k.
    joined = len(least) - np.cumsum(np.bincount(least, minlength=most))
    members = pairs.columns - np.cumsum(np.bincount(degree, minlength=most))
    possible = members * (members - 1) / 2
    density = np.divide(joined, possible, out=np.full(most, np.nan), where=possible > 0)
    return density, members
