"""Connectomes from matrices, lists of edges and GraphML."""

import networkx
import numpy as np
import pytest
import torch

from graphcolumns.data.connectomes import Connectome, connectome_geometry, load_connectome

# Value of row i, column j: from j to i.
MATRIX = np.array([[0, 2.0, 0], [0, 0, 0.5], [1.5, 0, 3.0]])
EDGES = {("a", "c"): 1.5, ("b", "a"): 2.0, ("c", "b"): 0.5, ("c", "c"): 3.0}


def write(path, text: str):
    path.write_text(text)
    return path


def edges_of(found: Connectome) -> dict[tuple[str, str], float]:
    pairs = found.graph.edge_index.T.tolist()
    names = [(found.names[source], found.names[target]) for source, target in pairs]
    return dict(zip(names, found.weights.tolist(), strict=True))


def test_a_matrix_by_hand(tmp_path):
    np.save(tmp_path / "m.npy", MATRIX)
    found = load_connectome(tmp_path / "m.npy", rows="targets")
    assert found.names == ("0", "1", "2")
    assert found.graph.edge_index.tolist() == [[1, 2, 0, 2], [0, 1, 2, 2]]
    assert found.weights.tolist() == [2.0, 0.5, 1.5, 3.0]
    assert found.weights.dtype == torch.float64
    assert connectome_geometry(found) is None
    assert (found.unit, found.source) == ("weight", "m.npy")


def test_rows_that_are_sources(tmp_path):
    np.save(tmp_path / "m.npy", MATRIX.T)
    turned = load_connectome(tmp_path / "m.npy", rows="sources")
    np.save(tmp_path / "m.npy", MATRIX)
    found = load_connectome(tmp_path / "m.npy", rows="targets")
    assert edges_of(turned) == edges_of(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "a,b,c\n0,2,0\n0,0,.5\n1.5,0,3\n"),
        ("m.csv", ",a,b,c\na,0,2,0\nb,0,0,.5\nc,1.5,0,3\n"),
        ("m.tsv", "area\ta\tb\tc\na\t0\t2\t0\nb\t0\t0\t.5\nc\t1.5\t0\t3\n"),
    ],
)
def test_a_matrix_with_names(tmp_path, name, text):
    found = load_connectome(write(tmp_path / name, text), rows="targets")
    assert found.names == ("a", "b", "c")
    assert edges_of(found) == EDGES


def test_a_symmetric_matrix_needs_no_rows(tmp_path):
    path = write(tmp_path / "m.txt", "0 1 2\n1 0 0\n2 0 0\n")
    for undirected in (False, True):
        found = load_connectome(path, undirected=undirected)
        assert found.graph.edge_index.tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]


def test_negative_weights_are_read_as_they_are(tmp_path):
    np.save(tmp_path / "m.npy", [[0, -1], [-1, 0]])
    assert load_connectome(tmp_path / "m.npy").weights.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.csv", "source,target,weight\nb,a,2\nc,b,.5\na,c,1.5\nc,c,3\n"),
        ("e.tsv", "weight\ttarget\tsource\n2\ta\tb\n.5\tb\tc\n1.5\tc\ta\n3\tc\tc\n"),
    ],
)
def test_a_list_of_edges(tmp_path, name, text):
    found = load_connectome(write(tmp_path / name, text))
    assert found.names == ("a", "b", "c")
    assert edges_of(found) == EDGES


def test_a_list_without_a_header(tmp_path):
    found = load_connectome(write(tmp_path / "e.csv", "10,9,2\n9,7,1\n7,10,4\n9,10,1\n"))
    assert found.names == ("7", "9", "10")
    assert edges_of(found)["10", "9"] == 2
    plain = load_connectome(write(tmp_path / "e.csv", "0,1\n1,2\n2,3\n"))
    assert plain.weights.tolist() == [1, 1, 1]


def test_an_undirected_list_has_both_directions(tmp_path):
    path = write(tmp_path / "e.csv", "source,target,synapses\na,b,2\nb,b,7\nb,c,1\n")
    found = load_connectome(path, undirected=True, weight="synapses")
    expected = {("a", "b"): 2, ("b", "a"): 2, ("b", "b"): 7, ("b", "c"): 1, ("c", "b"): 1}
    assert edges_of(found) == expected


