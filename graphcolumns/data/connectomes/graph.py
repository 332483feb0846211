"""A connectome as the graph of a sheet."""

from __future__ import annotations

import torch

from graphcolumns.connect.measured_graph import edges_to_self, measured_graph
from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def connectome_graph(
    geometry: Geometry, connectome: Connectome, self_loops: bool = False
) -> ColumnGraph:
    """The edges of a connectome between the columns of a geometry, which measures their lengths.

    A sheet begins with the wiring of a brain, and its edges are pruned and regrown as any others.
    Weights are left out: what passes along an edge is learned. Column ``n`` of the geometry is
    column ``n`` of the connectome.

    Args:
        geometry: As many columns as the connectome has.
        connectome: Columns and edges.
        self_loops: Whether every column also receives from itself; self-edges of the connectome
            stay in any case.

    Raises:
        ValueError: Another number of columns.
    """
    columns = connectome.graph.num_columns
    if geometry.num_columns != columns:
        raise ValueError(
            f"geometry must have {columns} columns, as many as the connectome. Got "
            f"{geometry.num_columns}; choose another geometry, or columns of the connectome with "
            "Connectome.subset."
        )
    edge_index = connectome.graph.edge_index
    if self_loops:
        edge_index = torch.cat([edge_index, edges_to_self(geometry)], dim=1).unique(dim=1)
    return measured_graph(edge_index, geometry)
