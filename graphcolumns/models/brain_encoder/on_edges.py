"""A module that keeps the edges that it is on."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.query_edges import rows_of
from graphcolumns.nn.moved import moved


class OnEdges(nn.Module):
    """Keeps a graph, takes another one when it is rewired, and moves it to a device.

    Args:
        graph: The edges, or None: from all to all, without a list.

    Attributes:
        graph: The edges, or None.
    """

    graph: ColumnGraph | None

    def __init__(self, graph: ColumnGraph | None) -> None:
        super().__init__()
        self.graph = graph

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges."""
        self.graph = graph

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        if self.graph is not None:
            self.graph = moved(self.graph, fn)
        return self


class Decoder(OnEdges):
    """From tokens to states of queries: what :class:`BrainEncoder` requires of its decoder.

    A decoder of your own defines ``states`` and, to be looked at, ``attention``.

    Args:
        edges: Edges from ``M`` tokens to ``N`` queries, or the number of queries.

    Attributes:
        num_queries: Number of queries ``N``.
        by_rows: Whether some of the queries can be computed without the others.
    """

    by_rows = True

    def __init__(self, edges: ColumnGraph | int) -> None:
        super().__init__(edges if isinstance(edges, ColumnGraph) else None)
        self.num_queries = edges.num_columns if isinstance(edges, ColumnGraph) else edges
        self._parts: dict[tuple[int, int], tuple[ColumnGraph, slice]] = {}
        if self.num_queries < 1:
            raise ValueError(f"a decoder needs at least one query. Got {self.num_queries}.")

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges."""
        super().rewired(graph)
        self._parts = {}

    def edges_of(self, rows: slice | None) -> tuple[ColumnGraph | None, slice]:
        """The in-edges of some queries, and their places among all edges.

        Made once for each part, because a step goes through the same parts again and again.

        Raises:
            ValueError: Rows that are not one after the other, or none.
        """
        if rows is None:
            return self.graph, slice(None)
        start, stop, step = rows.indices(self.num_queries)
        if step != 1 or start >= stop:
            raise ValueError(
                f"queries must be one after the other, at least one of {self.num_queries}. Got "
                f"{rows}; look at all of them and choose then."
            )
        if self.graph is None:
            return None, slice(None)
        part = (start, stop)
        if part not in self._parts or self._parts[part][0].device != self.graph.device:
            self._parts[part] = rows_of(self.graph, slice(*part))
        return self._parts[part]

    def forward(self, keys: Tensor, values: Tensor) -> Tensor:
        """The states of all queries, ``[N, B, C]``.

        Args:
            keys: Tokens with the code of their places, ``[M, B, C]``.
            values: Tokens, ``[M, B, C]``.
        """
        return self.states(self.prepare(keys, values))

    def prepare(self, keys: Tensor, values: Tensor) -> Any:
        """What all queries have in common, computed once: here, the tokens as they are."""
        return keys, values

    def states(self, prepared: Any, rows: slice | None = None) -> Tensor:
        """The states of all queries, or of those in ``rows``, ``[N, B, C]``.

        Args:
            prepared: Result of :meth:`prepare`.
            rows: Queries, one after the other.
        """
        raise NotImplementedError(f"{type(self).__name__} must define states.")

    def attention(self, keys: Tensor, values: Tensor, rows: slice | None = None) -> Tensor:
        """The weight of every token for these queries, ``[N, B, H, M]``, 0 where no edge is."""
        raise NotImplementedError(f"{type(self).__name__} must define attention to be looked at.")
