"""z of graphs that were drawn from a null itself is what chance gives, for every null."""

import numpy as np
import pytest
import torch
from scipy import stats

from graphcolumns import Geometry
from graphcolumns.analysis.connectome import wire_lengths
from graphcolumns.analysis.connectome.nulls import (
    anneal_strengths,
    draw_by_distance,
    flip_directions,
    null_values,
    permute_positions,
    rewire_degrees,
    rewire_within_lengths,
)
from tests.analysis.connectome.support.random_graphs import graph_of

COLUMNS, GRAPHS, DRAWS = 24, 40, 12
GENERATOR = np.random.default_rng(0)
ADJACENT = GENERATOR.random((COLUMNS, COLUMNS)) < 0.15
GRAPH = graph_of(np.argwhere(ADJACENT & ~np.eye(COLUMNS, dtype=bool)), COLUMNS)
SHEET = Geometry(torch.from_numpy(GENERATOR.random((COLUMNS, 2)) * 5))
WEIGHTS = torch.from_numpy(GENERATOR.lognormal(0, 0.5, GRAPH.num_edges))
# A number for every pair of columns: their sum over edges is a measure without steps. Counts of few
# mutual edges have steps as large as their deviation, so that no z of them can be normal.
PAIR_VALUES = GENERATOR.normal(size=(COLUMNS, COLUMNS))


def sum_over_edges(graph, weights=None) -> float:
    source, target = graph.edge_index.numpy()
    return float(PAIR_VALUES[source, target].sum())


def mean_length(graph, weights=None) -> float:
    return float(wire_lengths(graph).mean())


def calibration(null, judge, measure=sum_over_edges, graphs=GRAPHS, weights=None, **options):
    """p of the law of z of graphs drawn from a null and judged by another.

    Of n normal values z / sqrt(1 + 1 / n) has Student's law with n - 1 degrees of freedom, which
    is standard normal for many.
    """
    scores = []
    for k in range(graphs):
        drawn = null(GRAPH, weights, SHEET, 10_000 + k, **options)
        about = (k, drawn.weights, SHEET, "greater", options)
        scores.append(null_values(drawn.graph, measure, judge, DRAWS, *about).z)
    law = stats.t(DRAWS - 1, scale=np.sqrt(1 + 1 / DRAWS))
    return float(stats.kstest(scores, law.cdf).pvalue)


def test_z_of_flipped_graphs():
    assert calibration(flip_directions, flip_directions) > 1e-3


def test_z_of_permuted_positions():
    assert calibration(permute_positions, permute_positions, mean_length) > 1e-3


@pytest.mark.slow
def test_z_of_rewired_graphs():
    assert calibration(rewire_degrees, rewire_degrees, swaps_per_edge=4) > 1e-3


@pytest.mark.slow
def test_z_of_graphs_rewired_within_lengths():
    options = {"bins": [1.5, 3.0], "swaps_per_edge": 4}
    null = rewire_within_lengths
    assert calibration(null, null, **options) > 1e-3


@pytest.mark.slow
def test_z_of_graphs_drawn_by_distance():
    assert calibration(draw_by_distance, draw_by_distance, graphs=30) > 1e-3


@pytest.mark.slow
def test_z_of_graphs_of_the_same_strengths():
    options = {"swaps_per_edge": 4, "tolerance": 0.1}
    null = anneal_strengths
    assert calibration(null, null, graphs=30, weights=WEIGHTS, **options) > 1e-3


def test_graphs_of_another_null_are_told_apart():
    """Where edges are long by chance and not by the rule: the same check fails."""

    def short(*args):
        return draw_by_distance(*args, rate=0.8)

    assert calibration(short, permute_positions, mean_length, 20) < 1e-3
