"""The connectome of trained weights: planted communities, wire, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.connectome import small_world, strongest_pairs
from graphcolumns.models.recurrent_network import RecurrentNetwork
from graphcolumns.studies import weighted_network
from graphcolumns.studies.weighted_network import UNMATCHED, unmatched_sigma, weighted_ratio

SHEET = grid.sheet(6, 6)


def studied(weight, geometry=SHEET):
    graph = connect.complete(geometry)
    model = RecurrentNetwork(graph, inputs=1)
    with torch.no_grad():
        model.synapses.weight.copy_(weight(graph))
    return SimpleNamespace(folder=Path(), geometry=geometry, graph=graph, model=model)


def random_sizes(graph):
    return torch.randn(graph.num_edges, generator=torch.Generator().manual_seed(0))


def test_two_planted_communities_far_apart():
    def halves(graph):
        same = (graph.target < 18) == (graph.source < 18)
        return random_sizes(graph) * torch.where(same, 1.0, 0.1)

    found = weighted_network(studied(halves), density=0.3, nulls=4)
    assert found["modularity_excess"] > 0.1
    assert found["modularity_z"] > 5
    assert found["weighted_excess"] > 0.05
    assert found["wiring_ratio"] < 0.85
    assert found["wiring_z"] < -4


def test_random_weights_have_nothing_beyond_their_degrees():
    found = weighted_network(studied(random_sizes), nulls=4)
    assert abs(found["modularity_z"]) < 4
    assert abs(found["modularity_excess"]) < 0.06
    assert abs(found["length_excess"]) < 0.06
    assert abs(found["wiring_z"]) < 4
    assert found["sigma"] == pytest.approx(1, abs=0.5)
    assert found["weighted_ratio"] == pytest.approx(1, abs=0.05)


def test_short_weights_are_as_modular_as_their_lengths_say():
    found = weighted_network(studied(lambda graph: (-2 * graph.distance).exp()), nulls=4)
    assert found["modularity_excess"] > 0.05
    assert found["length_excess"] < 0.5 * found["modularity_excess"]
    assert found["wiring_ratio"] < 0.5


def test_ratio_of_all_weights_by_hand():
    line = grid.sheet(1, 3)  # distances 1, 1 and 2: 4/3 on average
    graph = connect.complete(line)
    short = (graph.distance == 1).float() + 7 * (graph.distance == 0)
    assert weighted_ratio(graph, short, 4 / 3) == pytest.approx(3 / 4)
    assert weighted_ratio(graph, torch.ones(9), 4 / 3) == pytest.approx(1)


def test_another_density_alone_makes_sigma_small():
    graph = connect.complete(SHEET)
    sparse, _ = strongest_pairs(graph, random_sizes(graph).abs(), 0.1)
    world = small_world(sparse)
    assert unmatched_sigma(world, 36) < 0.8 * world.sigma
    # Of a graph that has that density, it is sigma against random graphs.
    dense, _ = strongest_pairs(graph, random_sizes(graph).abs(), UNMATCHED)
    world = small_world(dense)
    (c, length), (c_r, length_r) = (world.clustering, world.path_length), world.random
    assert unmatched_sigma(world, 36) == pytest.approx(c / c_r * length_r / length, rel=0.2)


def test_a_model_without_weights_of_edges_is_refused():
    run = studied(random_sizes)
    run.model = torch.nn.Linear(2, 2)
    with pytest.raises(
        ValueError, match=r"one EdgeLinear with one head\. Got 0 such layers in Linear"
    ):
        weighted_network(run)
