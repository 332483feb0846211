"""The edges of a graph as the registered ops take them: tensors only."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphcolumns.graph import ColumnGraph


class Views(NamedTuple):
    """Edges by target (CSR) and by source (CSC); see :class:`~graphcolumns.ColumnGraph`."""

    rowptr: Tensor  # [N + 1] int64
    source: Tensor  # [E] int32
    target: Tensor  # [E] int32
    colptr: Tensor  # [M + 1] int64
    csc_target: Tensor  # [E] int32, in CSC order like the next
    csc_edge: Tensor  # [E] int64

    @classmethod
    def of(cls, graph: ColumnGraph) -> Views:
        """The views of ``graph``."""
        return cls(graph.rowptr, graph.source, graph.target, *graph.by_source)
