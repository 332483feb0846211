"""The mushroom bodies of a larval fruit fly, from an installed graspologic."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from graphcolumns.data.connectomes.connectome import (
    Connectome,
    check_name,
    connectome_from_matrix,
)
from graphcolumns.geometry.installed_files import installed_file

GRASPOLOGIC = "graspologic==3.4.4"
TYPES = MappingProxyType(
    {
        "K": "Kenyon cell",
        "I": "input neuron",
        "O": "output neuron",
        "P": "projection neuron",
    }
)
EICHLER = (
    "Eichler et al., The complete connectome of a learning and memory centre in an insect brain, "
    "Nature 548 (2017), https://doi.org/10.1038/nature23455"
)


def mushroom_body(side: str = "left") -> Connectome:
    """A mushroom body of a larva of Drosophila: 209 neurons on the left, 213 on the right.

    The files are those of an installed graspologic, which is not imported:
    ``pip install --no-deps graspologic==3.4.4`` (5 MB). They do not say what a row is. It is the
    presynaptic neuron: rows of projection neurons hold 2,404 synapses onto Kenyon cells on the
    left, and their columns none at all. Names are made here, of the letter of the type and the
    place in the file: ``"K0"``. ``attributes["type"]`` has the types: Kenyon cell, input neuron
    (of the mushroom body, most of them modulatory), output neuron, projection neuron.

    The code of graspologic is under the MIT licence; the terms of the data are those of the
    publication, which has to be cited.

    Args:
        side: Hemisphere, ``"left"`` or ``"right"``.

    Raises:
        ImportError: graspologic is not installed, or its files are others.
        ValueError: Another side.

    Source: Eichler et al., The complete connectome of a learning and memory centre in an insect
        brain, Nature 548 (2017), https://doi.org/10.1038/nature23455.
    """
    check_name("side", side, ("left", "right"))
    what, folder = "a mushroom body", "datasets/drosophila"
    matrix = installed_file(what, GRASPOLOGIC, f"{folder}/{side}_adjacency.csv")
    letters = installed_file(what, GRASPOLOGIC, f"{folder}/{side}_cell_labels.csv")
    types = letters.read_text(encoding="utf-8").split()
    return connectome_from_matrix(
        np.loadtxt(matrix),
        rows="sources",
        names=[f"{letter}{place}" for place, letter in enumerate(types)],
        unit="synapses",
        source=EICHLER,
        attributes={"type": tuple(TYPES[letter] for letter in types)},
    )
