"""A graph from ids, with its lengths measured by the geometry."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.connect import paths
from graphcolumns.connect.rank import Ids
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


@torch.no_grad()
def measured_graph(
    edge_index: Tensor, geometry: Geometry, sources: Geometry | None = None
) -> ColumnGraph:
    """A graph of edges ``[2, E]`` in any order, with lengths; ``sources`` where they are others."""
    if geometry.metric == "geodesic":
        paths.check_joined(geometry, edge_index)
    edge_index = edge_index.to(geometry.positions.device)
    distance = geometry.distance(edge_index[1], edge_index[0], sources)
    num_sources = (sources or geometry).num_columns
    return ColumnGraph.from_edge_index(edge_index, geometry.num_columns, num_sources, distance)


def graph_from_rows(geometry: Geometry, ids: Ids, self_loops: bool) -> ColumnGraph:
    """A graph in which row ``i`` of ``ids`` holds the sources of column ``i``."""
    edge_index = edges_of_rows(ids)
    if self_loops:
        edge_index = torch.cat([edge_index, edges_to_self(geometry)], dim=1)
    return measured_graph(edge_index, geometry)


def edges_of_rows(ids: Ids) -> Tensor:
    """Row ``i`` of ``ids`` holds the sources of target ``i``: ``[2, E]``."""
    source = torch.from_numpy(ids)
    target = torch.arange(len(source))[:, None].expand_as(source)
    return torch.stack([source.reshape(-1), target.reshape(-1)])


def edges_to_self(geometry: Geometry) -> Tensor:
    """The edge of every column to itself, ``[2, N]``."""
    return torch.arange(geometry.num_columns).expand(2, -1)
