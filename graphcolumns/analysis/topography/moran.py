"""Moran's I: whether neighbours have similar values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.nulls.values import NullValues, Tail
from graphcolumns.analysis.topography.inputs import (
    Floats,
    as_column_values,
    as_edge_weights,
    require_columns,
)
from graphcolumns.analysis.topography.permuted import permuted_null
from graphcolumns.graph import ColumnGraph


def morans_i(values: Any, graph: ColumnGraph, weights: Tensor | None = None) -> float:
    r"""Spatial autocorrelation of one number per column.

    .. math::
        I = \frac{n}{S_0} \frac{z^\top W z}{z^\top z},
        \qquad z = x - \bar x, \quad S_0 = \sum_{ij} w_{ij}

    Positive if neighbours are alike, negative if they alternate, and :math:`-1/(n - 1)` on average
    if values are permuted. Edges are neighbours: ``rook_neighbours`` of a sheet, or any other
    graph. W is taken as it is, with its directions, and I of W is that of
    :math:`(W + W^\top) / 2`; self-edges are left out. ``esda`` divides the weights of each column
    by their sum unless it is given ``transformation="B"``: pass
    ``weights=1 / graph.in_degree[graph.target]`` for that.

    Args:
        values: Value of every column, ``[N]``, such as a preference or a selectivity.
        graph: Edges among the columns.
        weights: Weight of every edge, ``[E]``, 0 or above (default: 1).

    Returns:
        I, without unit; NaN if all values are equal.

    Raises:
        ValueError: Values or weights of another shape or not finite, negative weights, weights that
            sum to 0, or a graph with other sources than its columns.

    Source: Moran, Notes on continuous stochastic phenomena, Biometrika 37 (1950),
    https://doi.org/10.2307/2332142.
    """
    source, target, weight, values = _checked(values, graph, weights)
    return _index(values, source, target, weight)


class MoranTest(NamedTuple):
    """Moran's I against permuted columns.

    Args:
        observed: Moran's I.
        expected: Mean over all permutations, ``-1 / (n - 1)``.
        null: Value for every permutation that was drawn, with ``null.p`` and ``null.z``.
    """

    observed: float
    expected: float
    null: NullValues


def moran_test(
    values: Any,
    graph: ColumnGraph,
    weights: Tensor | None = None,
    count: int = 999,
    seed: int = 0,
    tail: Tail = "greater",
) -> MoranTest:
    """Moran's I, and what it is when the values are permuted among the columns.

    Args:
        values: Value of every column, ``[N]``.
        graph: Edges among the columns.
        weights: Weight of every edge, ``[E]``, 0 or above (default: 1).
        count: Number of permutations, 2 or more.
        seed: Seed of the permutations.
        tail: Values that count as extreme: ``"greater"``, ``"less"`` or ``"two-sided"``.

    Raises:
        ValueError: As ``morans_i``; all values equal, fewer than two permutations, an unknown tail.

    Source: Cliff and Ord, Spatial processes: models and applications, Pion 1981.
    """
    source, target, weight, values = _checked(values, graph, weights)
    if (values == values[0]).all():
        raise ValueError(
            f"values must differ, or no permutation changes anything. Got {values[0]:.3g} for all "
            f"{len(values)} columns."
        )
    null = permuted_null(lambda x: _index(x, source, target, weight), values, count, seed, tail)
    return MoranTest(null.observed, -1 / (len(values) - 1), null)


def _checked(
    values: Any, graph: ColumnGraph, weights: Tensor | None
) -> tuple[Any, Any, Floats, Floats]:
    require_columns(graph)
    found = as_column_values("values", values, graph.num_columns)
    source, target = graph.edge_index.cpu().numpy()
    weight = as_edge_weights(weights, graph) * (source != target)
    if not weight.sum() > 0:
        raise ValueError(
            "the weights of edges between different columns must sum to more than 0. Got 0 over "
            f"{int((source != target).sum())} such edges."
        )
    return source, target, weight, found


def _index(values: Floats, source: Any, target: Any, weight: Floats) -> float:
    if (values == values[0]).all():
        return float("nan")
    z = values - values.mean()
    return float(len(z) / weight.sum() * np.sum(weight * z[target] * z[source]) / (z @ z))
