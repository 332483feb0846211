"""Columns that no path on a mesh joins: an edge between them would have no length."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import connected_parts
from graphcolumns.graph import ColumnGraph


def mesh_parts(graph: ColumnGraph, geometry: Geometry | None) -> Tensor | None:
    """Label of the part of the mesh in which each column lies, where edges stay within parts.

    Two hemispheres are two parts; a vertex that no face uses is a part of its own.

    Args:
        graph: Edges of the columns.
        geometry: Places of the columns.

    Returns:
        ``[N]`` int64 on the CPU; None where any two columns may be joined: all lengths are finite,
        or the graph has none.
    """
    if geometry is None or geometry.metric != "geodesic" or graph.distance is None:
        return None
    label = torch.from_numpy(connected_parts(geometry))
    return label if bool(label.any()) else None


def joined_share(label: Tensor) -> float:
    """The share of all pairs of columns that lie in one part."""
    sizes = label.bincount().double()
    return float((sizes**2).sum() / len(label) ** 2)
