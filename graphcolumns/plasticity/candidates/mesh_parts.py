"""Columns that no path on a mesh joins: an edge between them would have no length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphcolumns.connect.draws import LogKernel
from graphcolumns.connect.mesh_race import race_on_mesh
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import connected_parts
from graphcolumns.geometry.part import part
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


def drawn_on_mesh(
    geometry: Geometry, each: int, log_kernel: LogKernel, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """``each`` sources per target, within each part of the mesh, or all others of a small part."""
    label = torch.from_numpy(connected_parts(geometry))
    pairs = []
    for number, size in enumerate(label.bincount().tolist()):
        if size == 1:
            continue
        inside = label == number
        some = geometry if size == len(label) else part(geometry, inside)
        ids = race_on_mesh(some, min(each, size - 1), log_kernel, generator)
        members = inside.nonzero()[:, 0]
        pairs.append(torch.stack([members[end] for end in pairs_of_rows(torch.from_numpy(ids))]))
    targets, sources = torch.cat(pairs, 1) if pairs else torch.empty(2, 0, dtype=torch.int64)
    return targets, sources


def pairs_of_rows(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and sources of a table of sources, a row per target."""
    return torch.arange(len(ids)).repeat_interleave(ids.shape[1]), ids.reshape(-1)
