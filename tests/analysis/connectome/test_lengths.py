"""Lengths of edges, and the rule of distance that fits them."""

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.connectome import (
    distance_rule,
    pair_lengths,
    rule_weights,
    wire_lengths,
)


def test_self_edges_have_no_wire():
    assert wire_lengths(connect.nearest(grid.sheet(1, 3), 1)).tolist() == []
    assert wire_lengths(connect.complete(grid.sheet(1, 3))).tolist() == [1, 2, 1, 1, 2, 1]


def test_all_pairs_of_a_few_columns():
    assert sorted(pair_lengths(grid.sheet(1, 3))) == [1, 1, 1, 1, 2, 2]


def test_a_sample_of_the_pairs_of_many_columns():
    geometry = grid.sheet(60, 60, torus=True)  # every column sees the same distances
    lengths = pair_lengths(geometry)
    own = torch.arange(1, 3600)
    expected = geometry.distance(torch.zeros_like(own), own)
    assert len(lengths) % 3599 == 0
    assert lengths.mean() == pytest.approx(float(expected.mean()), rel=1e-6)


def test_the_rule_by_hand():
    """Lengths 1 and 2 are equally common; three short edges of four mean e^r = 3."""
    pairs = np.array([1.0, 2.0])
    rate = distance_rule(np.array([1.0, 1.0, 1.0, 2.0]), pairs)
    assert rate == pytest.approx(np.log(3))
    assert rule_weights(pairs, rate) == pytest.approx([0.75, 0.25])
    assert distance_rule(np.array([2.0, 2.0, 2.0, 1.0]), pairs) == pytest.approx(-np.log(3))
    assert distance_rule(pairs, pairs) == pytest.approx(0, abs=1e-9)


def test_the_rule_finds_the_length_that_a_graph_was_drawn_with():
    geometry = grid.sheet(40, 40, torus=True)
    graph = connect.distance_decay(geometry, 5, length=3.0, self_loops=False)
    rate = distance_rule(wire_lengths(graph), pair_lengths(geometry))
    assert 1 / rate == pytest.approx(3.0, rel=0.05)


def test_edges_as_short_as_any_pair():
    pairs = np.array([1.0, 1.0, 5.0])
    assert distance_rule(np.ones(3), pairs) == np.inf
    assert rule_weights(pairs, np.inf).tolist() == [0.5, 0.5, 0]
    assert distance_rule(np.full(3, 5.0), pairs) == -np.inf
    assert rule_weights(pairs, -np.inf).tolist() == [0, 0, 1]


def test_unmeasured():
    from graphcolumns.graph import ColumnGraph

    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2)
    with pytest.raises(ValueError, match=r"never measured: call graph\.remeasure"):
        wire_lengths(graph)
