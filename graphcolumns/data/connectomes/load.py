"""Connectomes from files of general formats."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.data.connectomes.edge_arrays import AXES, with_positions
from graphcolumns.data.connectomes.edge_table import connectome_of_edges, is_edge_table
from graphcolumns.data.connectomes.graphml import connectome_of_graphml
from graphcolumns.data.connectomes.matrix_file import connectome_of_matrix
from graphcolumns.geometry import Unit
from graphcolumns.geometry.table import Table, read_table


def load_connectome(
    path: str | os.PathLike[str],
    rows: Literal["targets", "sources"] | None = None,
    undirected: bool = False,
    weight: str | None = None,
    positions: str | os.PathLike[str] | None = None,
    unit: Unit = "mm",
) -> Connectome:
    r"""Read a connectome: a matrix, a list of edges, or GraphML.

    A matrix is a square table (``.npy``, ``.csv``, ``.tsv``, ``.txt``), with or without names of
    its columns in the first row, and of its rows in the first column too. 0 is no edge. A list of
    edges has columns ``source``, ``target`` and, if it is there, ``weight``; or two or three
    columns without a header, in this order. The columns are those that occur in it. GraphML
    (``.graphml``, ``.xml``) has weights in an attribute of its edges, and may have positions in
    attributes ``x``, ``y``, ``z`` and names in ``name``.

    Args:
        path: The file; ``~`` is the home folder.
        rows: Meaning of the rows of a matrix: ``"targets"``, a value of row i and column j is from
            j to i; or ``"sources"``, from i to j. May be left out for a symmetric matrix.
        undirected: Whether a matrix must be symmetric, and each row of a list stands for both
            directions. GraphML says it itself.
        weight: Column or attribute with the weights (default: ``weight``, if it is there).
        positions: A table with positions of the columns ``[N]`` in the order of the matrix: ``x``,
            ``y`` and, if it is there, ``z``, or two or three columns without a header.
        unit: Unit of positions.

    Returns:
        The connectome, weights as in the file, without edges of weight 0. Positions are its
        attributes ``x``, ``y``, ``z``, and edges have lengths then; ``connectome_geometry`` makes a
        geometry of them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or no connectome; a matrix that is not square, or not
            symmetric without ``rows``; an edge twice; a weight that is no finite number; positions
            of another number of columns.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from graphcolumns.data.connectomes import load_connectome
        >>> path = Path(mkdtemp()) / "edges.csv"
        >>> _ = path.write_text("source,target,weight\nV1,V2,3\nV2,V4,1\n")
        >>> load_connectome(path).names
        ('V1', 'V2', 'V4')
    """
    if rows not in (None, "targets", "sources"):
        raise ValueError(f"rows must be 'targets', 'sources' or None. Got {rows!r}.")
    path = Path(path).expanduser()
    if path.suffix.lower() in (".graphml", ".xml"):
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}. It must be a connectome.")
        found = connectome_of_graphml(path, weight, unit)
    else:
        table = read_table(path)
        if is_edge_table(table):
            found = connectome_of_edges(table, weight, undirected)
        else:
            found = connectome_of_matrix(table, rows, undirected)
    if positions is None:
        return found
    return with_positions(found, _positions(read_table(positions), len(found.names)), unit)


def _positions(table: Table, columns: int) -> Tensor:
    axes: list[str] | list[int] = [axis for axis in AXES if axis in table.names]
    if not table.names and len(table.columns) in (2, 3):
        axes = list(range(len(table.columns)))
    if len(axes) < 2:
        raise ValueError(
            f"{table.path} must have columns 'x', 'y' and perhaps 'z'. Got {table.described()}."
        )
    if len(table) != columns:
        raise ValueError(
            f"{table.path} must have a row per column of the connectome, {columns}. "
            f"Got {len(table)}."
        )
    values = np.stack([table.numbers(axis) for axis in axes], axis=1)
    return torch.from_numpy(values)
