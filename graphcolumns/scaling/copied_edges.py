"""The edges of a sheet whose columns come from those of another."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.part import check_keep
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import place_in_row, pointers


class CopiedEdges(NamedTuple):
    """A graph and the edge that each of its edges is a copy of."""

    graph: ColumnGraph
    origin: Tensor  # [E'] int64


@torch.no_grad()
def copied_edges(graph: ColumnGraph, geometry: Geometry, columns: Tensor) -> CopiedEdges:
    r"""Each new column receives from copies of the sources of its origin.

    An edge from ``j`` to the origin of column ``i'`` becomes one edge to ``i'``: from the nearest
    of the columns that come from ``j`` (the lowest id of several as near). So in-degrees stay, a
    self-edge stays a self-edge, and where columns of one origin hold the same state, a softmax over
    the in-edges gives what it gave: several copies of a source would have had more mass. Edges from
    columns that are the origin of none are dropped.

    Args:
        graph: ``N`` columns and their edges.
        geometry: Positions of the ``N'`` new columns.
        columns: Column that each of them comes from, ``[N']`` int64.

    Returns:
        ``(graph, origin [E'])``, measured on ``geometry`` if ``graph`` was measured.

    Raises:
        ValueError: A bipartite graph, ids out of range or not one per new column, or a pair that
            no path of a mesh joins.
        TypeError: ``columns`` is not int64.
    """
    check_columns(graph, geometry, columns)
    columns = columns.to(graph.device)
    degree = graph.in_degree[columns]
    target = torch.repeat_interleave(degree)
    edge = graph.rowptr[columns].repeat_interleave(degree) + place_in_row(degree)
    origin = graph.source.long()[edge]
    source = _nearest_child(geometry, columns, target, origin, graph.num_columns)
    kept = source >= 0
    target, source, edge = target[kept], source[kept], edge[kept]
    distance = None
    if graph.distance is not None:
        distance = _lengths(geometry, target, source)
    edge_index = torch.stack([source, target])
    copied = ColumnGraph.from_edge_index(edge_index, len(columns), distance=distance)
    return CopiedEdges(copied, edge[ColumnGraph.edge_order(edge_index)])


@torch.no_grad()
def kept_edges(graph: ColumnGraph, keep: Tensor) -> CopiedEdges:
    """The edges between the columns that stay, with their lengths.

    Args:
        graph: ``N`` columns and their edges.
        keep: Mask of the columns that stay, ``[N]`` bool.

    Raises:
        ValueError: ``keep`` has another length or keeps nothing.
        TypeError: ``keep`` is not bool.
    """
    check_keep(keep, graph.num_columns)
    keep = keep.to(graph.device)
    edge = (keep[graph.target.long()] & keep[graph.source.long()]).nonzero()[:, 0]
    new_id = (keep.cumsum(0) - 1).int()
    target, source = new_id[graph.target.long()[edge]], new_id[graph.source.long()[edge]]
    distance = None if graph.distance is None else graph.distance[edge]
    count = int(keep.sum())
    return CopiedEdges(ColumnGraph(pointers(target, count), source, distance, count), edge)


def check_columns(graph: ColumnGraph, geometry: Geometry, columns: Tensor) -> None:
    """Raise unless ``columns`` names a column of the graph for each place of the geometry."""
    if graph.num_sources != graph.num_columns:
        raise ValueError(f"only a graph within one sheet can be rescaled. Got {graph}.")
    if not torch.is_tensor(columns) or columns.dtype != torch.int64:
        got = getattr(columns, "dtype", type(columns).__name__)
        raise TypeError(f"columns must be an int64 tensor of column ids. Got {got}.")
    if columns.shape != (geometry.num_columns,):
        raise ValueError(
            "columns must name the origin of each column of the geometry, shape "
            f"({geometry.num_columns},). Got {tuple(columns.shape)}."
        )
    bad = columns[(columns < 0) | (columns >= graph.num_columns)]
    if len(bad):
        raise ValueError(
            f"columns must be ids of the graph, in [0, {graph.num_columns}). Got {int(bad[0])}."
        )


def _nearest_child(
    geometry: Geometry, columns: Tensor, target: Tensor, source: Tensor, num_columns: int
) -> Tensor:
    """Of the columns that come from ``source``, the nearest to ``target``; -1 if there is none."""
    by_origin = torch.argsort(columns, stable=True)
    first = pointers(columns[by_origin], num_columns)
    many = first.diff()[source]
    row = torch.repeat_interleave(many)
    child = by_origin[first[source].repeat_interleave(many) + place_in_row(many)]
    length = _lengths(geometry, target[row], child).double()
    length[child == target[row]] = -1.0  # a self-edge, wherever others are
    least = length.new_full((len(target),), torch.inf).scatter_reduce(0, row, length, "amin")
    nearest = torch.where(length <= least[row], child, len(columns))
    chosen = torch.full_like(target, len(columns)).scatter_reduce(0, row, nearest, "amin")
    return torch.where(many > 0, chosen, -1)


def _lengths(geometry: Geometry, target: Tensor, source: Tensor) -> Tensor:
    device = geometry.positions.device
    return geometry.distance(target.to(device), source.to(device)).to(target.device)
