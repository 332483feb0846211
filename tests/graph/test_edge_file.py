"""Edge lists as people save them, against the same edges typed in."""

import csv
import random

import networkx
import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edge_file import read_edges

SHEET = grid.sheet(3, 4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edges.csv"


def asymmetric(seed: int = 1) -> list[tuple[int, int]]:
    """(source, target) of some edges, in no order, no two of them each other's reverse."""
    draw = random.Random(seed)
    edges = [(s, t) if draw.random() < 0.5 else (t, s) for s in range(12) for t in range(s)]
    draw.shuffle(edges)
    return edges[:30]


def test_edges_of_a_file_are_those_of_the_graph(path):
    edges = asymmetric()
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("source", "target"), *edges])
    graph = connect.from_file(SHEET, path)
    assert sorted(map(tuple, graph.edge_index.t().tolist())) == sorted(edges)
    expected = SHEET.distance(graph.target, graph.source)
    torch.testing.assert_close(graph.distance, expected)
    # In the order of the file, so that values of the user's own stay with their edges.
    assert read_edges(str(path), 12).edge_index.t().tolist() == [list(edge) for edge in edges]


def test_the_first_column_is_who_is_heard_as_in_networkx(path):
    edges = asymmetric()
    networkx.write_edgelist(networkx.DiGraph(edges), path, data=False)
    read = networkx.read_edgelist(path, create_using=networkx.DiGraph, nodetype=int)
    graph = connect.from_file(SHEET, path).to_networkx()
    assert sorted(graph.edges) == sorted(read.edges) == sorted(edges)


@pytest.mark.parametrize("save", ["csv swapped", "one-based", "npy", "npz", "txt"])
def test_other_ways_to_save_the_same_edges(tmp_path, save: str):
    edges, options, path = np.array(asymmetric()), {}, tmp_path / "edges.csv"
    if save == "csv swapped":
        path.write_text("w,target,source\n" + "".join(f"1,{t},{s}\n" for s, t in edges))
    elif save == "one-based":
        np.savetxt(path, edges + 1, fmt="%d", delimiter=",", header="source,target", comments="")
        options = {"first": 1}
    elif save == "npy":
        path = tmp_path / "edges.npy"
        np.save(path, edges.astype(np.uint16))
    elif save == "npz":
        path = tmp_path / "edges.npz"
        np.savez(path, target=edges[:, 1], source=edges[:, 0])
    else:
        np.savetxt(path, edges)  # as floats, with spaces
    graph = connect.from_file(SHEET, path, **options)
    expected = ColumnGraph.from_edge_index(torch.from_numpy(edges.T.copy()), 12)
    assert graph.same_topology(expected)


def test_lengths_and_weights_are_read_by_name(path):
    path.write_text("source,target,fibre,weight\n2,0,7.5,-1\n0,2,3.5,0.25\n")
    graph = connect.from_file(SHEET, path, length="fibre")
    assert graph.edge_index.tolist() == [[2, 0], [0, 2]]
    assert graph.distance.tolist() == [7.5, 3.5]
    assert connect.from_file(SHEET, path).distance.tolist() == [2, 2]
    assert read_edges(path, 12, values="weight").values.tolist() == [-1, 0.25]


def test_a_file_without_edges_is_a_graph_without_edges(path):
    path.write_text("source,target\n")
    assert connect.from_file(SHEET, path).num_edges == 0


def test_bipartite_ids(path):
    path.write_text("source,target\n9,0\n")
    assert read_edges(path, 2, 10).edge_index.tolist() == [[9], [0]]
    with pytest.raises(ValueError, match="source ids"):
        read_edges(path, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0,1\n3,12\n", r"target ids of .*edges.csv must lie in \[0, 12\). Got 12 in line 2; mend"),
        ("12,1\n", r"source ids .* Got 12 in line 1; if the file counts from 1, pass first=1"),
        ("0,1\n-1,2\n", "Got -1 in line 2"),
        ("0,1\n2,3\n0,1\n", r"unique. Got \(source 0, target 1\) in lines 1 and 3"),
        ("0,1.5\n", "whole numbers. Got '1.5' in line 1"),
        ("0,nan\n", "finite numbers. Got 'nan' in line 1"),
        ("a,b\n0,1\n", r"which ends are sources.* Got columns 'a', 'b' and 1 rows; pass columns="),
        ("0,1,0.5\n2,3,0.5\n4,5,1\n", "which ends are sources.* Got 3 columns without a header"),
        ("0,1,2\n1,2,3\n", r"an edge per row, \(E, 2\). Got 2 rows of 3; transpose it"),
        ("source,target\nV1,MT\n", "finite numbers. Got 'V1' in line 2"),
    ],
)
def test_wrong_files(path, content, message):
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        connect.from_file(SHEET, path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 2}, "first must be 0 or 1"),
        ({"columns": ["source"]}, "columns must name two"),
        ({"columns": "source"}, "columns must name two"),
        ({"columns": ["source", "to"]}, "one column 'to'"),
        ({"length": "mm"}, "one column 'mm'"),
    ],
)
def test_wrong_options(path, options, message):
    path.write_text("source,target\n0,1\n")
    with pytest.raises(ValueError, match=message):
        connect.from_file(SHEET, path, **options)


def test_negative_lengths(path):
    path.write_text("source,target,length\n0,1,-2\n")
    with pytest.raises(ValueError, match="distance must be finite and not negative"):
        connect.from_file(SHEET, path, length="length")
