"""Input that no measure is defined for: an exact error or a documented value, of every function."""

import math

import numpy as np
import pytest
import torch

from graphcolumns import ColumnGraph, Geometry
from graphcolumns.analysis import connectome, topography
from graphcolumns.analysis.connectome import nulls
from graphcolumns.analysis.hierarchy import laminar_hierarchy, trophic_incoherence, trophic_levels
from graphcolumns.data.connectomes import Connectome, connectome_from_matrix


def graph_of(columns: int, *edges: tuple[int, int]) -> ColumnGraph:
    ends = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    return ColumnGraph.from_edge_index(ends, columns)


def row_of(columns: int) -> Geometry:
    return Geometry(torch.stack([torch.arange(columns).double(), torch.zeros(columns)], 1))


GRAPH, ROW = graph_of(4, (0, 1), (1, 2), (2, 3), (3, 0), (0, 2)), row_of(4)
VALUES = torch.arange(4).double()
ONES = torch.ones(5, dtype=torch.float64)
HALF = 0.5 * ONES
# Every function that takes a weight per edge.
WEIGHTED = {
    "weight_statistics": lambda w: connectome.weight_statistics(GRAPH, w),
    "strongest_pairs": lambda w: connectome.strongest_pairs(GRAPH, w, 0.5)[1].tolist(),
    "modularity": lambda w: connectome.modularity(GRAPH, w),
    "communicability_matrix": lambda w: connectome.communicability_matrix(GRAPH, w).tolist(),
    "mean_communicability": lambda w: connectome.mean_communicability(GRAPH, w),
    "connectome_table": lambda w: connectome.connectome_table(GRAPH, w, ROW, count=0).csv(),
    "trophic_levels": lambda w: trophic_levels(GRAPH, w).levels.tolist(),
    "laminar_hierarchy": lambda w: laminar_hierarchy(GRAPH, HALF, w).levels.tolist(),
    "morans_i": lambda w: topography.morans_i(VALUES, GRAPH, w),
    "moran_test": lambda w: topography.moran_test(VALUES, GRAPH, w, 9).null.values.tolist(),
}
NULLS = {
    "rewire_degrees": nulls.rewire_degrees,
    "anneal_strengths": nulls.anneal_strengths,
    "rewire_within_lengths": nulls.rewire_within_lengths,
    "draw_by_distance": nulls.draw_by_distance,
    "permute_positions": nulls.permute_positions,
    "flip_directions": nulls.flip_directions,
}
DRAWN = {
    name: lambda w, null=null: null(GRAPH, w, ROW).weights.tolist() for name, null in NULLS.items()
}
BAD_WEIGHTS = {
    "nan": (math.nan * ONES, ValueError, "weights must be finite"),
    "infinite": (math.inf * ONES, ValueError, "weights must be finite"),
    "complex": (ONES.to(torch.complex64), TypeError, "weights must be real numbers"),
    "huge": (1e200 * ONES, ValueError, r"of a size in \[1e-100, 1e\+100\]"),
    "tiny": (1e-310 * ONES, ValueError, r"of a size in \[1e-100, 1e\+100\]"),
    "too few": (ONES[:4], ValueError, r"one number per edge.* Got [\(\[]4"),
    "of two axes": (ONES[:, None], ValueError, r"one number per edge.* Got [\(\[]5, 1"),
}


@pytest.mark.parametrize("name", [*WEIGHTED, *DRAWN])
@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_bad_weights(name, kind):
    weights, error, message = BAD_WEIGHTS[kind]
    with pytest.raises(error, match=message):
        (WEIGHTED | DRAWN)[name](weights)


# Nulls but that of strengths keep the signs of weights as they are.
@pytest.mark.parametrize("name", [*WEIGHTED, "anneal_strengths"])
def test_negative_weights(name):
    with pytest.raises(ValueError, match=r"weights must be 0 or above.* Got -1"):
        (WEIGHTED | DRAWN)[name](-ONES)


@pytest.mark.parametrize("name", [*WEIGHTED, *DRAWN])
@pytest.mark.parametrize("dtype", [torch.float16, torch.int32, torch.bool])
def test_weights_of_other_types_are_numbers_as_any(name, dtype):
    call = (WEIGHTED | DRAWN)[name]
    assert repr(call(ONES.to(dtype))).replace("True", "1.0") == repr(call(ONES)) or (
        call(ONES.to(dtype)) == call(ONES)
    )


