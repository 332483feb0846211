"""The change: a new graph, and which old edge each of its edges is.

``Rewiring.origin`` is all that the rest of the library needs to bring values along.
Edges are compared by keys (``graphcolumns.graph.keys``), sorted as edge ids are.
"""
