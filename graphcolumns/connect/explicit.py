"""Edges that are given one by one: all pairs, or the rows of a file."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from graphcolumns.connect.measured_graph import measured_graph
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.table import Column
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edge_file import read_edges


def complete(geometry: Geometry, self_loops: bool = True) -> ColumnGraph:
    """Every column receives from every column: ``N^2`` edges, the transformer.

    Args:
        geometry: The columns.
        self_loops: Whether every column also receives from itself.

    Raises:
        ValueError: On metric ``"geodesic"``, columns that no path joins.
    """
    ids = torch.arange(geometry.num_columns)
    edge_index = torch.cartesian_prod(ids, ids).t()
    if not self_loops:
        edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    return measured_graph(edge_index, geometry)


def from_file(
    geometry: Geometry,
    path: str | os.PathLike[str],
    columns: Sequence[Column] | None = None,
    first: int = 0,
    length: Column | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> ColumnGraph:
    """Each column receives from the columns that a file lists: one edge per row.

    Ids are those of ``geometry``: a geometry that was reordered needs a file that was, too.

    Args:
        geometry: The columns.
        path: A table as text (``.csv``, ``.tsv``, ``.txt``), ``.npy`` ``[E, 2]`` or ``.npz``; ``~``
            is the home folder. See ``graphcolumns.graph.edge_file.read_edges``.
        columns: The columns of the file with sources and targets, in this order: names of its
            header, or positions from 0. Default: ``source`` and ``target``; in a file of two
            columns without a header, the first and the second.
        first: Id of the first column in the file: 0, or 1 where counting starts at 1.
        length: The column of the file with the length of each edge, in the unit of the geometry,
            such as the length of a fibre (default: the geometry measures).
        delimiter: Delimiter of a text file (default: found in its first row).
        header: Whether the first row of a text file holds names (default: found in it).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table of edges, an id is out of range, an edge comes twice, a length
            is negative, or no path leads along an edge on metric ``"geodesic"``.
    """
    n = geometry.num_columns
    edge_index, lengths = read_edges(path, n, n, columns, length, first, delimiter, header)
    if lengths is None:
        return measured_graph(edge_index, geometry)
    return ColumnGraph.from_edge_index(edge_index, n, distance=lengths).to(
        geometry.positions.device
    )
