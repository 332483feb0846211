"""Values of the vertices of a known mesh, at the columns that are some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from geometries import fs_lr, fsaverage5, medial_wall
from geometries.hemispheres import SPHERE_RADIUS
from graphcolumns.geometry import Geometry

SIDES = ("left", "right")
NEEDED = ("vertex", "hemisphere", "sphere")
SAME = 1e-5 * SPHERE_RADIUS  # mm: places this near on the registration sphere are one vertex


class Mesh(NamedTuple):
    """A mesh of two hemispheres: how users get it, and what it is known by.

    Attributes:
        name: Its name, for errors.
        made_by: The function that returns columns of it.
        num_vertices: Vertices per hemisphere.
        sphere: Place of each vertex of a side on the registration sphere, ``[V, 3]``, mm.
    """

    name: str
    made_by: str
    num_vertices: int
    sphere: Callable[[str], Tensor]


def _fsaverage_sphere(side: str) -> Tensor:
    return fsaverage5.load_tables().coordinates("sphere", side)


FSAVERAGE = Mesh(
    "fsaverage", "geometries.cortex.fsaverage", medial_wall.NUM_VERTICES, _fsaverage_sphere
)
FS_LR = Mesh("fs_LR 32k", "geometries.fs_lr.fs_lr", fs_lr.NUM_VERTICES, fs_lr.registration_sphere)


def on_columns(geometry: Geometry, values: Sequence[Tensor], mesh: Mesh, atlas: str) -> Tensor:
    """Values of the columns, by their vertex and hemisphere.

    Args:
        geometry: ``N`` columns, with the attributes ``vertex``, ``hemisphere`` and ``sphere``.
        values: Value of each vertex of the left and of the right hemisphere, ``[V]`` each.
        mesh: The mesh that the values belong to.
        atlas: Name of the function that reads them, for the error.

    Returns:
        ``[N]``, on the device of the geometry.

    Raises:
        ValueError: The columns are not vertices of this mesh.
    """
    known = geometry.attributes or {}
    missing = [name for name in NEEDED if name not in known]
    if missing:
        raise _wrong(f"{geometry} without the attribute {missing[0]!r}", mesh, atlas)
    vertex, side = known["vertex"].cpu(), known["hemisphere"].cpu()
    if int(vertex.max()) >= mesh.num_vertices:
        raise _wrong(f"{geometry} with vertex {int(vertex.max())}", mesh, atlas)
    place = torch.stack([mesh.sphere(name) for name in SIDES])[side, vertex]
    apart = torch.linalg.vector_norm(known["sphere"].cpu() - place, dim=1)
    if not bool((apart <= SAME).all()):
        worst = int(apart.argmax())
        raise _wrong(
            f"{geometry}, whose column {worst} is {float(apart[worst]):.1f} mm from vertex "
            f"{int(vertex[worst])} of that mesh on the registration sphere",
            mesh,
            atlas,
        )
    return torch.stack(list(values))[side, vertex].to(geometry.positions.device)


def _wrong(got: str, mesh: Mesh, atlas: str) -> ValueError:
    return ValueError(
        f"{atlas} is an atlas of the mesh {mesh.name}: it needs columns of {mesh.made_by}. Got "
        f"{got}. Vertices of another mesh are never matched by their places: choose an atlas of "
        "this mesh, or resample this one with Connectome Workbench and read the file with "
        "geometries.labels."
    )
