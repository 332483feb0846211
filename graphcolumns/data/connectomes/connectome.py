"""A connectome as a value: a graph, a weight per edge, and what is known of its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


@dataclass(frozen=True, eq=False, repr=False)
class Connectome:
    """Neurons or regions as columns, their connections as edges (source j, target i).

    Args:
        graph: Edges from every source to every target, ``N`` columns; ``graph.distance`` has the
            lengths where they are known.
        weights: Weight of each edge, ``[E]`` float64, in the order of the edges of ``graph``.
        names: Name of each column, ``N`` texts, all different.
        unit: Unit of the weights, such as ``"synapses"``.
        source: Publication that the connectome comes from, and the file.
        length_unit: Unit of ``graph.distance`` (None: no lengths).
        attributes: Texts or numbers of every column by name, ``[N]`` each, such as ``"type"``.
        edge_attributes: Numbers of every edge by name, ``[E]`` each, such as ``"sign"``.

    Raises:
        TypeError: Complex weights.
        ValueError: Sizes that do not fit, a name that comes twice, weights that are not finite.
    """

    graph: ColumnGraph
    weights: Tensor
    names: tuple[str, ...]
    unit: str
    source: str
    length_unit: str | None = None
    attributes: Mapping[str, tuple[str, ...] | Tensor] = field(default_factory=dict)
    edge_attributes: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns, edges = self.graph.num_columns, self.graph.num_edges
        if self.graph.num_sources != columns:
            raise ValueError(f"columns must receive from each other. Got {self.graph}.")
        if self.weights.is_complex():
            raise TypeError(f"weights must be real numbers. Got {self.weights.dtype}.")
        if self.weights.shape != (edges,) or not bool(self.weights.isfinite().all()):
            raise ValueError(
                f"weights must be {edges} finite numbers, one per edge. Got "
                f"{int((~self.weights.isfinite()).sum())} of {tuple(self.weights.shape)} that are "
                "not finite."
            )
        if len(self.names) != columns or len(set(self.names)) != columns:
            raise ValueError(
                f"names must be {columns} different texts, one per column. Got {len(self.names)}, "
                f"{len(set(self.names))} of them different."
            )
        sizes = {name: (len(values), columns) for name, values in self.attributes.items()}
        sizes |= {name: (len(values), edges) for name, values in self.edge_attributes.items()}
        for name, (got, expected) in sizes.items():
            if got != expected:
                raise ValueError(f"attribute {name!r} must have {expected} values. Got {got}.")
        if (self.graph.distance is None) != (self.length_unit is None):
            raise ValueError(
                "length_unit must be given for a graph with lengths, and only then. Got "
                f"{self.length_unit!r}."
            )

    def __repr__(self) -> str:
        kind = "directed" if self.directed else "undirected"
        return (
            f"Connectome({self.graph.num_columns} columns, {self.graph.num_edges} edges, {kind}, "
            f"weights in {self.unit})"
        )

    @property
    def directed(self) -> bool:
        """Whether an edge has no reverse, or one of another weight."""
        matrix = self.graph.to_scipy(self.weights)
        return bool((matrix != matrix.T).nnz)

    @property
    def matrix(self) -> Tensor:
        """Weights ``[N, N]`` float64, row ``i`` the target and column ``j`` the source; 0: none."""
        dense = torch.zeros(self.graph.num_columns, self.graph.num_columns, dtype=torch.float64)
        dense[self.graph.target.long(), self.graph.source.long()] = self.weights
        return dense

    def subset(self, names: Sequence[str]) -> Connectome:
        """Some of the columns in the order of ``names``, and all edges between them.

        Args:
            names: Names of columns, all different.

        Raises:
            ValueError: An unknown name, one that comes twice, or none.
        """
        place = {name: column for column, name in enumerate(self.names)}
        unknown = [name for name in names if name not in place]
        if unknown or not names or len(set(names)) != len(names):
            got = f"{unknown[0]!r}, which is none" if unknown else f"{len(names)} names"
            raise ValueError(f"names must be different names of columns. Got {got}.")
        kept = torch.tensor([place[name] for name in names])
        new = torch.full((len(self.names),), -1)
        new[kept] = torch.arange(len(kept))
        edge_index = new[self.graph.edge_index]
        edges = torch.nonzero((edge_index >= 0).all(0))[:, 0]
        edges = edges[ColumnGraph.edge_order(edge_index[:, edges])]
        length = None if self.graph.distance is None else self.graph.distance[edges]
        attributes: dict[str, tuple[str, ...] | Tensor] = {
            name: values[kept] if isinstance(values, Tensor) else tuple(values[i] for i in kept)
            for name, values in self.attributes.items()
        }
        return Connectome(
            ColumnGraph.from_edge_index(edge_index[:, edges], len(kept), distance=length),
            self.weights[edges],
            tuple(names),
            self.unit,
            self.source,
            self.length_unit,
            attributes,
            {name: values[edges] for name, values in self.edge_attributes.items()},
        )


def connectome_from_matrix(
    matrix: Any,
    rows: str,
    names: Sequence[str] | None = None,
    unit: str = "weight",
    source: str = "",
    lengths: Any = None,
    length_unit: str | None = None,
    attributes: Mapping[str, tuple[str, ...] | Tensor] | None = None,
) -> Connectome:
    """A connectome of a matrix: an edge wherever a number is not 0, the diagonal included.

    Args:
        matrix: Weights, an array or tensor ``[N, N]``; they may be negative.
        rows: What a row is, ``"sources"`` (presynaptic) or ``"targets"`` (postsynaptic).
        names: Name of each row (default: its number, from 0).
        unit: Unit of the weights.
        source: Publication, file, or both.
        lengths: Length of each edge, ``[N, N]`` in the same order; read where there is an edge.
        length_unit: Unit of the lengths.
        attributes: Texts or numbers of each row by name, ``[N]`` each.

    Raises:
        TypeError: Complex numbers.
        ValueError: A matrix that is not square or has numbers that are not finite, lengths that are
            negative or not finite, or unknown ``rows``.
    """
    if np.iscomplexobj(matrix):
        raise TypeError("matrix must hold real numbers. Got complex ones; pass their absolute.")
    weights = np.asarray(matrix, dtype=np.float64)
    distance = None if lengths is None else np.asarray(lengths, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not len(weights):
        raise ValueError(f"matrix must be [N, N]. Got {weights.shape}.")
    if not np.isfinite(weights).all():
        raise ValueError(
            f"matrix must hold finite numbers. Got {int((~np.isfinite(weights)).sum())} others; "
            "write 0 where there is no edge."
        )
    if distance is not None and distance.shape != weights.shape:
        raise ValueError(f"lengths must be {weights.shape}, as the matrix. Got {distance.shape}.")
    check_name("rows", rows, ("sources", "targets"))
    if rows == "sources":
        weights, distance = weights.T, None if distance is None else distance.T
    # np.nonzero goes by rows, which is the order of edges: by target, then by source.
    target, source_ids = np.nonzero(weights)
    edge_index = torch.from_numpy(np.stack([source_ids, target]))
    length = None if distance is None else torch.from_numpy(distance[target, source_ids])
    return Connectome(
        ColumnGraph.from_edge_index(edge_index, len(weights), distance=length),
        torch.from_numpy(weights[target, source_ids]),
        tuple(map(str, range(len(weights)))) if names is None else tuple(names),
        unit,
        source,
        length_unit,
        dict(attributes or {}),
    )


def check_name(what: str, got: str, known: Iterable[str]) -> None:
    """Raise unless a name is known."""
    names = tuple(known)
    if got not in names:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, names))}. Got {got!r}.")
