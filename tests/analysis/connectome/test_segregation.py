"""Clustering, communities, path lengths, communicability and rich clubs without directions."""

import math
import time

import networkx
import numpy as np
import pytest
import torch
from scipy.linalg import expm

from graphcolumns import ColumnGraph
from graphcolumns.analysis.connectome import (
    clustering,
    column_clustering,
    communicability_matrix,
    component_share,
    find_communities,
    mean_communicability,
    modularity,
    path_length,
    rich_club,
)
from graphcolumns.nn.communicability import communicability


def of_networkx(network: networkx.Graph) -> ColumnGraph:
    return ColumnGraph.from_networkx(network)[0]


TRIANGLE_WITH_TAIL = of_networkx(networkx.Graph([(0, 1), (1, 2), (2, 0), (2, 3)]))
KARATE = networkx.karate_club_graph()
CLIQUES = networkx.connected_caveman_graph(4, 6)
APART = of_networkx(networkx.disjoint_union(networkx.path_graph(2), networkx.complete_graph(4)))


def test_clustering_by_hand():
    assert column_clustering(TRIANGLE_WITH_TAIL).tolist() == [1, 1, 1 / 3, 0]
    assert clustering(TRIANGLE_WITH_TAIL) == pytest.approx(7 / 12)


def test_path_length_by_hand():
    """From 3: one step to 2, two steps to 0 and 1; all other pairs are neighbours."""
    assert path_length(TRIANGLE_WITH_TAIL) == pytest.approx((3 + 1 + 2 + 2) / 6)


@pytest.mark.parametrize("network", [KARATE, CLIQUES, networkx.gnp_random_graph(60, 0.1, 1)])
def test_as_in_networkx(network):
    graph = of_networkx(network)
    largest = network.subgraph(max(networkx.connected_components(network), key=len))
    assert clustering(graph) == pytest.approx(networkx.average_clustering(network))
    assert path_length(graph) == pytest.approx(networkx.average_shortest_path_length(largest))
    assert component_share(graph) == len(largest) / len(network)


def test_directions_and_self_edges_are_left_out():
    edges = torch.tensor([[0, 2, 2, 2, 1], [1, 1, 0, 3, 1]])
    graph = ColumnGraph.from_edge_index(edges, 4)
    assert clustering(graph) == clustering(TRIANGLE_WITH_TAIL)
    assert modularity(graph) == modularity(TRIANGLE_WITH_TAIL)
    assert path_length(graph) == path_length(TRIANGLE_WITH_TAIL)


def test_path_length_of_a_graph_in_two_parts_is_that_of_the_larger():
    assert component_share(APART) == 4 / 6
    assert path_length(APART) == 1


def test_communities_by_hand():
    """Two triangles joined by an edge: Q = 6/7 - 2 (7/14)^2."""
    network = networkx.barbell_graph(3, 0)
    found = find_communities(of_networkx(network))
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.modularity == pytest.approx(6 / 7 - 1 / 2)


def test_the_modularity_is_that_of_networkx_for_the_same_communities():
    graph, _, weights = ColumnGraph.from_networkx(KARATE, weight="weight")
    for given, attribute in ((None, None), (weights, "weight")):
        found = find_communities(graph, given)
        groups = [set(np.flatnonzero(found.labels == k)) for k in range(found.labels.max() + 1)]
        expected = networkx.community.modularity(KARATE, groups, weight=attribute)
        assert found.modularity == pytest.approx(expected)
    # The largest modularity of this graph, Brandes et al. 2008, IEEE TKDE 20.
    assert modularity(graph) == pytest.approx(0.4198, abs=1e-4)


def test_the_best_of_more_runs_is_no_worse_and_the_seed_decides():
    graph = of_networkx(networkx.gnp_random_graph(80, 0.08, 3))
    values = [modularity(graph, runs=runs, seed=2) for runs in (1, 3, 10)]
    assert values == sorted(values)
    first, second = find_communities(graph, seed=5), find_communities(graph, seed=5)
    assert first.modularity == second.modularity
    assert first.labels.tolist() == second.labels.tolist()


def test_a_graph_without_edges():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 3)
    assert clustering(empty) == 0
    assert math.isnan(path_length(empty))
    found = find_communities(empty)
    assert math.isnan(found.modularity)
    assert found.labels.tolist() == [0, 1, 2]
    assert communicability_matrix(empty).tolist() == np.eye(3).tolist()
    assert math.isnan(rich_club(empty).largest)


