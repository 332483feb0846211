"""A measure of a graph against the values that it takes on a null."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from graphcolumns.analysis.connectome.nulls.slots import NullDraw
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive

Tail = Literal["greater", "less", "two-sided"]

# Values whose range is a smaller share of the largest are one value.
ROUNDING = 1e-12


@dataclass(frozen=True)
class NullValues:
    r"""A measure of a graph, and what it is on ``n`` graphs of a null.

    Args:
        observed: Measure of the graph.
        values: Measure of each null graph, ``[n]``.
        tail: Values that count as extreme: ``"greater"``, ``"less"`` or ``"two-sided"``.
    """

    observed: float
    values: NDArray[np.float64]
    tail: Tail = "greater"

    @property
    def mean(self) -> float:
        """Mean of the null."""
        return float(self.values.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the null, by ``n - 1``; 0 where values differ by rounding alone."""
        if np.ptp(self.values) <= ROUNDING * np.abs(self.values).max():
            return 0.0
        return float(self.values.std(ddof=1))

    @property
    def z(self) -> float:
        """``(observed - mean) / sd``; NaN where the standard deviation is 0."""
        return (self.observed - self.mean) / self.sd if self.sd else math.nan

    @property
    def p(self) -> float:
        r"""Probability of a value as extreme, :math:`(1 + \#\{k: v_k \ge v\}) / (1 + n)`.

        With ``"less"`` :math:`\le` in place of :math:`\ge`; with ``"two-sided"`` twice the smaller
        of both, at most 1. The smallest p is :math:`1 / (1 + n)`, two-sided :math:`2 / (1 + n)`.

        Source: Phipson and Smyth, Permutation p-values should never be zero, Statistical
        Applications in Genetics and Molecular Biology 9 (2010).
        """
        above = float(1 + (self.values >= self.observed).sum()) / (1 + len(self.values))
        below = float(1 + (self.values <= self.observed).sum()) / (1 + len(self.values))
        both = min(1.0, 2 * min(above, below))
        return {"greater": above, "less": below, "two-sided": both}[self.tail]

    def __repr__(self) -> str:
        return (
            f"NullValues(observed={self.observed:.4g}, null={self.mean:.4g} +- {self.sd:.2g}, "
            f"z={self.z:.3g}, p={self.p:.3g}, {self.tail}, n={len(self.values)})"
        )


def null_values(
    graph: ColumnGraph,
    measure: Callable[..., float],
    null: Callable[..., NullDraw],
    count: int = 100,
    seed: int = 0,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    tail: Tail = "greater",
    options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> NullValues:
    """A measure of a graph, and the same measure of ``count`` graphs of a null.

    Args:
        graph: Edges among columns.
        measure: Function of a graph, or of a graph and its weights ``[E]`` if weights are given,
            that returns a finite number.
        null: Function of this package, such as ``rewire_degrees``.
        count: Number of null graphs, 2 or more.
        seed: Seed of the nulls; graph ``k`` has a seed of its own, whatever ``count`` is.
        weights: Weight of every edge, ``[E]``.
        geometry: Positions of the columns.
        tail: Values that count as extreme: ``"greater"``, ``"less"`` or ``"two-sided"``.
        options: Further arguments of ``null``, such as ``{"swaps_per_edge": 20}``.
        progress: Whether a progress bar is shown.

    Raises:
        ValueError: Fewer than two null graphs, an unknown tail, a measure that is not finite, or
            what ``null`` raises.

    Example:
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.analysis.connectome.nulls import null_values, rewire_degrees
        >>> graph = connect.nearest(grid.sheet(6, 6), 4)
        >>> def mutual(graph):
        ...     source, target = graph.edge_index
        ...     edges = set(zip(source.tolist(), target.tolist()))
        ...     return sum((t, s) in edges for s, t in edges) / len(edges)
        >>> null_values(graph, mutual, rewire_degrees, count=19).p
        0.05
    """
    check_null_values(count, tail)
    given = {"weights": weights, "geometry": geometry, **(options or {})}
    observed = _measured(measure, graph, weights, "the graph")
    values = []
    for k in tqdm(range(count), desc="null graphs", unit="graph", disable=not progress):
        draw = null(graph, **given, seed=derive(seed, "null graph", k))
        values.append(_measured(measure, draw.graph, draw.weights, f"null graph {k}"))
    return NullValues(observed, np.array(values), tail)


def check_null_values(count: int, tail: str) -> None:
    """Raise unless there are two null graphs or more, and the tail is known."""
    if count < 2:
        raise ValueError(f"count must be 2 or above, for a standard deviation. Got {count}.")
    if tail not in ("greater", "less", "two-sided"):
        raise ValueError(f"tail must be 'greater', 'less' or 'two-sided'. Got {tail!r}.")


def _measured(
    measure: Callable[..., float], graph: ColumnGraph, weights: Tensor | None, name: str
) -> float:
    value = float(measure(graph) if weights is None else measure(graph, weights))
    if not math.isfinite(value):
        raise ValueError(
            f"a measure must be finite. Got {value} on {name}; return a number for such graphs, or "
            "measure another property."
        )
    return value
