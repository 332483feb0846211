"""Which queries there are, and which vertices read each of them."""

from __future__ import annotations

import torch

from graphcolumns.geometry import Regions
from graphcolumns.graph import ColumnGraph


def region_edges(regions: Regions) -> ColumnGraph:
    """A query per region: every vertex reads the queries of the regions that it is in.

    Args:
        regions: ``R`` regions of ``V`` vertices.

    Returns:
        A graph from ``R`` queries to ``V`` vertices; vertices in no region have no edge.
    """
    query, vertex = regions.masks.nonzero().t()
    return ColumnGraph.from_edge_index(
        torch.stack([query, vertex]), regions.num_vertices, regions.num_regions
    )


def one_per_vertex(num_vertices: int) -> ColumnGraph:
    """A query per vertex, which that vertex alone reads.

    Args:
        num_vertices: ``V``.
    """
    return ColumnGraph.from_edge_index(torch.arange(num_vertices).expand(2, -1), num_vertices)


def is_one_to_one(graph: ColumnGraph) -> bool:
    """Whether query ``v`` is read by vertex ``v``, and by no other."""
    n = graph.num_columns
    if not n == graph.num_sources == graph.num_edges:
        return False
    same = torch.arange(n, dtype=graph.source.dtype, device=graph.device)
    return bool((graph.source == same).all() and (graph.target == same).all())


def rows_of(graph: ColumnGraph, rows: slice) -> tuple[ColumnGraph, slice]:
    """The in-edges of some targets as a graph, and the places of these edges.

    Args:
        graph: Graph of which rows are taken.
        rows: Targets, one after the other.
    """
    part = graph.rowptr[rows.start : rows.stop + 1]
    edges = slice(int(part[0]), int(part[-1]))
    return ColumnGraph(part - part[0], graph.source[edges], None, graph.num_sources), edges
