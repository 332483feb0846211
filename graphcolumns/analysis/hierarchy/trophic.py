"""Trophic levels: how far above the sources of its input each column is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import Floats, Ids, directed_edges
from graphcolumns.analysis.hierarchy.potentials import fit_potentials
from graphcolumns.graph import ColumnGraph


class TrophicLevels(NamedTuple):
    """Levels of columns, and how far edges are from climbing one level each.

    Args:
        levels: Level of each column, ``[N]``, 0 at the lowest of each component; NaN for a column
            without an edge.
        incoherence: F0, 0 where every edge climbs one level and 1 where no direction dominates, as
            in a symmetric graph or a ring; NaN without an edge.
        components: Weakly connected component of each column, ``[N]``. Levels of columns in
            different components are not comparable.
    """

    levels: Floats
    incoherence: float
    components: Ids


def trophic_levels(graph: ColumnGraph, weights: Tensor | None = None) -> TrophicLevels:
    r"""Trophic levels and trophic incoherence of a directed graph.

    Levels minimise, and F0 is the minimum of,

    .. math::
        F_0 = \frac{\sum_{j \to i} w_{ij} (h_i - h_j - 1)^2}{\sum_{j \to i} w_{ij}}

    which is solved as :math:`(\mathrm{diag}(u) - W - W^T) h = v` with u the sum and v the
    difference of in- and out-weights. Self-edges are left out. Weights of anatomical strength need
    not give the hierarchy of the cortex: label feed-forward edges first.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above (default: 1).

    Raises:
        ValueError: Weights of another shape, negative or not finite; a bipartite graph.

    Source: MacKay, Johnson and Sansom, How directed is a directed network?, Royal Society Open
    Science 7 (2020).

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.analysis.hierarchy import trophic_levels
        >>> chain = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 0], [1, 2, 2]]), 3)
        >>> found = trophic_levels(chain)
        >>> found.levels.round(3).tolist(), round(found.incoherence, 3)
        ([0.0, 0.667, 1.333], 0.111)
    """
    source, target, value = directed_edges(graph, weights)
    ones = np.ones(len(value))
    levels, components = fit_potentials(source, target, value, ones, graph.num_columns)
    if not len(value):
        return TrophicLevels(levels, math.nan, components)
    missing = levels[target] - levels[source] - 1
    return TrophicLevels(levels, float((value @ missing**2) / value.sum()), components)


def trophic_incoherence(graph: ColumnGraph, weights: Tensor | None = None) -> float:
    """F0 of ``trophic_levels``: 0 for a hierarchy without exceptions, 1 for none.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above (default: 1).

    Raises:
        ValueError: See ``trophic_levels``.
    """
    return trophic_levels(graph, weights).incoherence
