"""Pairs of columns that an edge joins in one direction or both: a graph without directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from graphcolumns.graph import ColumnGraph

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

# Sizes of weights whose sums, squares and quotients are numbers of float64 too.
LEAST, MOST = 1e-100, 1e100


class JoinedPairs(NamedTuple):
    """JoinedPairs of different columns that are joined, each once.

    Args:
        low: Smaller id of each pair, ``[P]``.
        high: Larger id, ``[P]``.
        weight: Mean weight of both directions, an absent edge counting 0, ``[P]``; 1 without
            weights.
        length: Length of each pair, ``[P]``, the mean of those of its edges; None if the graph was
            not measured.
        columns: Number of columns ``N``.
    """

    low: Ids
    high: Ids
    weight: Floats
    length: Floats | None
    columns: int

    @property
    def degree(self) -> Ids:
        """Columns that each column is joined to, ``[N]``."""
        return np.bincount(np.append(self.low, self.high), minlength=self.columns)

    def matrix(self, weighted: bool = False) -> csr_array:
        """The symmetric matrix ``[N, N]`` of weights, or of ones."""
        values = self.weight if weighted else np.ones(len(self.low))
        rows, columns = np.append(self.low, self.high), np.append(self.high, self.low)
        size = (self.columns, self.columns)
        return coo_array((np.append(values, values), (rows, columns)), shape=size).tocsr()

    def take(self, which: NDArray[np.generic]) -> JoinedPairs:
        """Some of the pairs, by position or by mask."""
        length = None if self.length is None else self.length[which]
        return JoinedPairs(
            self.low[which], self.high[which], self.weight[which], length, self.columns
        )

    def graph(self) -> tuple[ColumnGraph, Tensor]:
        """A graph with an edge in both directions for each pair, and its weights ``[2 P]``."""
        source, target = np.append(self.low, self.high), np.append(self.high, self.low)
        edge_index = torch.from_numpy(np.stack([source, target]))
        order = ColumnGraph.edge_order(edge_index)
        length = None if self.length is None else torch.from_numpy(np.tile(self.length, 2)).float()
        graph = ColumnGraph.from_edge_index(edge_index, self.columns, distance=length)
        return graph, torch.from_numpy(np.tile(self.weight, 2))[order]


def joined_pairs(graph: ColumnGraph, weights: Tensor | None = None) -> JoinedPairs:
    """The pairs of a graph, without self-edges; edges of weight 0 join nothing.

    Raises:
        ValueError: A bipartite graph; weights of another shape, negative or not finite.
    """
    require_shared_columns(graph)
    source, target = (ends.astype(np.int64) for ends in graph.edge_index.cpu().numpy())
    value = checked_weights(graph, weights)
    between = (source != target) & (value > 0)
    source, target, value = source[between], target[between], value[between]
    n = graph.num_columns
    keys, place = np.unique(
        np.minimum(source, target) * n + np.maximum(source, target), return_inverse=True
    )
    low, high = keys // n, keys % n
    length = None
    if graph.distance is not None:
        lengths = graph.distance.detach().cpu().double().numpy()[between]
        length = np.bincount(place, lengths, len(keys)) / np.bincount(place, minlength=len(keys))
    weight = np.ones(len(keys)) if weights is None else np.bincount(place, value, len(keys)) / 2
    return JoinedPairs(low, high, weight, length, n)


def require_shared_columns(graph: ColumnGraph) -> None:
    """Raise unless columns receive from each other."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"a connectome has as many sources as columns. Got {graph}; pass a graph in which "
            "columns receive from each other."
        )


def checked_weights(graph: ColumnGraph, weights: Tensor | None) -> Floats:
    """Weights ``[E]`` as float64, 1 where none are given.

    Raises:
        TypeError: Complex numbers.
        ValueError: Another shape, or numbers that are negative, not finite, or neither 0 nor of a
            size in [1e-100, 1e100].
    """
    if weights is None:
        return np.ones(graph.num_edges)
    check_real(weights)
    if weights.shape != (graph.num_edges,):
        raise ValueError(
            f"weights must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(weights.shape)}."
        )
    value: Floats = weights.detach().cpu().double().numpy()
    for bad, rule, remedy in (
        (~np.isfinite(value), "finite", "remove these edges."),
        (value < 0, "0 or above", "pass weights.abs(), or the edges of one sign."),
    ):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"weights must be {rule}. Got {value[first]} at edge {first}; {remedy}"
            )
    check_sizes(value)
    return value


def check_real(weights: Tensor) -> None:
    """Raise for complex numbers."""
    if weights.is_complex():
        raise TypeError(f"weights must be real numbers. Got {weights.dtype}; pass weights.abs().")


def check_sizes(weights: Floats) -> None:
    """Raise for numbers whose sums or squares would not be finite, or 0."""
    size = np.abs(weights)
    bad = np.flatnonzero((size > MOST) | ((size > 0) & (size < LEAST)))
    if len(bad):
        raise ValueError(
            f"weights must be 0 or of a size in [{LEAST:g}, {MOST:g}], so that sums and squares "
            f"are numbers. Got {weights[bad[0]]:.3g} at edge {bad[0]}; divide all by their mean."
        )


def directed_edges(graph: ColumnGraph, weights: Tensor | None = None) -> tuple[Ids, Ids, Floats]:
    """Sources, targets and weights of the edges between different columns of weight above 0."""
    require_shared_columns(graph)
    source, target = (ends.astype(np.int64) for ends in graph.edge_index.cpu().numpy())
    value = checked_weights(graph, weights)
    between = (source != target) & (value > 0)
    return source[between], target[between], value[between]
