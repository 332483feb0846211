"""What plasticity does on a GPU is what it does on a CPU."""

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.nn import EdgeBias
from graphcolumns.plasticity import (
    Constraints,
    Distance,
    EdgeAdamW,
    Mixture,
    TwoHop,
    Uniform,
    carry,
    draw_candidates,
    gumbel_scores,
    rewire,
    select,
)


def updated(device: str, state: str):
    """Three updates by random scores, with a step of the optimizer before each."""
    geometry = grid.sheet(12, 12)
    graph = connect.nearest(geometry, 5).to(device)
    bias = EdgeBias(graph, 2, sigma=1.0, per_head=True).to(device)
    optimizer = EdgeAdamW([{"params": bias.parameters(), "edges": True}])
    proposal = Mixture([Uniform(), TwoHop(), Distance(geometry, 2.0)], [1, 1, 1])
    rules = Constraints(min_in=1, max_new=3)
    for update in range(3):
        for parameter in bias.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        found = draw_candidates(graph, proposal, 300, update=update, constraints=rules)
        edges = graph.target, graph.source
        drop = gumbel_scores(
            torch.zeros(graph.num_edges, device=device), graph, edges, 0, update, "drop"
        )
        grow = gumbel_scores(
            torch.zeros(len(found[0]), device=device), graph, found, 0, update, "grow"
        )
        choice = select(graph, drop.to(device), found, grow, fraction=0.2, constraints=rules)
        rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), geometry)
        carry(rewiring, bias, optimizer, state=state)
        graph = rewiring.graph
    steps = optimizer.state[bias.common]["step"]
    assert {x.device.type for x in (graph.source, bias.common, steps)} == {device}
    return graph.to("cpu"), bias().detach().cpu(), steps.cpu()


@pytest.mark.parametrize("state", ["cold", "median"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_same_graph_on_any_device(device, state):
    """Random, distance and topology choose the same edges; values agree to rounding."""
    expected, here = updated("cpu", state), updated(device, state)
    assert here[0].same_topology(expected[0])
    torch.testing.assert_close(here[0].distance, expected[0].distance)
    torch.testing.assert_close(here[1], expected[1])
    assert torch.equal(here[2], expected[2])
