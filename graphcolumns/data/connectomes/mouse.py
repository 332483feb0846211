"""Brains of mice by diffusion MRI, from an installed graspologic."""

from __future__ import annotations

import csv
from typing import NamedTuple

import numpy as np

from graphcolumns.data.connectomes.connectome import (
    Connectome,
    check_name,
    connectome_from_matrix,
)
from graphcolumns.data.connectomes.larva import GRASPOLOGIC
from graphcolumns.geometry.installed_files import installed_file

FOLDER = "datasets/mice"
WHAT = "a connectome of a mouse"
WANG = (
    "Wang et al., Variability and heritability of mouse brain structure: Microscopic MRI atlases "
    "and connectomes for diverse strains, NeuroImage 222 (2020), "
    "https://doi.org/10.1016/j.neuroimage.2020.117274"
)


class Mouse(NamedTuple):
    """An animal.

    Attributes:
        subject: Name of the animal, such as ``"sub-54776"``.
        genotype: Strain: ``"B6"``, ``"BTBR"``, ``"CAST"`` or ``"DBA2"``.
        sex: ``"male"`` or ``"female"``.
    """

    subject: str
    genotype: str
    sex: str


def mice() -> tuple[Mouse, ...]:
    """The 32 animals of :func:`mouse_tracts`, eight of each strain, in the order of the file.

    Raises:
        ImportError: graspologic is not installed, or its files are others.
    """
    path = installed_file(WHAT, GRASPOLOGIC, f"{FOLDER}/participants.csv")
    return tuple(Mouse(*row[:3]) for row in _table(path.read_text(encoding="utf-8"))[1:])


def mouse_tracts(subject: str = "sub-54776") -> Connectome:
    """Fibre tracts between 332 regions of the brain of one mouse, counted by diffusion MRI.

    The files are those of an installed graspologic, which is not imported:
    ``pip install --no-deps graspologic==3.4.4`` (5 MB). Diffusion has no direction: a pair is
    listed once there, and is two edges of one weight here. There are no self-edges and no lengths.
    Columns are the 166 regions of the left hemisphere and then those of the right, in the order of
    the atlas; 50 of each side are white matter and the like. ``attributes`` has ``"hemisphere"``
    (``"L"``, ``"R"``), ``"type"`` (isocortex, pallium, subpallium, diencephalon, midbrain,
    hindbrain, white_matter) and ``"structure"``, the full name.

    The code of graspologic is under the MIT licence; the terms of the data are those of the
    publication, which has to be cited.

    Args:
        subject: Name of an animal, see :func:`mice`.

    Raises:
        ImportError: graspologic is not installed, or its files are others.
        ValueError: An unknown animal.

    Source: Wang et al., Variability and heritability of mouse brain structure: Microscopic MRI
        atlases and connectomes for diverse strains, NeuroImage 222 (2020),
        https://doi.org/10.1016/j.neuroimage.2020.117274.
    """
    check_name("subject", subject, (mouse.subject for mouse in mice()))
    edges = np.loadtxt(
        installed_file(WHAT, GRASPOLOGIC, f"{FOLDER}/edgelists/{subject}_ses-1_dti.edgelist")
    )
    atlas = installed_file(WHAT, GRASPOLOGIC, f"{FOLDER}/atlas.csv").read_text(encoding="utf-8")
    regions = list(csv.DictReader(atlas.splitlines()))
    one, other = edges[:, :2].astype(int).T
    matrix = np.zeros((2 * len(regions), 2 * len(regions)))
    matrix[one, other] = matrix[other, one] = edges[:, 2]
    return connectome_from_matrix(
        matrix,
        rows="targets",
        names=[f"{region['Abbreviation']}_{side}" for side in "LR" for region in regions],
        unit="streamlines",
        source=WANG,
        attributes={
            "hemisphere": tuple(side for side in "LR" for _ in regions),
            "type": tuple(region["Macrostructure"] for region in regions) * 2,
            "structure": tuple(region["Structure"] for region in regions) * 2,
        },
    )


def _table(text: str) -> list[list[str]]:
    """Rows of a table with commas, the header first."""
    return list(csv.reader(text.splitlines()))
