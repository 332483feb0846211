"""Edges from a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.geometry.table import Column, Table, read_table

ENDS = ("source", "target")


class EdgeFile(NamedTuple):
    """Edges in the order of the file, with ids from 0.

    ``edge_index`` is ``[2, E]`` int64 in PyG's order: row 0 source, row 1 target. ``values`` is
    ``[E]`` float64, or None if no values were requested.
    """

    edge_index: Tensor
    values: Tensor | None


def read_edges(
    path: str | os.PathLike[str],
    num_columns: int,
    num_sources: int | None = None,
    columns: Sequence[Column] | None = None,
    values: Column | None = None,
    first: int = 0,
    delimiter: str | None = None,
    header: bool | None = None,
) -> EdgeFile:
    """Read edges, one per row: the source and the target.

    Args:
        path: A table as text, ``.npy`` ``[E, 2]`` or ``.npz``, see ``graphcolumns.geometry.table``.
        num_columns: Number of columns ``N``, the range of targets.
        num_sources: Number of sources ``M`` (default: ``N``).
        columns: The columns of the file with sources and targets, in this order: names of its
            header, or positions from 0. Default: ``source`` and ``target``; in a file of two
            columns without a header, the first and the second.
        values: The column of the file with a number per edge (default: none is read).
        first: Id of the first column in the file: 0, or 1 where counting starts at 1.
        delimiter: Delimiter of a text file (default: found in its first row).
        header: Whether the first row of a text file holds names (default: found in it).

    Returns:
        Edges in the order of the file. ``ColumnGraph.from_edge_index`` takes its ``edge_index``,
        and sorts values by ``values[ColumnGraph.edge_order(edge_index)]``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table, or not clear which of its columns are meant; an id is no whole
            number or out of range; an edge comes twice. Errors name the line.
    """
    if first not in (0, 1):
        raise ValueError(f"first must be 0 or 1, the id of the first column. Got {first!r}.")
    table = read_table(path, delimiter, header)
    source, target = (table.integers(end) - first for end in _ends(table, columns))
    num_sources = num_columns if num_sources is None else num_sources
    # Only a file without any id 0 can be one that counts from 1.
    from_1 = first == 0 and all(ids.min(initial=1) >= 1 for ids in (source, target))
    _check_ids(table, "source", source, num_sources, first, from_1)
    _check_ids(table, "target", target, num_columns, first, from_1)
    _check_unique(table, source, target, first)
    edge_index = torch.from_numpy(np.stack([source, target]))
    return EdgeFile(edge_index, None if values is None else torch.from_numpy(table.numbers(values)))


def _ends(table: Table, columns: Sequence[Column] | None) -> Sequence[Column]:
    if columns is not None:
        if isinstance(columns, str) or len(columns) != 2:
            raise ValueError(f"columns must name two, source and target. Got {columns!r}.")
        return columns
    if set(ENDS) <= set(table.names):
        return ENDS
    if not table.names and len(table.columns) == 2:
        return (0, 1)
    if not table.names and len(table) == 2 < len(table.columns):
        raise ValueError(
            f"{table.path} must hold an edge per row, (E, 2). Got 2 rows of {len(table.columns)}; "
            "transpose it."
        )
    raise ValueError(
        f"{table.path} must say which ends are sources and which targets: columns 'source' and "
        f"'target', or two columns without a header. Got {table.described()} and {len(table)} "
        "rows; pass columns=[source, target], by name or by position from 0."
    )


def _check_ids(
    table: Table, end: str, ids: NDArray[np.int64], count: int, first: int, from_1: bool
) -> None:
    bad = np.flatnonzero((ids < 0) | (ids >= count))
    if not len(bad):
        return
    advice = "mend the file, or the number of columns"
    if from_1 and ids.max() == count:
        advice = "if the file counts from 1, pass first=1"
    raise ValueError(
        f"{end} ids of {table.path} must lie in [{first}, {count + first}). Got "
        f"{ids[bad[0]] + first} in line {table.lines[bad[0]]}; {advice}."
    )


def _check_unique(
    table: Table, source: NDArray[np.int64], target: NDArray[np.int64], first: int
) -> None:
    order = np.lexsort((source, target))
    same = (np.diff(source[order]) == 0) & (np.diff(target[order]) == 0)
    if same.any():
        i = int(np.flatnonzero(same)[0])
        one, two = order[i], order[i + 1]
        raise ValueError(
            f"edges of {table.path} must be unique. Got (source {source[one] + first}, target "
            f"{target[one] + first}) in lines {table.lines[one]} and {table.lines[two]}; "
            "remove one of them."
        )