EMPTY, ONE, TWO = graph_of(4), graph_of(1), graph_of(2, (0, 1))
SELF = graph_of(3, (0, 0), (1, 1), (2, 2))
APART = graph_of(5, (0, 1), (1, 0), (2, 3))
NAN = math.nan
# Value of each measure without an edge, of one column, of two, of self-edges and in two parts.
VALUES_OF = {
    "edge_density": (connectome.edge_density, [0, "two columns", 0.5, 0, 3 / 20]),
    "edge_reciprocity": (connectome.edge_reciprocity, [NAN, NAN, 0, NAN, 2 / 3]),
    "clustering": (connectome.clustering, [0, 0, 0, 0, 0]),
    "path_length": (connectome.path_length, [NAN, NAN, 1, NAN, 1]),
    "component_share": (connectome.component_share, [1 / 4, 1, 1, 1 / 3, 2 / 5]),
    "modularity": (connectome.modularity, [NAN, NAN, 0, NAN, 1 / 2]),
    "propensity": (lambda g: connectome.small_world(g, 2).propensity, [NAN] * 5),
    "omega": (lambda g: connectome.small_world(g, 2).omega, [NAN] * 5),
    "rich_club": (lambda g: connectome.rich_club(g, 2).largest, [NAN, NAN, 1, NAN, 1]),
    "communicability": (
        connectome.mean_communicability,
        [0, NAN, math.sinh(1), 0, math.sinh(1) / 5],
    ),
    "trophic_incoherence": (trophic_incoherence, [NAN, NAN, 0, NAN, 2 / 3]),
    "laminar_hierarchy": (
        lambda g: laminar_hierarchy(g, torch.full((g.num_edges,), 0.5)).correlation,
        ["an edge", "an edge", NAN, "an edge", NAN],
    ),
    "weight_statistics": (
        lambda g: connectome.weight_statistics(g, torch.ones(g.num_edges)).sd_log,
        ["an edge", "an edge", NAN, "an edge", 0],
    ),
    "strongest_pairs": (
        lambda g: connectome.strongest_pairs(g, torch.ones(g.num_edges), 0.2)[0].num_edges,
        ["at least one pair", "at least one pair", "at least one pair", "at least one pair", 4],
    ),
    "wiring_cost": (
        lambda g: connectome.wiring_cost(g, row_of(g.num_columns)).ratio,
        ["needs an edge", "needs an edge", 1, "needs an edge", 0.5],
    ),
    "fit_distance_rules": (
        lambda g: connectome.fit_distance_rules(g, row_of(g.num_columns)).best,
        ["none of 6", "none of 0", "all of 1", "none of 3", "overlapping distances"],
    ),
    "connectome_table": (
        lambda g: connectome.connectome_table(g, count=0).row("density").value,
        ["an edge", "an edge", 0.5, "an edge", 3 / 20],
    ),
    "morans_i": (
        lambda g: topography.morans_i(torch.arange(g.num_columns), g),
        ["sum to more than 0", "sum to more than 0", -1, "sum to more than 0", 2 / 3],
    ),
}
DEGENERATE = (EMPTY, ONE, TWO, SELF, APART)


@pytest.mark.parametrize("name", VALUES_OF)
def test_degenerate_graphs(name):
    measure, expected = VALUES_OF[name]
    for graph, value in zip(DEGENERATE, expected, strict=True):
        if isinstance(value, str):
            with pytest.raises(ValueError, match=value):
                measure(graph)
        else:
            assert measure(graph) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("name", NULLS)
@pytest.mark.parametrize("graph", [EMPTY, ONE, graph_of(1, (0, 0)), TWO, SELF])
def test_nulls_of_degenerate_graphs_keep_their_edges(name, graph):
    drawn = NULLS[name](graph, torch.ones(graph.num_edges), row_of(graph.num_columns))
    assert sorted(drawn.graph.edge_index.sum(0)) == sorted(graph.edge_index.sum(0))
    assert drawn.weights.tolist() == [1] * graph.num_edges


