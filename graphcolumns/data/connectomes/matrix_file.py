"""Connectomes from matrices of weights."""

from __future__ import annotations

import numpy as np

from graphcolumns.data.connectomes.connectome import Connectome, connectome_from_matrix
from graphcolumns.geometry.table import Table

ROWS = ("targets", "sources")


def connectome_of_matrix(table: Table, rows: str | None, undirected: bool) -> Connectome:
    """A connectome from a square table of weights, with or without names of rows and columns.

    Raises:
        ValueError: Not square, a value that is no finite number, names of rows that are not those
            of the columns; not symmetric and undirected, or without saying what rows are.
    """
    first = 1 if names_rows(table) else 0
    n = len(table.columns) - first
    if len(table) != n:
        raise ValueError(
            f"{table.path} must hold a square matrix. Got {len(table)} rows of {n}; for edges name "
            "columns 'source' and 'target', and if the first row holds numbers as names, remove it."
        )
    matrix = np.stack([table.numbers(i) for i in range(first, n + first)], axis=1)
    names = table.names[first:] or tuple(map(str, range(n)))
    if len(set(names)) != n:
        raise ValueError(f"columns of {table.path} must have different names. Got one twice.")
    if first and table.texts(0) != list(names):
        raise ValueError(
            f"rows of {table.path} must have the names of its columns, in their order. Got "
            f"{_first_other(table.texts(0), names)}; sort them."
        )
    _check_directions(table, matrix, rows, undirected)
    # Those of a symmetric matrix are both.
    return connectome_from_matrix(matrix, rows or "targets", names, source=table.path.name)


def names_rows(table: Table) -> bool:
    """Whether the first column of a table with a header holds names of its rows."""
    if not table.names or len(table.columns) != len(table) + 1:
        return False
    # A number there is a value, in a matrix with a slip in its first row.
    return not table.names[0].replace(".", "").isdecimal()


def _check_directions(table: Table, matrix: np.ndarray, rows: str | None, undirected: bool) -> None:
    """Raise unless it is known what a value above the diagonal means."""
    different = np.argwhere(matrix != matrix.T)
    if not len(different):
        return
    i, j = different[0]
    pair = f"{matrix[i, j]} in row {i}, column {j} and {matrix[j, i]} in row {j}, column {i}"
    if undirected:
        raise ValueError(
            f"the matrix of an undirected connectome must be symmetric. Got {pair} of "
            f"{table.path}; pass undirected=False, or the mean of the matrix and its transpose."
        )
    if rows is None:
        raise ValueError(
            f"a matrix that is not symmetric needs to say what its rows are. Got {pair} of "
            f"{table.path}; pass rows='targets' (value of row i, column j: from j to i) or "
            "rows='sources' (from i to j, as in networkx)."
        )


def _first_other(found: list[str], expected: tuple[str, ...]) -> str:
    row = next(i for i, name in enumerate(found) if name != expected[i])
    return f"{found[row]!r} for {expected[row]!r}"
