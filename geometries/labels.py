"""Areas from files: annotations and labels of surfaces, and tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geometries.surface_files import damaged, need_nibabel, single
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.table import Column, Table, read_table

UNLABELLED = "unlabelled"


class Labels(NamedTuple):
    """The area of each vertex, and the name of each area.

    ``area`` is ``[V]`` int64; vertex ``v`` is in the area ``names[area[v]]``. Areas are numbered
    from 0 without gaps, in the order of the table of the file, and only those that occur; vertices
    without a label are in an area of their own, ``"unlabelled"``, the last.
    """

    area: NDArray[np.int64]
    names: tuple[str, ...]


def with_areas(
    geometry: Geometry, *paths: str | os.PathLike[str], column: Column | None = None
) -> Geometry:
    """The same columns with the areas of a file, or of two, one per hemisphere.

    A file has a label per column. The columns of ``cortex.fsaverage`` may be fewer than the
    vertices that a file of fsaverage knows: there the attribute ``vertex`` says which label is
    whose. An area that two hemispheres have under one name is one area.

    Args:
        geometry: The columns, in the order of the file.
        paths: Files that ``read_labels`` reads; for both hemispheres the left one first.
        column: The column of a table that holds labels (default: the only one).

    Returns:
        The geometry with ``areas``, numbered as by ``read_labels``: area ``a`` is called
        ``read_labels(path).names[a]``. With two files the areas that only the second knows follow.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file is damaged or of no known kind, has another number of labels than there
            are columns, or there are more or fewer files than hemispheres.
    """
    known = geometry.attributes or {}
    vertex = np.arange(geometry.num_columns)
    side = np.zeros_like(vertex)
    if "vertex" in known and "hemisphere" in known:
        vertex, side = known["vertex"].cpu().numpy(), known["hemisphere"].cpu().numpy()
    sides = np.unique(side).tolist()
    if len(paths) != len(sides):
        raise ValueError(
            f"areas need a file per hemisphere, {len(sides)} for {geometry}. Got {len(paths)}: "
            f"{', '.join(map(str, paths)) or 'none'}."
        )
    every: list[str] = []
    areas = np.empty(geometry.num_columns, dtype=np.int64)
    for path, which in zip(paths, sides, strict=True):
        here = side == which
        found = read_labels(path, int(vertex[here].max()) + 1, column)
        _check_length(found, vertex[here], Path(path), exact="vertex" not in known)
        every += [name for name in found.names if name not in every]
        number = np.array([every.index(name) for name in found.names])
        areas[here] = number[found.area[vertex[here]]]
    return replace(geometry, areas=torch.from_numpy(areas).to(geometry.positions.device))


def read_labels(
    path: str | os.PathLike[str], num_vertices: int | None = None, column: Column | None = None
) -> Labels:
    """The area of each vertex from a file.

    - ``.annot``: an annotation of FreeSurfer (needs nibabel);
    - ``.label``: a label of FreeSurfer, the vertices of one area: all others are unlabelled;
    - ``.label.gii``, ``.gii``, ``.gii.gz``: labels in GIFTI (needs nibabel);
    - any other name: a table, see ``graphcolumns.geometry.table.read_table``, with a row per
      vertex. Whole numbers are areas from 0 as they are; texts are names, numbered in alphabetical
      order.

    Args:
        path: The file; ``~`` is the home folder.
        num_vertices: Number of vertices of the surface; a ``.label`` does not know it.
        column: The column of a table that holds labels (default: the only one).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, cut short, or holds no labels.
        ImportError: Nibabel is not installed.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}. It must hold a label per vertex: .annot or .label of "
            "FreeSurfer, .label.gii, or a table (.csv, .txt, .npy)."
        )
    if path.name.endswith((".gii", ".gii.gz")):
        return _gifti(path)
    if path.suffix == ".annot":
        return _annotation(path)
    return _label(path, num_vertices) if path.suffix == ".label" else _table(path, column)