MEASURED = {
    "wiring_cost": lambda g, p: connectome.wiring_cost(g, p),
    "fit_distance_rules": lambda g, p: connectome.fit_distance_rules(g, p),
    "connectome_table": lambda g, p: connectome.connectome_table(g, geometry=p, count=0),
    **{name: lambda g, p, null=null: null(g, ONES, p) for name, null in NULLS.items()},
}


@pytest.mark.parametrize("name", MEASURED)
def test_positions_of_other_columns(name):
    with pytest.raises(ValueError, match="the geometry must place 4 columns"):
        MEASURED[name](GRAPH, row_of(3))


@pytest.mark.parametrize("name", ["rewire_degrees", "anneal_strengths", "draw_by_distance"])
def test_a_directed_graph_as_undirected(name):
    with pytest.raises(ValueError, match="must have its reverse"):
        NULLS[name](GRAPH, ONES, ROW, undirected=True)


def test_columns_at_one_place():
    place = Geometry(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="columns at different positions"):
        connectome.wiring_cost(GRAPH, place)
    with pytest.raises(ValueError, match="columns at different positions"):
        connectome.fit_distance_rules(GRAPH, place)
    assert topography.tdann_smoothness(VALUES, place).smoothness == 0
    assert math.isnan(topography.tuning_by_distance(np.eye(4) + 1, place).r)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_positions_and_lengths_that_are_no_numbers(bad):
    with pytest.raises(ValueError, match="finite"):
        Geometry(torch.full((4, 2), bad))
    ends = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="distance must be finite"):
        ColumnGraph.from_edge_index(ends, 2, distance=torch.tensor([bad]))
    with pytest.raises(ValueError, match=r"wires must be at least one length, all finite. Got 1"):
        connectome.distance_rule(np.array([bad]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"pairs must be at least one length, all finite. Got 1"):
        connectome.rule_weights(np.array([bad]), 1.0)


def test_no_lengths():
    none = np.empty(0)
    for call in (
        lambda: connectome.distance_rule(none, np.ones(1)),
        lambda: connectome.distance_rule(np.ones(1), none),
        lambda: connectome.rule_weights(none, 1.0),
    ):
        with pytest.raises(ValueError, match=r"at least one length, all finite. Got none."):
            call()
    with pytest.raises(ValueError, match="rate must be a number"):
        connectome.rule_weights(np.ones(2), math.nan)
    with pytest.raises(ValueError, match="never measured"):
        connectome.wire_lengths(GRAPH)


def test_an_edge_twice():
    with pytest.raises(ValueError, match=r"twice|once|duplicate"):
        graph_of(2, (0, 1), (0, 1))


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (np.ones((2, 3)), {}, ValueError, r"matrix must be \[N, N\]. Got \(2, 3\)"),
        (np.ones((0, 0)), {}, ValueError, r"matrix must be \[N, N\]. Got \(0, 0\)"),
        ([[0, math.nan], [1, 0]], {}, ValueError, "finite numbers. Got 1 others"),
        ([[0, math.inf], [1, 0]], {}, ValueError, "finite numbers. Got 1 others"),
        ([[0, 1j], [1, 0]], {}, TypeError, "matrix must hold real numbers"),
        (np.eye(2), {"lengths": np.ones((3, 3))}, ValueError, r"lengths must be \(2, 2\)"),
        (np.eye(2), {"lengths": -np.eye(2), "length_unit": "mm"}, ValueError, "not negative"),
        (np.eye(2), {"lengths": np.eye(2)}, ValueError, "length_unit must be given"),
        (np.eye(2), {"names": ("a", "a")}, ValueError, "2 different texts"),
        (np.eye(2), {"rows": "columns"}, ValueError, "rows must be one of"),
    ],
)
def test_matrices(matrix, options, error, message):
    with pytest.raises(error, match=message):
        connectome_from_matrix(matrix, **{"rows": "targets", **options})


def test_matrices_that_have_a_connectome():
    one = connectome_from_matrix([[0]], rows="targets")
    assert (one.graph.num_columns, one.graph.num_edges) == (1, 0)
    half = connectome_from_matrix(np.eye(2, dtype=np.float16), rows="sources")
    assert half.weights.dtype == torch.float64
    with pytest.raises(TypeError, match="weights must be real numbers"):
        Connectome(TWO, torch.ones(1, dtype=torch.complex64), ("a", "b"), "synapses", "")