@pytest.mark.parametrize("kind", [networkx.Graph, networkx.DiGraph])
def test_graphml(tmp_path, kind):
    network = kind()
    for name, x in (("V1", 0.0), ("V2", 3.0), ("V4", 3.0)):
        network.add_node(name, x=x, y=4.0 if name == "V4" else 0.0)
    network.add_edge("V1", "V2", weight=2.5)
    network.add_edge("V4", "V1", weight=1.0)
    networkx.write_graphml(network, tmp_path / "g.graphml")
    found = load_connectome(tmp_path / "g.graphml")
    expected = {("V1", "V2"): 2.5, ("V4", "V1"): 1.0}
    if kind is networkx.Graph:
        expected |= {(b, a): w for (a, b), w in expected.items()}
    assert edges_of(found) == expected
    lengths = dict(zip(edges_of(found), found.graph.distance.tolist(), strict=True))
    assert (lengths["V1", "V2"], lengths["V4", "V1"]) == (3, 5)
    assert connectome_geometry(found).unit == "mm"
    assert connectome_geometry(found).positions.shape == (3, 2)


def test_graphml_without_weights_and_positions(tmp_path):
    networkx.write_graphml(networkx.path_graph(3), tmp_path / "g.graphml")
    found = load_connectome(tmp_path / "g.graphml")
    assert found.weights.tolist() == [1] * 4
    assert connectome_geometry(found) is None
    assert found.unit == "edges"


def test_positions(tmp_path):
    np.save(tmp_path / "m.npy", [[0, 1], [1, 0]])
    places = write(tmp_path / "p.csv", "name,x,y,z\na,0,0,0\nb,1,2,2\n")
    found = load_connectome(tmp_path / "m.npy", positions=places, unit="pixel")
    assert found.graph.distance.tolist() == [3, 3]
    assert connectome_geometry(found).unit == "pixel"


SOURCES = "e.csv", "source,target,weight\n"
WRONG = [
    (("m.csv", "0,1\n2,0\n"), {},
     r"needs to say what its rows are. Got 1.0 in row 0, column 1 and 2.0 in row 1, column 0"),
    (("m.csv", "0,1\n2,0\n"), {"undirected": True}, "undirected connectome must be symmetric"),
    (("m.csv", "0,nan\n1,0\n"), {}, "must hold finite numbers. Got 'nan' in line 1"),
    (("m.csv", "0,1\nx,0\n"), {}, "must hold finite numbers. Got 'x' in line 2"),
    (("m.csv", "0,x\n1,0\n"), {}, "must hold a square matrix. Got 1 rows of 2"),
    (("m.csv", "0,1,1,1\n1,0,1,1\n"), {}, "must hold a square matrix. Got 2 rows of 4"),
    (("m.csv", "a,a\n0,1\n1,0\n"), {}, "must have different names. Got one twice."),
    (("m.csv", ",a,b\nb,0,1\na,1,0\n"), {}, "in their order. Got 'b' for 'a'; sort them."),
    (("m.csv", ""), {}, "must hold at least one row. It is empty."),
    (("e.csv", "source,target,weight\na,b,1\na,b,2\n"), {},
     "must be listed once. Got the edge from 'a' to 'b' twice; add their weights up"),
    (("e.csv", "source,target\na,b\nb,a\n"), {"undirected": True}, "list each pair once"),
    (("e.csv", "source,target,weight\na,b,inf\n"), {}, "must hold finite numbers. Got 'inf'"),
    (("e.csv", "source,target\na,b\n"), {"weight": "n"}, "must hold one column 'n'"),
    (("g.graphml", "<graphml"), {}, "is damaged or no GraphML"),
    (("m.csv", "0,1\n1,0\n"), {"rows": "columns"}, "rows must be 'targets', 'sources' or None"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "options", "message"), WRONG)
def test_wrong_files(tmp_path, file, options, message):
    path = write(tmp_path / file[0], file[1])
    with pytest.raises(ValueError, match=message):
        load_connectome(path, **options)


def test_wrong_graphml(tmp_path):
    some = networkx.Graph([(0, 1), (1, 2)])
    some.edges[0, 1]["weight"] = 1.0
    networkx.write_graphml(some, tmp_path / "g.graphml")
    with pytest.raises(ValueError, match=r"all have the attribute 'weight'. Got 2 of 4 without it"):
        load_connectome(tmp_path / "g.graphml")
    networkx.write_graphml(networkx.MultiGraph([(0, 1), (0, 1)]), tmp_path / "g.graphml")
    with pytest.raises(ValueError, match=r"Got parallel edges; add their weights up."):
        load_connectome(tmp_path / "g.graphml")


def test_wrong_positions(tmp_path):
    np.save(tmp_path / "m.npy", [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match=r"a row per column of the connectome, 2. Got 1"):
        load_connectome(tmp_path / "m.npy", positions=write(tmp_path / "p.csv", "x,y\n0,0\n"))
    with pytest.raises(ValueError, match=r"must have columns 'x', 'y' and perhaps 'z'"):
        load_connectome(tmp_path / "m.npy", positions=write(tmp_path / "p.csv", "a,y\n0,0\n1,0\n"))


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.graphml"])
def test_no_file(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"There is no file"):
        load_connectome(tmp_path / name)
