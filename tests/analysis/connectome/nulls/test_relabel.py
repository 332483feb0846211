"""Permuted positions and flipped directions, worked by hand and on random graphs."""

import re

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import Geometry
from graphcolumns.analysis.connectome.nulls import flip_directions, permute_positions
from graphcolumns.connect.draws import numpy_generator
from tests.analysis.connectome.support.random_graphs import (
    edge_set,
    graph_of,
    random_graph,
    random_weights,
    self_edge_set,
)


def unordered(graph, values) -> list:
    """Every edge without its direction, with its value."""
    pairs = zip(edge_set_in_order(graph), values.tolist(), strict=True)
    return sorted((min(edge), max(edge), value) for edge, value in pairs)


def edge_set_in_order(graph) -> list[tuple[int, int]]:
    return list(map(tuple, graph.edge_index.T.tolist()))


def test_one_edge_flips_half_the_time():
    graph = graph_of([(0, 1)], 2)
    flipped = [edge_set(flip_directions(graph, seed=s).graph) == {(1, 0)} for s in range(200)]
    assert 70 < sum(flipped) < 130


def test_a_pair_is_flipped_as_one():
    graph, weights = graph_of([(0, 1), (1, 0)], 2), torch.tensor([1.0, 2.0])
    seen = {tuple(flip_directions(graph, weights, seed=s).weights.tolist()) for s in range(20)}
    assert seen == {(1.0, 2.0), (2.0, 1.0)}
    assert flip_directions(graph, seed=1).graph.same_topology(graph)


def check_flips(seed: int) -> None:
    graph = random_graph(seed)
    weights = random_weights(graph)
    drawn = flip_directions(graph, weights, seed=seed)
    assert unordered(drawn.graph, drawn.weights) == unordered(graph, weights)
    assert self_edge_set(drawn.graph) == self_edge_set(graph)
    degrees = [g.in_degree + g.out_degree for g in (graph, drawn.graph)]
    assert torch.equal(*degrees)


def test_flips_keep_what_is_joined():
    for seed in range(30):
        check_flips(seed)


@pytest.mark.slow
def test_flips_of_1000_graphs_keep_what_is_joined():
    for seed in range(1000):
        check_flips(seed)


def test_lengths_are_flipped_with_their_edges():
    geometry = grid.sheet(4, 5)
    graph = random_graph(5, columns=20).remeasure(geometry)
    drawn = flip_directions(graph, seed=2).graph
    assert not drawn.same_topology(graph)
    assert torch.equal(drawn.distance, drawn.remeasure(geometry).distance)
    assert flip_directions(graph.named("a"), seed=2).graph.name == "a"


def test_permuted_positions_by_hand():
    """Three columns in a row with one edge: it is 1 long in two of three orders, else 2."""
    graph, geometry = graph_of([(0, 1)], 3), grid.sheet(1, 3)
    lengths = [permute_positions(graph, geometry=geometry, seed=s).graph for s in range(300)]
    assert all(drawn.same_topology(graph) for drawn in lengths)
    long = sum(drawn.distance.item() == 2 for drawn in lengths)
    assert 70 < long < 130
    assert sum(drawn.distance.item() == 1 for drawn in lengths) == 300 - long


def test_every_pair_keeps_its_place_among_the_distances():
    geometry = grid.sheet(4, 5)
    graph = random_graph(4, columns=20)
    complete = graph_of(np.argwhere(~np.eye(20, dtype=bool)), 20).remeasure(geometry)
    moved = permute_positions(complete, geometry=geometry, seed=1).graph
    assert torch.equal(moved.distance.sort().values, complete.distance.sort().values)
    weights = random_weights(graph)
    assert permute_positions(graph, weights, geometry).weights is weights


def check_positions(seed: int) -> None:
    graph = random_graph(seed)
    weights = random_weights(graph)
    places = torch.rand(graph.num_columns, 2, generator=torch.Generator().manual_seed(seed))
    drawn = permute_positions(graph, weights, Geometry(places), seed)
    assert drawn.graph.same_topology(graph)
    assert drawn.weights is weights
    assert drawn.origin.tolist() == list(range(graph.num_edges))
    # Lengths are those of the same positions in another order.
    order = numpy_generator(seed).permutation(graph.num_columns)
    ends = places[torch.from_numpy(order)][graph.edge_index]
    lengths = torch.linalg.vector_norm(ends[0] - ends[1], dim=1)
    assert torch.allclose(drawn.graph.distance.double(), lengths.double(), atol=1e-6)


@pytest.mark.parametrize("count", [pytest.param(30), pytest.param(1000, marks=pytest.mark.slow)])
def test_permuted_positions_keep_edges_and_weights(count):
    for seed in range(count):
        check_positions(seed)


def test_positions_are_needed():
    message = "permute_positions needs the positions of the columns. Got None; pass geometry=."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        permute_positions(graph_of([(0, 1)], 2))
    with pytest.raises(ValueError, match="3"):
        permute_positions(graph_of([(0, 1)], 2), geometry=grid.sheet(1, 3))
