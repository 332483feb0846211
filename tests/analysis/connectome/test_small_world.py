"""Small-world measures between a ring lattice and random graphs."""

import math

import networkx
import numpy as np
import pytest

from graphcolumns import ColumnGraph
from graphcolumns.analysis.connectome import small_world
from graphcolumns.analysis.connectome.segregation import count_pairs
from graphcolumns.analysis.connectome.small_world import random_matrix, ring_lattice


def of_networkx(network: networkx.Graph) -> ColumnGraph:
    return ColumnGraph.from_networkx(network)[0]


def test_a_ring_whose_rings_are_full_is_that_of_networkx():
    for n, k in ((12, 4), (9, 2), (8, 6)):
        expected = networkx.to_numpy_array(networkx.watts_strogatz_graph(n, k, 0))
        assert (ring_lattice(n, n * k // 2).toarray() == expected).all()


def test_a_ring_has_each_number_of_edges_once():
    for n in (5, 6, 7):
        for edges in range(1, n * (n - 1) // 2 + 1):
            matrix = ring_lattice(n, edges)
            assert count_pairs(matrix) == edges
            assert set(matrix.data) == {1}
            assert (matrix != matrix.T).nnz == 0


def test_what_does_not_fill_a_ring_lies_evenly():
    """Eight nodes and twelve edges: the second ring begins at every other node."""
    degree = np.asarray(ring_lattice(8, 12).sum(1)).ravel()
    assert degree.tolist() == [4, 2, 4, 2, 4, 2, 4, 2]


@pytest.mark.parametrize("n", [50, 2500])
def test_random_graphs_have_as_many_edges(n):
    matrix = random_matrix(n, 400, seed=3)
    assert count_pairs(matrix) == 400
    assert set(matrix.data) == {1}
    assert (matrix != random_matrix(n, 400, seed=3)).nnz == 0
    assert (matrix != random_matrix(n, 400, seed=4)).nnz > 0


def test_the_formulas():
    found = small_world(of_networkx(networkx.watts_strogatz_graph(60, 6, 0.2, 1)), 5)
    (cl, ll), (cr, lr), (cd, ld) = found.lattice, found.random, found.degrees
    c, length = found.clustering, found.path_length
    delta_c, delta_l = (cl - c) / (cl - cr), (length - lr) / (ll - lr)
    assert found.propensity == pytest.approx(1 - math.sqrt((delta_c**2 + delta_l**2) / 2))
    assert found.omega == pytest.approx(ld / length - c / cl)
    assert found.sigma == pytest.approx((c / cd) / (length / ld))
    assert cl == pytest.approx(0.6)
    assert cr == pytest.approx(6 / 59, abs=0.03)


def test_from_lattice_to_random():
    """Of Watts and Strogatz's graphs those in between are small worlds; omega runs from -1 to 1."""
    found = [
        small_world(of_networkx(networkx.watts_strogatz_graph(200, 8, p, 1)), 5)
        for p in (0, 0.05, 1)
    ]
    lattice, between, random = found
    # One of the two deviations is 1, the other 0.
    assert lattice.propensity == pytest.approx(1 - math.sqrt(1 / 2), abs=1e-6)
    assert random.propensity == pytest.approx(1 - math.sqrt(1 / 2), abs=0.03)
    assert between.propensity > 0.8
    assert lattice.omega < -0.5 < between.omega < 0.5 < random.omega
    assert random.sigma == pytest.approx(1, abs=0.25)


def test_the_largest_component_counts():
    whole = networkx.watts_strogatz_graph(40, 4, 0.1, 1)
    apart = networkx.disjoint_union(whole, networkx.path_graph(2))
    assert small_world(of_networkx(apart)) == small_world(of_networkx(whole))


def test_what_is_not_defined_is_nan():
    complete = small_world(of_networkx(networkx.complete_graph(6)))
    assert math.isnan(complete.propensity)
    assert complete.omega == 0
    star = small_world(of_networkx(networkx.star_graph(5)))
    assert math.isnan(star.sigma)
    empty = small_world(of_networkx(networkx.empty_graph(3)))
    assert math.isnan(empty.propensity)
    assert math.isnan(empty.path_length)


def test_the_seed_decides():
    graph = of_networkx(networkx.watts_strogatz_graph(40, 4, 0.1, 1))
    assert small_world(graph, seed=1) == small_world(graph, seed=1)
    assert small_world(graph, seed=1) != small_world(graph, seed=2)


def test_no_reference():
    with pytest.raises(ValueError, match=r"references must be 1 or above. Got 0."):
        small_world(of_networkx(networkx.path_graph(3)), references=0)
