"""Rules of distance are found again in graphs that were drawn with them."""

import math

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph
from graphcolumns.analysis.connectome import fit_distance_rules
from graphcolumns.analysis.connectome.distance_fit import measured_pairs
from graphcolumns.geometry import Geometry

RULES = {
    "exponential": (lambda d: np.exp(-0.4 * d), 0.4),
    "power": (lambda d: d**-2.0, 2.0),
    "gaussian": (lambda d: np.exp(-0.05 * d**2), 0.05),
}


def drawn(geometry: Geometry, rule, factor: float = 0.5, seed: int = 0) -> ColumnGraph:
    """A graph whose pairs are joined with probability 1 - exp(-factor rule(d))."""
    n = geometry.num_columns
    low, high = np.triu_indices(n, 1)
    lengths = geometry.distance(torch.from_numpy(high), torch.from_numpy(low)).double().numpy()
    chance = -np.expm1(-factor * rule(lengths))
    joined = np.random.default_rng(seed).random(len(low)) < chance
    ends = np.stack([low[joined], high[joined]])
    return ColumnGraph.from_edge_index(torch.from_numpy(ends), n)


def test_joined_pairs_that_are_all_the_nearest_have_no_rate():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 3)
    with pytest.raises(ValueError, match=r"joined pairs that are all the nearest, or all the"):
        fit_distance_rules(graph, grid.sheet(1, 3))


def test_two_distances_are_fitted_exactly():
    """Three of the four sides of a square and one of its two diagonals are joined."""
    square = Geometry(torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.float64))
    edges = torch.tensor([[0, 1, 2, 0], [1, 2, 3, 2]])
    found = fit_distance_rules(ColumnGraph.from_edge_index(edges, 4), square)
    likelihood = 3 * math.log(3 / 4) + math.log(1 / 4) + 2 * math.log(1 / 2)
    for fit in found.fits:
        assert fit.probability(np.array([1, math.sqrt(2)])) == pytest.approx([3 / 4, 1 / 2])
        assert fit.log_likelihood == pytest.approx(likelihood)
        assert fit.aic == pytest.approx(4 - 2 * likelihood)
    hazard = [-math.log(1 / 4), -math.log(1 / 2)]
    slope = math.log(hazard[0] / hazard[1])
    rates = [fit.rate for fit in found.fits]
    assert rates == pytest.approx([slope / (math.sqrt(2) - 1), 2 * slope / math.log(2), slope])
    assert found.pair_mean == pytest.approx((4 + 2 * math.sqrt(2)) / 6)
    assert found.scaled_rate == pytest.approx(rates[0] * found.pair_mean)
    assert found.pairs == 6


@pytest.mark.parametrize("shape", RULES)
def test_the_rule_of_a_graph_is_found(shape):
    rule, rate = RULES[shape]
    graph = drawn(grid.sheet(22, 22), rule)
    found = fit_distance_rules(graph, grid.sheet(22, 22))
    assert found.best == shape
    fit = next(fit for fit in found.fits if fit.shape == shape)
    assert fit.rate == pytest.approx(rate, rel=0.05)
    assert fit.scale == pytest.approx(math.log(0.5), abs=0.1)


def test_dense_graphs_do_not_flatten_the_rule():
    """At a density of 0.3 nearly all near pairs are joined, and the rate is found all the same."""
    geometry = grid.sheet(20, 20)
    graph = drawn(geometry, RULES["exponential"][0], factor=10)
    assert graph.num_edges > 0.25 * 400 * 399 / 2
    assert fit_distance_rules(graph, geometry).fits[0].rate == pytest.approx(0.4, rel=0.05)


def test_a_sample_of_many_columns():
    geometry = grid.sheet(50, 50)
    graph = drawn(geometry, RULES["exponential"][0])
    lengths, joined = measured_pairs(graph, geometry)
    rows = 200_000 // 2500
    assert len(lengths) == rows * 2500 - rows * (rows + 1) // 2
    assert joined.sum() == pytest.approx(2 * rows / 2500 * graph.num_edges, rel=0.1)
    assert fit_distance_rules(graph, geometry).fits[0].rate == pytest.approx(0.4, rel=0.1)
    first, second = (fit_distance_rules(graph, geometry, seed).pairs for seed in (0, 0))
    assert first == second


def test_lengths_in_another_unit():
    geometry = grid.sheet(15, 15)
    graph = drawn(geometry, RULES["exponential"][0])
    here = fit_distance_rules(graph, geometry)
    there = fit_distance_rules(graph, Geometry(geometry.positions * 1000))
    assert there.fits[0].rate == pytest.approx(here.fits[0].rate / 1000, rel=1e-4)
    assert there.scaled_rate == pytest.approx(here.scaled_rate, rel=1e-4)
    assert there.fits[0].aic - there.fits[1].aic == pytest.approx(
        here.fits[0].aic - here.fits[1].aic, rel=1e-3
    )


def test_random_wiring_has_no_rate():
    geometry = grid.sheet(20, 20)
    found = fit_distance_rules(drawn(geometry, np.ones_like, factor=0.1), geometry)
    assert found.scaled_rate == pytest.approx(0, abs=0.1)


def test_pairs_that_no_path_joins_are_left_out():
    two = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [6, 0, 0], [5, 1, 0]])
    apart = Geometry(two, metric="geodesic", faces=torch.tensor([[0, 1, 2], [3, 4, 5]]))
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 3, 4], [1, 4, 5]]), 6)
    assert len(measured_pairs(graph, apart)[0]) == 6


def test_wrong_input():
    line = grid.sheet(1, 4)
    edges = torch.combinations(torch.arange(4)).T
    complete = ColumnGraph.from_edge_index(edges, 4)
    with pytest.raises(ValueError, match=r"Got all of 6 joined; pass a sparser or a denser graph."):
        fit_distance_rules(complete, line)
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 4)
    with pytest.raises(ValueError, match=r"Got none of 6 joined"):
        fit_distance_rules(empty, line)
    some = ColumnGraph.from_edge_index(torch.tensor([[0, 0], [1, 3]]), 4)
    with pytest.raises(ValueError, match=r"Got two at one; move them apart."):
        fit_distance_rules(some, Geometry(torch.zeros(4, 2)))
