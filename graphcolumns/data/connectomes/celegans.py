"""The nematode Caenorhabditis elegans, adult and growing, from an installed cect."""

from __future__ import annotations

import csv
import json
from types import MappingProxyType

import numpy as np

from graphcolumns.data.connectomes.connectome import (
    Connectome,
    check_name,
    connectome_from_matrix,
)
from graphcolumns.geometry.installed_files import installed_file

CECT = "cect==0.3.5"
WHITE = (
    "White et al., The structure of the nervous system of the nematode Caenorhabditis elegans, "
    "Philosophical Transactions of the Royal Society B 314 (1986), "
    "https://doi.org/10.1098/rstb.1986.0056"
)
VARSHNEY = (
    "Varshney et al., Structural properties of the Caenorhabditis elegans neuronal network, PLoS "
    "Computational Biology 7 (2011), https://doi.org/10.1371/journal.pcbi.1001066"
)
COOK = (
    "Cook et al., Whole-animal connectomes of both Caenorhabditis elegans sexes, Nature 571 "
    "(2019), https://doi.org/10.1038/s41586-019-1352-7"
)
WITVLIET = (
    "Witvliet et al., Connectomes across development reveal principles of brain maturation, Nature "
    "596 (2021), https://doi.org/10.1038/s41586-021-3778-8"
)
# The file, the unit of its chemical synapses, and the publication.
DATASETS = MappingProxyType(
    {
        "white": ("White_whole", "synaptic contacts", WHITE),
        "varshney": ("VarshneyDataReader", "synaptic contacts", VARSHNEY),
        "cook2019": ("Cook2019HermReader", "sections of electron microscopy", COOK),
        **{
            f"witvliet{stage}": (f"WitvlietDataReader{stage}", "synapses", WITVLIET)
            for stage in range(1, 9)
        },
    }
)
# Larval stages of the eight animals of Witvliet et al., youngest first.
STAGES = ("L1", "L1", "L1", "L1", "L2", "L3", "adult", "adult")
SYNAPSES = MappingProxyType({"chemical": "Generic_CS", "electrical": "Generic_GJ"})


def celegans(
    dataset: str = "varshney", synapses: str = "chemical", cells: str = "all"
) -> Connectome:
    """A connectome of C. elegans, from the files of an installed cect.

    The package is not imported: ``pip install --no-deps cect==0.3.5`` (14 MB). A row of its
    matrices is the presynaptic cell. Columns are in the order of the file; ``attributes["type"]``
    has the type of each cell, such as ``"Mechanosensory"`` or ``"Head muscle"``.

    - ``"white"``: the hermaphrodite of the first reconstruction, pharynx included, 309 cells;
    - ``"varshney"``: 280 neurons without the pharynx, and one muscle that stands for all, 281;
    - ``"cook2019"``: the whole hermaphrodite, 473 cells, among them all 302 neurons. A weight is a
      number of sections, so it measures the size of synapses;
    - ``"witvliet1"`` to ``"witvliet8"``: the brains of eight animals from birth to adulthood, see
      :func:`celegans_stages`. Their authors call the electrical synapses incomplete.

    Electrical synapses have both directions. Self-edges of the file are kept: 38 of the 4,879
    chemical edges of ``"cook2019"``. The code of cect is under the MIT licence; the terms of the
    data are those of the publications, which have to be cited.

    Args:
        dataset: Name of a data set, see above.
        synapses: Kind of synapses, ``"chemical"`` or ``"electrical"``.
        cells: Which cells are columns: ``"all"``, or ``"neurons"``, which leaves out muscles and
            glia.

    Raises:
        ImportError: cect is not installed, or its files are others.
        ValueError: An unknown name.

    Source: Cook et al., Whole-animal connectomes of both Caenorhabditis elegans sexes, Nature 571
        (2019), https://doi.org/10.1038/s41586-019-1352-7; of others, see ``Connectome.source``.
    """
    check_name("dataset", dataset, DATASETS)
    check_name("synapses", synapses, SYNAPSES)
    check_name("cells", cells, ("all", "neurons"))
    file, unit, source = DATASETS[dataset]
    what = "a connectome of C. elegans"
    known = json.loads(installed_file(what, CECT, f"cache/{file}.json").read_text())
    names = known["nodes"]
    types = _types()
    connectome = connectome_from_matrix(
        np.array(known["connections"][SYNAPSES[synapses]]),
        rows="sources",
        names=names,
        unit=unit if synapses == "chemical" else f"{unit} of gap junctions",
        source=source,
        attributes={"type": tuple(types.get(name, "") for name in names)},
    )
    if cells == "all":
        return connectome
    neurons = _neurons()
    return connectome.subset([name for name in names if name in neurons])


def celegans_stages(
    synapses: str = "chemical", cells: str = "neurons", common: bool = True
) -> tuple[Connectome, ...]:
    """The brain of C. elegans in eight animals, from birth to adulthood.

    The stages are ``STAGES``: four of the first larval stage, one of the second, one of the third,
    two adults. No animal is seen twice, so what differs between two of them is growth and
    individual differences together; the two adults show how large the latter are.

    Args:
        synapses: Kind of synapses, see :func:`celegans`.
        cells: Which cells are columns, see :func:`celegans`.
        common: Whether only cells that all animals have are kept, in the same order, so that an id
            is the same cell everywhere.

    Raises:
        ImportError: cect is not installed, or its files are others.
        ValueError: An unknown name.

    Source: Witvliet et al., Connectomes across development reveal principles of brain maturation,
        Nature 596 (2021), https://doi.org/10.1038/s41586-021-3778-8.
    """
    animals = [celegans(f"witvliet{n}", synapses, cells) for n in range(1, len(STAGES) + 1)]
    if not common:
        return tuple(animals)
    shared = set(animals[0].names).intersection(*(animal.names for animal in animals))
    order = [name for name in animals[0].names if name in shared]
    return tuple(animal.subset(order) for animal in animals)


def _types() -> dict[str, str]:
    """Type of every cell by name."""
    path = installed_file("a type of a cell", CECT, "data/all_cell_info.csv")
    with path.open(newline="", encoding="utf-8") as rows:
        return {row["Cell name"]: row["Type"] for row in csv.DictReader(rows)}


def _neurons() -> set[str]:
    """Names of neurons, of both sexes."""
    path = installed_file("the list of neurons", CECT, "data/IndividualNeurons.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.partition(";")[0].strip() for line in lines if not line.startswith("#")}
