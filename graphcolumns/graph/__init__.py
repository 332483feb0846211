"""Edges from sources to columns: a frozen value, its edges sorted by (target, source).

``column_graph`` has the value, ``interchange`` its ways from and to other libraries, ``edges`` the
checks and ``keys`` the pairs as single numbers. ``edge_file`` reads edges, ``induced`` keeps those
between some columns.
Independent of layers and training.
"""

from graphcolumns.graph.column_graph import NO_TENSOR, ColumnGraph
from graphcolumns.graph.induced import InducedSubgraph, induced_subgraph
from graphcolumns.graph.pytree import register as _register
from graphcolumns.graph.views import BySource

__all__ = ["NO_TENSOR", "BySource", "ColumnGraph", "InducedSubgraph", "induced_subgraph"]

_register()
