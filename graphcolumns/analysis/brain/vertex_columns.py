"""Which column of a geometry each vertex of the data is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.regions import HEMISPHERES

# Vertices per hemisphere of nested icospheres, such as fsaverage3 to fsaverage, and of fs_LR 32k.
MESHES = (12, 42, 162, 642, 2562, 10242, 32492, 40962, 163842)
Vertices = Mapping[str, Any]


def vertex_columns(geometry: Geometry, vertices: Vertices) -> Tensor:
    """The column of each vertex, by the ids of vertices in the mesh of their hemisphere.

    Meshes of fsaverage are nested: vertex 7 of fsaverage is vertex 7 of fsaverage5. So ids of the
    finest mesh can be shown on a coarser one, where those beyond it have no column. A mask says
    nothing of where its vertices are on another mesh, and has to be one of the same mesh.

    Args:
        geometry: Columns with the attribute ``vertex``, the id of each in its mesh (without it,
            column ``n`` is vertex ``n``), and ``hemisphere``, 0 left and 1 right, where both are
            there.
        vertices: By hemisphere, ``"left"`` and ``"right"``: ids ``[V]`` int64, or whether each
            vertex of the mesh has data, bool. Left first in the result, if both are given.

    Returns:
        ``[V]`` int64, -1 for a vertex that is no column.

    Raises:
        ValueError: A mask of another mesh, ids that are negative, repeated or beyond fsaverage, no
            vertex that is a column, or both hemispheres on a geometry that has one without name.
        TypeError: Ids that are no integers.
    """
    if not vertices or not set(vertices) <= set(HEMISPHERES):
        raise ValueError(
            "vertices must be given by hemisphere, {'left': ids, 'right': ids} or one of them. Got "
            f"{', '.join(map(repr, vertices)) or 'none'}."
        )
    found = [
        _of_side(geometry, name, torch.as_tensor(vertices[name]), len(vertices))
        for name in HEMISPHERES
        if name in vertices
    ]
    columns = torch.cat(found)
    if not bool((columns >= 0).any()):
        raise ValueError(
            "a vertex of the data must be a column of the geometry. Got none of "
            f"{len(columns):,} among {geometry.num_columns:,} columns; are they of another mesh?"
        )
    return columns


def on_columns(values: Tensor, geometry: Geometry, vertices: Vertices | None = None) -> Tensor:
    """Values of vertices as values of columns, ``[N]`` float64, NaN where there are no data.

    Args:
        values: Values of vertices, ``[V]``, left hemisphere first.
        geometry: Columns.
        vertices: Ids or masks of the vertices, see :func:`vertex_columns`. None: value ``n`` is
            that of column ``n``.

    Raises:
        ValueError: Another number of values than of vertices, or as ``vertex_columns``.
    """
    values = values.detach().cpu().double()
    if vertices is None:
        if values.shape != (geometry.num_columns,):
            raise ValueError(
                f"values must be one per column, [{geometry.num_columns}]. Got "
                f"{list(values.shape)}; pass vertices={{'left': ids, 'right': ids}} for data of "
                "other vertices."
            )
        return values
    columns = vertex_columns(geometry, vertices)
    if values.shape != columns.shape:
        raise ValueError(
            f"values must be one per vertex, [{len(columns)}]. Got {list(values.shape)}."
        )
    result = values.new_full((geometry.num_columns,), torch.nan)
    shown = columns >= 0
    result[columns[shown]] = values[shown]
    return result


def ids_in_mesh(geometry: Geometry) -> Tensor:
    """The id of each column in the mesh of its hemisphere, ``[N]`` int64."""
    known = (geometry.attributes or {}).get("vertex")
    return torch.arange(geometry.num_columns) if known is None else known.cpu().long()


def side_of_columns(geometry: Geometry) -> Tensor | None:
    """The hemisphere of each column, ``[N]`` int64, or None if it is not known."""
    known = (geometry.attributes or {}).get("hemisphere")
    return None if known is None else known.cpu().long()


def _of_side(geometry: Geometry, name: str, given: Tensor, sides: int) -> Tensor:
    """Columns of the vertices of one hemisphere."""
    side, own = side_of_columns(geometry), ids_in_mesh(geometry)
    if side is None and sides > 1:
        raise ValueError(
            "a geometry of both hemispheres must have the attribute 'hemisphere'. Got a geometry "
            "without and vertices of 'left' and 'right'; pass those of one."
        )
    columns = torch.arange(geometry.num_columns)
    if side is not None:
        columns = columns[side == HEMISPHERES.index(name)]
    ids = _ids(given, own[columns] if len(columns) else own, geometry)
    place = torch.full((max(MESHES),), -1)
    place[own[columns]] = columns
    return place[ids]


def _ids(given: Tensor, own: Tensor, geometry: Geometry) -> Tensor:
    if given.dtype == torch.bool:
        mesh = _mesh_size(own, geometry)
        if given.shape != (mesh,):
            raise ValueError(
                f"a mask must be of the mesh of the geometry, [{mesh}]. Got {list(given.shape)}"
                f"{_level_of(len(given))}; pass the geometry of that mesh, or ids: of "
                "mask.nonzero()[:, 0] those that this mesh has are shown, where meshes are nested."
            )
        return given.nonzero()[:, 0]
    if given.is_floating_point() or given.ndim != 1:
        raise TypeError(
            f"vertices must be ids [V] int64, or a mask of bool. Got {given.dtype}, "
            f"{list(given.shape)}."
        )
    ids = given.long().cpu()
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < max(MESHES):
        raise ValueError(
            f"ids of vertices must be in [0, {max(MESHES)}), those of fsaverage. Got "
            f"{int(ids.min())} to {int(ids.max())}."
        )
    if len(ids.unique()) < len(ids):
        raise ValueError("ids of vertices must be different. Got some more than once.")
    return ids


def _mesh_size(own: Tensor, geometry: Geometry) -> int:
    """Vertices of the mesh that columns are of, some of which may have been left out."""
    if "vertex" not in (geometry.attributes or {}):
        return len(own)
    largest = int(own.max())
    return next((size for size in MESHES if size > largest), largest + 1)


def _level_of(size: int) -> str:
    names: Sequence[str] = ("fsaverage3", "fsaverage4", "fsaverage5", "fs_LR 32k", "fsaverage6")
    known = dict(zip(MESHES[3:], (*names, "fsaverage"), strict=True))
    return f", a mask of {known[size]}" if size in known else ""
