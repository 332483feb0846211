"""z and p of a measure: by hand, calibrated, and found where something was planted."""

import networkx
import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.connectome import wire_lengths
from graphcolumns.analysis.connectome.nulls import (
    NullValues,
    draw_by_distance,
    flip_directions,
    null_values,
    permute_positions,
    rewire_degrees,
)
from tests.analysis.connectome.support.random_graphs import graph_of, random_graph, random_weights


def test_z_and_p_by_hand():
    found = NullValues(3.0, np.array([1.0, 2.0, 3.0]))
    assert (found.mean, found.sd, found.z, found.p) == (2, 1, 1, 0.5)
    assert NullValues(3.0, found.values, "less").p == 1
    assert NullValues(4.0, found.values, "two-sided").p == 0.5
    assert NullValues(2.0, found.values, "two-sided").p == 1
    alike = NullValues(3.0, np.full(3, 0.1))
    assert (alike.sd, alike.p) == (0, 0.25)
    assert np.isnan(alike.z)
    rounded = NullValues(0.3, np.array([0.1, np.nextafter(0.1, 1), 0.1]))
    assert (rounded.sd, rounded.p) == (0, 0.25)
    assert np.isnan(rounded.z)


def modularity(graph) -> float:
    mutual = graph.to_networkx().to_undirected()
    groups = networkx.community.louvain_communities(mutual, weight=None, seed=0)
    return networkx.community.modularity(mutual, groups, weight=None)


def forward(graph) -> float:
    """Share of edges from a lower to a higher id."""
    return float((graph.source < graph.target).double().mean())


def mutual(graph) -> float:
    keys = graph.source.long() * graph.num_columns + graph.target
    back = graph.target.long() * graph.num_columns + graph.source
    return float(torch.isin(keys, back).double().mean())


def test_planted_modules_are_found_and_only_they():
    generator = np.random.default_rng(0)
    module = np.arange(60) // 15
    chance = np.where(module[:, None] == module, 0.4, 0.05)
    for planted in (chance, np.full((60, 60), chance.mean())):
        adjacent = generator.random((60, 60)) < planted
        np.fill_diagonal(adjacent, False)
        found = null_values(graph_of(np.argwhere(adjacent), 60), modularity, rewire_degrees, 20)
        assert found.z > 10 if planted is chance else abs(found.z) < 3


def test_a_planted_hierarchy_is_found_and_only_that():
    graph = random_graph(1, columns=20)
    order = np.array([(min(s, t), max(s, t)) for s, t in graph.edge_index.T.tolist() if s != t])
    ordered = graph_of(np.unique(order, axis=0), 20)
    found = null_values(ordered, forward, flip_directions, 50)
    assert found.z > 5
    assert found.p == 1 / 51
    flipped = flip_directions(ordered, seed=9).graph
    assert abs(null_values(flipped, forward, flip_directions, 50).z) < 3


def clustering(graph) -> float:
    return networkx.transitivity(graph.to_networkx().to_undirected())


def test_the_distance_rule_explains_the_clustering_of_a_graph_drawn_by_it():
    geometry = grid.sheet(10, 10)
    seeded = connect.random(geometry, 6, self_loops=False)
    graph = draw_by_distance(seeded, geometry=geometry, rate=1.0, seed=5).graph
    by_degree = null_values(graph, clustering, rewire_degrees, 20)
    by_distance = null_values(graph, clustering, draw_by_distance, 20, geometry=geometry)
    assert by_degree.z > 10
    assert abs(by_distance.z) < 3


def test_short_edges_are_found_by_permuted_positions():
    geometry = grid.sheet(8, 8)

    def mean_length(graph):
        return wire_lengths(graph).mean()

    for graph in (connect.nearest(geometry, 5), connect.random(geometry, 5)):
        found = null_values(
            graph.remeasure(geometry), mean_length, permute_positions, 50, 0, None, geometry, "less"
        )
        assert found.z < -10 if mean_length(graph) < 2 else abs(found.z) < 3


def test_null_graphs_do_not_depend_on_their_number():
    graph = random_graph(3, columns=20)
    few, many = (null_values(graph, forward, flip_directions, n, seed=1) for n in (3, 5))
    assert few.values.tolist() == many.values.tolist()[:3]
    other = null_values(graph, forward, flip_directions, 3, seed=2)
    assert few.values.tolist() != other.values.tolist()
    assert "z=" in repr(few)


def test_a_measure_of_weights():
    graph = random_graph(3, columns=20)
    weights = random_weights(graph)
    found = null_values(graph, lambda g, w: w.sum(), rewire_degrees, 3, weights=weights)
    assert found.observed == pytest.approx(found.mean, rel=1e-5)


def test_wrong_options():
    graph = random_graph(3, columns=20)
    with pytest.raises(ValueError, match=r"^count must be 2 or above, for a standard .* Got 1\.$"):
        null_values(graph, forward, flip_directions, 1)
    with pytest.raises(
        ValueError, match=r"^tail must be 'greater', 'less' or 'two-sided'\. Got 'b"
    ):
        null_values(graph, forward, flip_directions, tail="both")
    with pytest.raises(ValueError, match=r"^a measure must be finite\. Got nan on the graph; "):
        null_values(graph, lambda g: float("nan"), flip_directions)
