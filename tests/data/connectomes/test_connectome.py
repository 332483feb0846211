"""The value of a connectome: matrices, subsets, graphs of sheets, and what is refused."""

import re

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph
from graphcolumns.data.connectomes import Connectome, connectome_from_matrix, connectome_graph

# Row 0 sends 2 to column 1 and 3 to column 2; row 2 sends 5 to column 0 and 7 to itself.
MATRIX = np.array([[0, 2, 3], [0, 0, 0], [5, 0, 7]])
LENGTHS = np.array([[np.nan, 0.2, 0.3], [np.nan, np.nan, np.nan], [0.5, np.nan, 0.0]])


def made(**options):
    return connectome_from_matrix(MATRIX, "sources", names=("a", "b", "c"), **options)


def test_a_matrix_worked_by_hand():
    connectome = made(lengths=LENGTHS, length_unit="mm")
    assert connectome.graph.edge_index.tolist() == [[2, 0, 0, 2], [0, 1, 2, 2]]
    assert connectome.weights.tolist() == [5, 2, 3, 7]
    torch.testing.assert_close(connectome.graph.distance, torch.tensor([0.5, 0.2, 0.3, 0.0]))
    assert connectome.matrix.T.tolist() == MATRIX.tolist()
    assert connectome.directed
    assert repr(connectome) == "Connectome(3 columns, 4 edges, directed, weights in weight)"


def test_rows_are_sources_or_targets():
    turned = connectome_from_matrix(MATRIX.T, "targets")
    assert turned.graph.same_topology(made().graph)
    assert turned.weights.equal(made().weights)
    assert turned.names == ("0", "1", "2")


def test_a_symmetric_matrix_is_undirected_and_one_of_other_weights_is_not():
    assert not connectome_from_matrix([[0, -2], [-2, 0]], "sources").directed
    assert connectome_from_matrix([[0, 1], [2, 0]], "sources").directed


def test_a_subset_in_an_order_of_its_own():
    connectome = Connectome(
        made().graph,
        made().weights,
        ("a", "b", "c"),
        "synapses",
        "here",
        attributes={"type": ("x", "y", "z"), "u": torch.tensor([1, 2, 3])},
        edge_attributes={"sign": torch.tensor([1, -1, 1, -1])},
    ).subset(["c", "a"])
    assert connectome.names == ("c", "a")
    assert connectome.matrix.tolist() == [[7, 3], [5, 0]]
    assert connectome.attributes["type"] == ("z", "x")
    assert connectome.attributes["u"].tolist() == [3, 1]
    assert connectome.edge_attributes["sign"].tolist() == [-1, 1, 1]


def test_a_subset_keeps_lengths_and_equals_that_of_the_matrix():
    rng = np.random.default_rng(0)
    matrix = rng.random((20, 20)) * (rng.random((20, 20)) < 0.3)
    whole = connectome_from_matrix(matrix, "targets", lengths=matrix * 2, length_unit="mm")
    order = rng.permutation(20)[:9]
    part = whole.subset([str(column) for column in order])
    assert part.matrix.numpy() == pytest.approx(matrix[np.ix_(order, order)])
    torch.testing.assert_close(part.graph.distance, (part.weights * 2).float())


def test_the_graph_of_a_sheet():
    geometry = grid.sheet(1, 3)
    graph = connectome_graph(geometry, made())
    assert graph.same_topology(made().graph)
    assert graph.distance.tolist() == [2, 1, 2, 0]
    assert connectome_graph(geometry, made(), self_loops=True).num_edges == 6


def test_a_geometry_of_other_columns_is_refused():
    message = (
        "geometry must have 3 columns, as many as the connectome. Got 4; choose another geometry, "
        "or columns of the connectome with Connectome.subset."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        connectome_graph(grid.sheet(2, 2), made())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: connectome_from_matrix(np.ones((2, 3)), "sources"),
            "matrix must be [N, N]. Got (2, 3).",
        ),
        (
            lambda: connectome_from_matrix([[0, np.nan], [1, 0]], "sources"),
            "matrix must hold finite numbers. Got 1 others; write 0 where there is no edge.",
        ),
        (
            lambda: connectome_from_matrix(MATRIX, "pre"),
            "rows must be one of 'sources', 'targets'. Got 'pre'.",
        ),
        (
            lambda: made(lengths=np.ones((2, 2)), length_unit="mm"),
            "lengths must be (3, 3), as the matrix. Got (2, 2).",
        ),
        (
            lambda: made(lengths=LENGTHS),
            "length_unit must be given for a graph with lengths, and only then. Got None.",
        ),
        (
            lambda: connectome_from_matrix(MATRIX, "sources", names=("a", "b", "a")),
            "names must be 3 different texts, one per column. Got 3, 2 of them different.",
        ),
        (
            lambda: made(attributes={"type": ("x",)}),
            "attribute 'type' must have 3 values. Got 1.",
        ),
        (
            lambda: Connectome(made().graph, torch.tensor([1, 2, 3, torch.inf]), ("a",), "", ""),
            "weights must be 4 finite numbers, one per edge. Got 1 of (4,) that are not finite.",
        ),
        (
            lambda: Connectome(
                ColumnGraph.from_edge_index(torch.tensor([[2], [0]]), 2, 3),
                torch.ones(1),
                ("a", "b"),
                "",
                "",
            ),
            "columns must receive from each other. Got ColumnGraph(num_columns=2, num_sources=3, "
            "num_edges=1).",
        ),
        (
            lambda: made().subset(["a", "z"]),
            "names must be different names of columns. Got 'z', which is none.",
        ),
        (
            lambda: made().subset(["a", "a"]),
            "names must be different names of columns. Got 2 names.",
        ),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build()


def test_lengths_that_are_not_numbers_are_refused_where_there_is_an_edge():
    with pytest.raises(ValueError, match="distance"):
        made(lengths=np.full((3, 3), np.nan), length_unit="mm")
