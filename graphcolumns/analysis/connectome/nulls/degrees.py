"""Graphs with the degrees of a graph, drawn uniformly."""

from __future__ import annotations

from torch import Tensor

from graphcolumns.analysis.connectome.nulls.checks import check_positive
from graphcolumns.analysis.connectome.nulls.slots import NullDraw, edge_slots
from graphcolumns.analysis.connectome.nulls.swaps import Swaps
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def rewire_degrees(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
    swaps_per_edge: float = 10,
    undirected: bool = False,
    self_edges: bool = False,
) -> NullDraw:
    r"""A random graph in which every column has as many in- and out-edges as observed.

    Two edges :math:`a \to b`, :math:`c \to d` become :math:`a \to d`, :math:`c \to b`, unless that
    makes an edge twice; cycles of three edges are reversed too. With enough swaps all graphs with
    these degrees are equally likely. A share :math:`e^{-2 s}` of the edges is in none of ``s``
    swaps per edge: at 10, less than one in 10^8. If fewer than one in 100 proposals is possible,
    as in a nearly complete graph, there are fewer swaps than that; a graph that is the only one
    with its degrees comes back as it is.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``. A weight stays with the source of its edge, so that
            the sum of the weights of out-edges is kept too; with ``undirected`` no sum is kept.
        geometry: Positions of the columns, which measure the edges.
        seed: Seed of the draw, 0 or above.
        swaps_per_edge: Mean number of swaps per edge.
        undirected: Whether every edge has its reverse, and keeps it.
        self_edges: Whether edges of a column to itself are swapped and made as any other. They
            stay as they are by default, and none is made.

    Raises:
        ValueError: A bipartite graph, an undirected graph that is not symmetric, weights of
            another shape or not finite, swaps that are not above 0, a bad seed.

    Source: Maslov and Sneppen, Specificity and stability in topology of protein networks, Science
    296 (2002).
    """
    check_positive("swaps_per_edge", swaps_per_edge)
    state = edge_slots(graph, weights, undirected, self_edges)
    Swaps(state, numpy_generator(seed), self_edges).run(swaps_per_edge)
    return state.draw(graph, weights, geometry)
