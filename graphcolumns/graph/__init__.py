"""Edges from sources to columns: a frozen value, its edges sorted by (target, source).

``column_graph`` has the value; the other files bring edges in and out.
Independent of layers and training.
"""

from graphcolumns.graph.column_graph import NO_TENSOR, ColumnGraph
from graphcolumns.graph.views import BySource

__all__ = ["NO_TENSOR", "BySource", "ColumnGraph"]