def test_communicability_by_hand():
    """Two joined columns: exp of [[0, 1], [1, 0]]."""
    pair = of_networkx(networkx.path_graph(2))
    expected = [[math.cosh(1), math.sinh(1)], [math.sinh(1), math.cosh(1)]]
    assert communicability_matrix(pair) == pytest.approx(np.array(expected))
    assert mean_communicability(pair) == pytest.approx(math.sinh(1))


def test_communicability_without_strengths_is_that_of_networkx():
    found = communicability_matrix(of_networkx(KARATE), normalised=False)
    expected = networkx.communicability(KARATE)
    for i in KARATE:
        assert found[i] == pytest.approx([expected[i][j] for j in KARATE])


def test_communicability_is_the_matrix_exponential_and_that_of_the_regulariser():
    graph, _, weights = ColumnGraph.from_networkx(KARATE, weight="weight")
    matrix = graph.to_scipy(weights).toarray().astype(float)
    strength = matrix.sum(1)
    found = communicability_matrix(graph, weights)
    assert found == pytest.approx(expm(matrix / np.sqrt(np.outer(strength, strength))))
    other = communicability(torch.from_numpy(matrix)).numpy()
    assert found - np.diag(found.diagonal()) == pytest.approx(other)


def test_communicability_of_512_columns():
    """Copies of a small graph: each block is the exponential of one, all else is 0."""
    small = networkx.gnp_random_graph(32, 0.2, 1)
    graph = of_networkx(networkx.disjoint_union_all([small] * 16))
    block = communicability_matrix(of_networkx(small))
    found = communicability_matrix(graph)
    assert abs(found - np.kron(np.eye(16), block)).max() < 1e-12
    ring = communicability_matrix(of_networkx(networkx.cycle_graph(512)))
    assert ring == pytest.approx(ring[0, 0] * np.eye(512) + ring - np.diag(ring.diagonal()))
    # exp(cos) over the circle is the modified Bessel function of order 0.
    assert ring[0, 0] == pytest.approx(1.2660658777520084)


def test_columns_without_edges_communicate_with_none():
    graph = of_networkx(networkx.disjoint_union(networkx.path_graph(2), networkx.empty_graph(1)))
    assert communicability_matrix(graph)[2].tolist() == [0, 0, 1]


def test_rich_club_as_in_networkx():
    found = rich_club(of_networkx(KARATE), references=3)
    for k, density in networkx.rich_club_coefficient(KARATE, normalized=False).items():
        assert found.density[k] == pytest.approx(density)
    assert found.members.tolist()[:4] == [34, 33, 22, 16]
    assert found.density[0] == pytest.approx(networkx.density(KARATE))
    assert found.ratio[0] == pytest.approx(1)


def test_a_planted_rich_club():
    """Ten hubs are joined among each other, and each to nine of 90 columns with four edges more.

    Hubs have 180 of 630 ends: a random multigraph would join them by 26 edges, where 45 are.
    """
    network = networkx.disjoint_union(
        networkx.complete_graph(10), networkx.random_regular_graph(4, 90, 1)
    )
    for hub in range(10):
        network.add_edges_from((hub, 10 + 9 * hub + leaf) for leaf in range(9))
    found = rich_club(of_networkx(network), seed=1)
    assert found.members[5] == 10
    assert found.density[5] == 1
    assert found.degree == 5
    assert found.largest > 45 / 26
    none = rich_club(of_networkx(networkx.random_regular_graph(6, 60, 1)))
    assert none.largest == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_communities(APART, runs=0), "runs must be 1 or above. Got 0."),
        (lambda: find_communities(APART, resolution=0), "resolution must be finite and above 0"),
        (lambda: modularity(APART, -torch.ones(14)), "weights must be 0 or above. Got -1.0"),
        (lambda: rich_club(APART, references=0), "references must be 1 or above. Got 0."),
        (lambda: rich_club(APART, least_share=2), r"least_share must lie in \[0, 1\]. Got 2."),
        (
            lambda: communicability_matrix(APART, 1000 * torch.ones(14), normalised=False),
            "the exponential must be finite. Got an eigenvalue of 3e",
        ),
        (
            lambda: clustering(ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1, 2)),
            "a connectome has as many sources as columns",
        ),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ten_thousand_columns_take_seconds():
    graph = of_networkx(networkx.gnm_random_graph(10_000, 50_000, 1))
    began = time.process_time()
    clustering(graph)
    component_share(graph)
    # 0.05 s on the machine where this was written.
    assert time.process_time() - began < 10
