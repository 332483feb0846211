"""Checks of graphs along which signals run both ways."""

from __future__ import annotations

import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.column_attention.checks import check_graph


def require_reverse_edges(
    graph: ColumnGraph, remedy: str = "call connect.union(graph, graph.reverse())"
) -> None:
    """Raises for a graph with an edge that has no reverse.

    Args:
        graph: Edges between columns of one set.
        remedy: What to do, for the end of the message.

    Raises:
        ValueError: An edge without its reverse, or sources that are not the columns.
        TypeError: ``graph`` is not a ColumnGraph.
    """
    check_graph(graph)
    if graph.num_sources != graph.num_columns:
        raise ValueError(
            "columns must receive from each other. Expected as many sources as columns. Got "
            f"{graph.num_sources} sources and {graph.num_columns} columns."
        )
    if graph.same_topology(graph.reverse()):
        return
    source, target = graph.edge_index
    count = graph.num_columns
    alone = ~torch.isin(target * count + source, source * count + target)
    first = int(alone.nonzero()[0])
    raise ValueError(
        "inhibition runs both ways, so every edge must have its reverse. Got "
        f"{int(alone.sum())} of {graph.num_edges} without, such as from {int(source[first])} to "
        f"{int(target[first])}; {remedy}."
    )
