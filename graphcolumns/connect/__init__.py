"""From a geometry to a graph: the edges of a sheet before anything is learned.

Every function returns a ``ColumnGraph`` with float32 distances measured by the geometry. With
``self_loops=True``, the default, the column itself is one of its in-edges and counts in its degree.
Nothing here makes an ``N x N`` matrix, except ``complete``.

``local``, ``random`` and ``layered`` have the rules, ``explicit`` takes edges as they are given,
``combine`` unites graphs. ``neighbours``, ``paths`` and the races search and draw columns, of which
``measured_graph`` makes a graph.
"""

from graphcolumns.connect.between import complete_between
from graphcolumns.connect.combine import union
from graphcolumns.connect.explicit import complete, from_file
from graphcolumns.connect.fields import field_edges
from graphcolumns.connect.layered import between_areas, layered
from graphcolumns.connect.local import bipartite, nearest, within_radius
from graphcolumns.connect.random import Kernel, distance_decay, random

__all__ = [
    "Kernel",
    "between_areas",
    "bipartite",
    "complete",
    "complete_between",
    "distance_decay",
    "field_edges",
    "from_file",
    "layered",
    "nearest",
    "random",
    "union",
    "within_radius",
]
