"""Connectomes from arrays of edges, and their positions as a geometry."""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.geometry import Geometry, Unit
from graphcolumns.graph import ColumnGraph

AXES = ("x", "y", "z")


def connectome_of(
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    weight: NDArray[np.float64],
    names: tuple[str, ...],
    unit: str,
    file: str,
) -> Connectome:
    """A connectome from edges in any order; edges of weight 0 are left out."""
    there = weight != 0
    edge_index = torch.from_numpy(np.stack([source[there], target[there]]).astype(np.int64))
    order = ColumnGraph.edge_order(edge_index)
    graph = ColumnGraph.from_edge_index(edge_index, len(names))
    weights = torch.from_numpy(weight[there].astype(np.float64))[order]
    return Connectome(graph, weights, names, unit, file)


def with_positions(connectome: Connectome, positions: Tensor, unit: Unit) -> Connectome:
    """The same connectome with attributes ``x``, ``y`` (and ``z``), and measured edges."""
    geometry = Geometry(positions, unit=unit)
    return Connectome(
        connectome.graph.remeasure(geometry),
        connectome.weights,
        connectome.names,
        connectome.unit,
        connectome.source,
        unit,
        {**connectome.attributes, **dict(zip(AXES, positions.T, strict=False))},
        connectome.edge_attributes,
    )


def connectome_geometry(connectome: Connectome) -> Geometry | None:
    """Positions of the columns, by their attributes ``x``, ``y`` and, if it is there, ``z``.

    Args:
        connectome: Columns and edges.

    Returns:
        Euclidean positions ``[N, 2 or 3]`` in the unit of lengths (pixels where that is no unit of
        a geometry); None without both attributes.
    """
    axes = [connectome.attributes.get(axis) for axis in AXES]
    numbers = [axis for axis in axes if isinstance(axis, Tensor)]
    if len(numbers) < 2 or not isinstance(axes[1], Tensor) or not isinstance(axes[0], Tensor):
        return None
    unit = connectome.length_unit
    known: Unit = unit if unit in get_args(Unit) else "pixel"  # type: ignore[assignment]
    return Geometry(torch.stack(numbers, dim=1).double(), unit=known)