def labels_in(table: Table, column: Column) -> Labels:
    """The labels in a column of a table: whole numbers as they are, or names in their order."""
    texts = table.texts(column)
    if all(text.lstrip("+-").isdigit() for text in texts):
        area = table.integers(column)
        if len(area) and area.min() < 0:
            raise ValueError(
                f"areas in {table.path} must be whole numbers from 0, or names. Got {area.min()} "
                f"in line {table.lines[area.argmin()]}."
            )
        return Labels(area, tuple(map(str, range(int(area.max(initial=-1)) + 1))))
    empty = [i for i, text in enumerate(texts) if not text]
    if empty:
        raise ValueError(
            f"areas in {table.path} must have a name each. Got an empty field in line "
            f"{table.lines[empty[0]]}."
        )
    names, area = np.unique(texts, return_inverse=True)
    return Labels(area.astype(np.int64), tuple(map(str, names)))


def _table(path: Path, column: Column | None) -> Labels:
    table = read_table(path)
    if column is None and len(table.columns) != 1:
        raise ValueError(
            f"{path} must say which column holds labels. Got {table.described()}; pass column=."
        )
    return labels_in(table, 0 if column is None else column)


def _annotation(path: Path) -> Labels:
    need_nibabel("annotations of FreeSurfer are")
    from nibabel.freesurfer.io import read_annot

    try:
        values, table, names = read_annot(path, orig_ids=True)
        keys = [int(key) for key in table[:, 4]]
    # Whatever numpy happens to meet in a file that is cut short.
    except Exception as error:
        raise damaged(path, "FreeSurfer annotation", error) from error
    if len(names) != len(keys):
        raise ValueError(
            f"{path} must name every entry of its colour table. Got {len(names)} names for "
            f"{len(keys)} entries."
        )
    texts = [name.decode("utf-8", "replace") for name in names]
    return _by_key(path, values, dict(zip(keys[::-1], texts[::-1], strict=True)), keys)


def _gifti(path: Path) -> Labels:
    need_nibabel("GIFTI files are")
    from nibabel.gifti.gifti import GiftiImage

    try:
        image = GiftiImage.from_filename(path)
        names = {int(label.key): str(label.label) for label in image.labeltable.labels}
    # The XML parser, zlib and numpy each have their own error for a file that is cut short.
    except Exception as error:
        raise damaged(path, "GIFTI", error) from error
    values = single(path, image.darrays, "NIFTI_INTENT_LABEL", "one label per vertex")
    return _by_key(path, values, names, list(names))


def _by_key(path: Path, values: Any, names: dict[int, str], order: Sequence[int]) -> Labels:
    """Areas from keys of vertices; the key 0 may have no name."""
    values = np.asarray(values).reshape(-1).astype(np.int64)
    present = set(np.unique(values).tolist())
    unknown = present - set(names) - {0}
    if unknown:
        raise ValueError(
            f"every label of {path} must be in its table. Got {min(unknown)}, which is not "
            f"({len(unknown)} such labels); mend the file."
        )
    keys = [key for key in dict.fromkeys(order) if key in present]
    if 0 in present and 0 not in names:
        keys, names = [*keys, 0], names | {0: UNLABELLED}
    number = {key: place for place, key in enumerate(keys)}
    area = np.array([number[int(value)] for value in values], dtype=np.int64)
    return Labels(area, tuple(names[key] for key in keys))


def _label(path: Path, num_vertices: int | None) -> Labels:
    if num_vertices is None:
        raise ValueError(
            f"{path} holds the vertices of one area, not how many there are. Pass num_vertices."
        )
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        count, ids = int(lines[0]), [int(line.split()[0]) for line in lines[1:] if line.strip()]
    except (ValueError, IndexError) as error:
        raise damaged(path, "FreeSurfer label", error) from error
    if len(ids) != count or min(ids, default=0) < 0:
        raise ValueError(
            f"{path} is damaged or cut short: it must name {count} vertices. Got {len(ids)}. "
            "Restore it from a copy."
        )
    area = np.ones(max(num_vertices, max(ids, default=-1) + 1), dtype=np.int64)
    area[ids] = 0
    return Labels(area, (path.stem, UNLABELLED))


def _check_length(found: Labels, vertex: NDArray[np.int64], path: Path, exact: bool) -> None:
    if len(found.area) <= vertex.max() or (exact and len(found.area) != len(vertex)):
        expected = "as many" if exact else "at least"
        raise ValueError(
            f"{path} must hold {expected} labels as the surface has vertices, "
            f"{int(vertex.max()) + 1}. Got {len(found.area)}; is it that of another surface?"
        )
