"""Edges from the nearest columns, and from all within a radius."""

from __future__ import annotations

import numpy as np
import torch

from graphcolumns.connect import neighbours
from graphcolumns.connect.checks import check_degree, check_length, num_others
from graphcolumns.connect.measured_graph import (
    edges_of_rows,
    edges_to_self,
    graph_from_rows,
    measured_graph,
)
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.rounding import Rounding
from graphcolumns.graph import ColumnGraph


def nearest(geometry: Geometry, degree: int, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from its ``degree`` nearest columns; among equally near, the lowest ids.

    Args:
        geometry: The columns.
        degree: In-edges per column.
        self_loops: The column itself is one of them.

    Raises:
        ValueError: ``degree`` is below 1 or above the number of columns to choose from; on metric
            ``"geodesic"``, above the number of columns that a path joins to each column.
    """
    others = num_others(geometry, degree, self_loops)
    columns = np.arange(geometry.num_columns)
    ids = neighbours.nearest_sources(geometry, columns, columns, others, own=False)
    return graph_from_rows(geometry, ids, self_loops)


def within_radius(geometry: Geometry, radius: float, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from all columns at most ``radius`` away, up to rounding.

    The number of in-edges differs between columns and may be 0 without self-loops.

    Args:
        geometry: The columns.
        radius: Largest distance, in the unit of the geometry.
        self_loops: Whether every column also receives from itself.

    Raises:
        ValueError: ``radius`` is not positive and finite.
    """
    check_length("radius", radius, geometry)
    pairs = torch.from_numpy(neighbours.pairs_within(geometry, radius)).t()
    edge_index = torch.cat([pairs, pairs.flip(0)], dim=1)
    if self_loops:
        edge_index = torch.cat([edge_index, edges_to_self(geometry)], dim=1)
    return measured_graph(edge_index, geometry)


def bipartite(sources: Geometry, targets: Geometry, degree: int) -> ColumnGraph:
    """Each column of ``targets`` receives from its ``degree`` nearest columns of ``sources``.

    Args:
        sources: ``M`` columns.
        targets: ``N`` columns, in the same space.
        degree: In-edges per target.

    Raises:
        ValueError: ``degree`` is below 1 or above ``M``, or the spaces differ, or the metric is
            ``"geodesic"``, which knows one mesh only.
    """
    check_degree(degree, 1, sources.num_columns, "sources")
    targets.require_same_space(sources)
    if targets.metric == "geodesic":
        raise ValueError(
            "bipartite joins two sets of columns, and metric 'geodesic' measures within one mesh. "
            "Use nearest for the columns of one mesh, or metric='euclidean'."
        )
    tree, queries = neighbours.tree(sources), neighbours.metric_points(targets)
    rounding = Rounding.of(targets.positions, sources.positions)
    edge_index = edges_of_rows(neighbours.nearest_ids(tree, queries, degree, rounding))
    return measured_graph(edge_index, targets, sources)
