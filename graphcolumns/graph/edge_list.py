"""Edges in any order, as other libraries have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from graphcolumns.graph.edges import edge_order

if TYPE_CHECKING:
    from graphcolumns.graph import ColumnGraph


class EdgeList(NamedTuple):
    """The arguments of ``ColumnGraph.from_edge_index``, and a weight per edge in the same order."""

    edge_index: Tensor
    num_columns: int
    num_sources: int | None = None
    distance: Tensor | None = None
    weight: Tensor | None = None

    def build(self, cls: type[ColumnGraph]) -> tuple[ColumnGraph, Tensor | None]:
        """The graph, and the weights in the order of its edges."""
        graph = cls.from_edge_index(*self[:4])
        weight = None if self.weight is None else self.weight[edge_order(self.edge_index)]
        return graph, weight


def check_weight(graph: ColumnGraph, weight: Tensor) -> None:
    """Raise unless there is one weight per edge."""
    if weight.shape != (graph.num_edges,):
        raise ValueError(
            f"weight must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(weight.shape)}."
        )


def require_square(graph: ColumnGraph, method: str) -> None:
    """Raise unless columns receive from each other."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"{method} needs as many sources as columns. Got {graph}; "
            "for a bipartite graph call to_edge_index or to_scipy."
        )
