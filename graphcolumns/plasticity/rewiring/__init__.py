"""The change: a new graph, and which old edge each of its edges is.

`Rewiring.origin` is all that the rest of the library needs to bring values along.
Edges are keys `target * M + source` here, sorted as edge ids are.
"""
