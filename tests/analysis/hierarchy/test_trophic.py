"""Trophic levels and incoherence, by hand, as in numpy and as in networkx."""

import math
import subprocess
import sys
import time

import networkx
import numpy as np
import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.analysis.hierarchy import trophic_incoherence, trophic_levels


def graph_of(*edges: tuple[int, int], columns: int) -> ColumnGraph:
    return ColumnGraph.from_edge_index(torch.tensor(edges).T, columns)


def random_graph(n: int, degree: int, seed: int = 0) -> tuple[ColumnGraph, torch.Tensor]:
    network = networkx.gnm_random_graph(n, n * degree, seed, directed=True)
    graph, _ = ColumnGraph.from_networkx(network)
    weights = np.random.default_rng(seed).lognormal(0, 1, graph.num_edges)
    return graph, torch.from_numpy(weights)


def test_a_chain_has_one_level_per_step():
    found = trophic_levels(graph_of((2, 0), (0, 1), (1, 3), columns=4))
    assert found.levels == pytest.approx(np.array([1, 2, 0, 3]))
    assert found.incoherence == pytest.approx(0, abs=1e-20)


def test_a_shortcut_by_hand():
    """0 -> 1 -> 2 and 0 -> 2: h = 0, 2/3, 4/3; misses 1/3, 1/3, 1/3."""
    found = trophic_levels(graph_of((0, 1), (1, 2), (0, 2), columns=3))
    assert found.levels == pytest.approx(np.array([0, 2 / 3, 4 / 3]))
    assert found.incoherence == pytest.approx(1 / 9)


def test_weights_by_hand():
    """Weight w on the shortcut: 2 (a - 1) + 2 w (2 a - 1) = 0 for steps a."""
    graph = graph_of((0, 1), (0, 2), (1, 2), columns=3)
    found = trophic_levels(graph, torch.tensor([1.0, 3.0, 1.0]))
    step = (1 + 3) / (1 + 2 * 3)
    assert found.levels == pytest.approx(np.array([0, step, 2 * step]))
    expected = (2 * (step - 1) ** 2 + 3 * (2 * step - 1) ** 2) / 5
    assert found.incoherence == pytest.approx(expected)


@pytest.mark.parametrize(
    "network", [networkx.cycle_graph(5, networkx.DiGraph), networkx.karate_club_graph()]
)
def test_rings_and_symmetric_graphs_have_no_direction(network):
    found = trophic_levels(ColumnGraph.from_networkx(network)[0])
    assert found.incoherence == pytest.approx(1)
    assert found.levels == pytest.approx(np.zeros(len(network)), abs=1e-9)


def test_self_edges_and_edges_of_weight_0_are_left_out():
    plain = trophic_levels(graph_of((0, 1), (1, 2), columns=3))
    more = graph_of((0, 1), (1, 1), (0, 2), (1, 2), columns=3)
    found = trophic_levels(more, torch.tensor([1.0, 7.0, 0.0, 1.0]))
    assert found.levels == pytest.approx(plain.levels)
    assert found.incoherence == plain.incoherence


def test_each_component_begins_at_0():
    found = trophic_levels(graph_of((3, 2), (0, 1), (2, 4), columns=6))
    assert found.levels[:5] == pytest.approx(np.array([0, 1, 1, 0, 2]))
    assert math.isnan(found.levels[5])
    assert found.components.tolist() == [0, 0, 1, 1, 1, 2]
    assert found.incoherence == pytest.approx(0, abs=1e-20)


def test_no_edge():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 2)
    assert math.isnan(trophic_incoherence(empty))
    assert np.isnan(trophic_levels(empty).levels).all()


def test_the_equation_holds():
    graph, weights = random_graph(60, 4)
    matrix = graph.to_scipy(weights).toarray()
    into, out = matrix.sum(1), matrix.sum(0)
    levels = trophic_levels(graph, weights).levels
    left = (np.diag(into + out) - matrix - matrix.T) @ levels
    assert left == pytest.approx(into - out)


def test_the_minimum_as_in_numpy():
    graph, weights = random_graph(40, 4)
    source, target = graph.edge_index.numpy()
    rows = np.zeros((graph.num_edges, 40))
    rows[np.arange(len(rows)), target] = 1
    rows[np.arange(len(rows)), source] = -1
    root = weights.sqrt().numpy()
    expected, *_ = np.linalg.lstsq(rows * root[:, None], root, rcond=None)
    found = trophic_levels(graph, weights)
    assert found.levels == pytest.approx(expected - expected.min())
    expected = ((rows @ expected - 1) ** 2 * root**2).sum() / (root**2).sum()
    assert found.incoherence == pytest.approx(expected)


def test_levels_of_layers_are_those_of_food_webs():
    """Where every edge climbs one level, the levels of networkx, which begin at 1."""
    layers = networkx.complete_multipartite_graph(3, 4, 2)
    network = networkx.DiGraph(
        (a, b)
        for a, b in layers.edges
        if layers.nodes[b]["subset"] - layers.nodes[a]["subset"] == 1
    )
    graph, names = ColumnGraph.from_networkx(network)
    expected = networkx.trophic_levels(network)
    levels = trophic_levels(graph).levels
    assert levels + 1 == pytest.approx(np.array([expected[name] for name in names]))


def test_a_large_graph_is_solved_by_conjugate_gradients(monkeypatch):
    graph, weights = random_graph(500, 5)
    direct = trophic_levels(graph, weights)
    monkeypatch.setattr("graphcolumns.analysis.hierarchy.potentials.DIRECT", 10)
    found = trophic_levels(graph, weights)
    assert found.levels == pytest.approx(direct.levels, abs=1e-8)
    assert found.incoherence == pytest.approx(direct.incoherence, rel=1e-10)


def test_ten_thousand_columns_take_seconds():
    graph, weights = random_graph(10_000, 10)
    began = time.process_time()
    trophic_levels(graph, weights)
    # 0.03 s on the machine where this was written.
    assert time.process_time() - began < 10


def test_wrong_input():
    graph = graph_of((0, 1), (1, 2), columns=3)
    with pytest.raises(ValueError, match=r"weights must be 0 or above. Got -1.0 at edge 0"):
        trophic_levels(graph, -torch.ones(2))
    with pytest.raises(ValueError, match=r"weights must be finite. Got inf at edge 0"):
        trophic_levels(graph, torch.full((2,), math.inf))
    bipartite = ColumnGraph.from_edge_index(torch.tensor([[2], [0]]), 2, 3)
    with pytest.raises(ValueError, match=r"as many sources as columns"):
        trophic_levels(bipartite)


def test_the_package_is_imported_alone():
    """It shares code with the table of a connectome, which measures incoherence."""
    code = "import graphcolumns.analysis.hierarchy"
    subprocess.run([sys.executable, "-c", code], check=True)
