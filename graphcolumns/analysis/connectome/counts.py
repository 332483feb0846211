"""Density, degrees, reciprocity and weights of a connectome."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import Ids, directed_edges, joined_pairs
from graphcolumns.graph import ColumnGraph


def edge_density(graph: ColumnGraph) -> float:
    """Edges between different columns as a share of those possible, ``E / (N (N - 1))``.

    ``ColumnGraph.density`` counts self-edges too. An undirected graph with each edge in both
    directions has the density of its pairs.

    Raises:
        ValueError: A bipartite graph, or a single column.
    """
    source, _, _ = directed_edges(graph)
    n = graph.num_columns
    if n < 2:
        raise ValueError(f"density needs two columns or more. Got {n}.")
    return len(source) / (n * (n - 1))


class Degrees(NamedTuple):
    """Number of other columns at the edges of each column.

    Args:
        incoming: In-degree, ``[N]``.
        outgoing: Out-degree, ``[N]``.
        joined: Columns joined by an edge in any direction, ``[N]``.
    """

    incoming: Ids
    outgoing: Ids
    joined: Ids


def column_degrees(graph: ColumnGraph) -> Degrees:
    """In-degree, out-degree and undirected degree of each column; self-edges are left out.

    Raises:
        ValueError: A bipartite graph.
    """
    source, target, _ = directed_edges(graph)
    n = graph.num_columns
    into, out = np.bincount(target, minlength=n), np.bincount(source, minlength=n)
    return Degrees(into, out, joined_pairs(graph).degree)


def edge_reciprocity(graph: ColumnGraph) -> float:
    """Share of edges whose reverse is an edge; self-edges are left out.

    Returns:
        A share in [0, 1]; NaN without an edge between different columns.

    Raises:
        ValueError: A bipartite graph.
    """
    source, target, _ = directed_edges(graph)
    if not len(source):
        return math.nan
    n = graph.num_columns
    return float(np.isin(source * n + target, target * n + source).mean())


class WeightStatistics(NamedTuple):
    r"""How widely weights are distributed.

    Args:
        edges: Edges between different columns of weight above 0.
        zeros: Edges of weight 0, which are left out.
        mean_log: Mean of :math:`\ln w`.
        sd_log: Standard deviation of :math:`\ln w`, by ``n - 1``; NaN for fewer than two edges.
        decades: :math:`\log_{10}(w_{max} / w_{min})`.
        skew_log: Skewness of :math:`\ln w`, 0 for a lognormal; NaN where all weights are equal.
    """

    edges: int
    zeros: int
    mean_log: float
    sd_log: float
    decades: float
    skew_log: float


def weight_statistics(graph: ColumnGraph, weights: Tensor) -> WeightStatistics:
    r"""Mean, standard deviation and skewness of :math:`\ln w` over edges of different columns.

    Edges of the macaque cortex have weights over more than five orders of magnitude, and the
    logarithms have a standard deviation near 3.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.

    Raises:
        ValueError: No weight above 0; weights of another shape, negative or not finite; a bipartite
            graph.

    Source: Markov et al., A weighted and directed interareal connectivity matrix for macaque
    cerebral cortex, Cerebral Cortex 24 (2014).
    """
    _, _, value = directed_edges(graph, weights)
    if not len(value):
        raise ValueError(
            "statistics of weights need an edge between different columns of weight above 0. Got "
            "none."
        )
    log = np.log(value)
    sd = float(log.std(ddof=1)) if len(log) > 1 else math.nan
    centred = log - log.mean()
    constant = not len(log) > 1 or bool((log == log[0]).all())
    skew = math.nan if constant else float((centred**3).mean() / (centred**2).mean() ** 1.5)
    zeros = len(directed_edges(graph)[0]) - len(value)
    return WeightStatistics(
        len(log), zeros, float(log.mean()), sd, float(np.ptp(log)) / math.log(10), skew
    )
