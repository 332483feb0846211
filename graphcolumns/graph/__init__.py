"""Who listens to whom: a frozen value with its edges sorted by (target, source).

``column_graph`` has the value; the other files bring edges in and out.
Knows nothing of layers or training.
"""

from graphcolumns.graph.column_graph import NO_TENSOR, BySource, ColumnGraph

__all__ = ["NO_TENSOR", "BySource", "ColumnGraph"]
