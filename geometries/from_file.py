"""Columns at places that a file lists."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch

from geometries.labels import labels_in
from graphcolumns.geometry import Geometry, Metric, Unit
from graphcolumns.geometry.table import Column, Table, read_table

AXES = ("x", "y", "z")
SINGLE = (np.dtype("float16"), np.dtype("float32"))


def points(
    path: str | os.PathLike[str],
    unit: Unit,
    columns: Sequence[Column] | None = None,
    metric: Metric = "euclidean",
    scale: float = 1.0,
    areas: Column | None = None,
    attributes: Sequence[str] = (),
    period: Sequence[float] | None = None,
    radius: float | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> Geometry:
    """A geometry from a table of positions: ``.csv``, ``.tsv``, ``.txt``, ``.npy`` or ``.npz``.

    Args:
        path: The file, a row per column of the sheet; ``~`` is the home folder. See
            ``graphcolumns.geometry.table.read_table`` for what a table is.
        unit: Unit of the positions after ``scale``: ``"mm"``, ``"rad"`` or ``"pixel"``.
        columns: The two or three columns of the file that are the axes: names of its header, or
            positions from 0. Default: ``x``, ``y`` and, if it is there, ``z``; in a file without a
            header that has two or three columns, all.
        metric: ``"euclidean"``, ``"great-circle"`` (with ``radius``) or ``"torus"`` (with
            ``period``).
        scale: Factor from the numbers of the file to ``unit``: 1000 for metres in ``"mm"``.
        areas: The column of the file with the area of each column of the sheet: whole numbers
            from 0, or names, which are numbered in alphabetical order (default: no areas).
        attributes: Columns of the file to keep as attributes of the geometry, under their names.
        period: Torus only, the side of the box per axis, in ``unit``.
        radius: Great-circle only, the radius of the sphere, in ``unit``.
        delimiter: Delimiter of a text file (default: found in its first row).
        header: Whether the first row of a text file holds names (default: found in it).

    Returns:
        Columns in the order of the file, positions ``[N, 2 or 3]`` float64, so that coordinates far
        from the origin keep their digits; float32 where the file holds float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table, it is not clear which of its columns are the axes, or a value
            is no finite number (the error names its line); or a rule of ``Geometry`` is broken.
    """
    if not np.isfinite(scale) or scale == 0:
        raise ValueError(f"scale must be a finite factor other than 0. Got {scale}.")
    table = read_table(path, delimiter, header)
    axes = _axes(table, columns)
    positions = np.stack([table.numbers(axis) * scale for axis in axes], axis=1)
    # What was rounded to float32 is known no better: the dtype says what lengths count as equal.
    single = all(table.columns[table.index(axis)].dtype in SINGLE for axis in axes)
    known = torch.float32 if single else torch.float64
    return Geometry(
        torch.from_numpy(positions).to(known),
        metric=metric,
        unit=unit,
        period=None if period is None else tuple(period),
        radius=radius,
        areas=None if areas is None else torch.from_numpy(labels_in(table, areas).area),
        attributes={name: torch.from_numpy(table.numbers(name)) for name in attributes} or None,
    )


def _axes(table: Table, columns: Sequence[Column] | None) -> Sequence[Column]:
    if columns is not None:
        if isinstance(columns, str) or len(columns) not in (2, 3):
            raise ValueError(f"columns must name two or three axes. Got {columns!r}.")
        return columns
    if not table.names and len(table.columns) in (2, 3):
        return range(len(table.columns))
    # Names as they stand in the file, X or x.
    named = {name.lower(): name for name in table.names}
    if {"x", "y"} <= set(named):
        return [named[axis] for axis in AXES if axis in named]
    raise ValueError(
        f"{table.path} must say which of its columns are axes: a header with x, y and perhaps z, "
        f"or two or three columns without a header. Got {table.described()}; pass columns=, by "
        "name or by position from 0."
    )
