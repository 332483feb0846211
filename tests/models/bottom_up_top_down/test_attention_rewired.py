"""Attention with frozen coefficients on a graph that changes."""

import pytest
import torch
from torch.nn import functional as F

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Population,
    Projection,
    TopDownAttention,
    TopDownEdges,
    TopDownNetwork,
    TopDownUntied,
)
from graphcolumns.plasticity import Plasticity, presets
from tests.models.bottom_up_top_down.support.gradients import both, relative_error
from tests.models.bottom_up_top_down.support.random_networks import complete

GEOMETRY = grid.sheet(4, 4)


def sheet(coefficients="fixed"):
    hidden = Population((16, 4), columns=True)
    attention = TopDownAttention(connect.nearest(GEOMETRY, degree=4), 4, 4, 2, coefficients)
    network = TopDownNetwork(
        {
            "input": Population((16, 2), "identity", columns=True),
            "below": hidden,
            "above": hidden,
            "prediction": Population((3, 4), "identity", columns=True),
        },
        [
            Projection("input", "below", TopDownUntied(16, 2, 4)),
            Projection("below", "above", attention),
            Projection("above", "prediction", TopDownEdges(complete(3, 16))),
        ],
    )
    return BottomUpTopDown(network, task=None)


def losses(output, labels):
    return F.cross_entropy(output.prediction, labels, reduction="none")


@pytest.mark.parametrize("coefficients", ["fixed", "values", "queries"])
def test_edges_of_attention_are_scored_and_rewired(coefficients):
    model = sheet(coefficients)
    before = model.graphs["above"]
    inputs, labels = torch.randn(24, 16, 2), torch.randint(12, (24,))
    rule = presets.rigl(steps=100, every=10, samples=16, check_samples=8)
    update = Plasticity(rule, GEOMETRY, graph="above")
    born = update.update(model, None, 10, inputs, labels, losses).rewiring.born
    after = model.graphs["above"]
    assert len(born) > 0
    assert after.num_edges == before.num_edges
    assert not after.same_graph(before)
    fresh = sheet(coefficients)
    fresh.load_state_dict(model.state_dict())
    assert fresh.graphs["above"].same_graph(after)
    torch.testing.assert_close(fresh(inputs).prediction, model(inputs).prediction)
    expected, found = both(model.double(), (inputs.double(), labels))
    assert relative_error(expected, found) < 1e-12


def test_queries_and_keys_do_not_learn():
    model = sheet()
    attention = model.network.layers[1]
    names = {name for name, _ in attention.named_parameters()}
    assert names == {"weight", "bias"}
    assert {"query", "key"} <= attention.state_dict().keys()


def test_the_second_sweep_attends_as_the_bottom_up_pass_before_it():
    model = sheet().double()
    attention, network = model.network.layers[1], model.network
    neurons = model.neurons(torch.randn(5, 16, 2, dtype=torch.float64))
    top = torch.randn(16, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        found = network.top_down({"above": top}, neurons, rectified=True)["below"]
        before = network.top_down({"above": top}, rectified=True)["below"]
    x = neurons["below"].requires_grad_()
    (expected,) = torch.autograd.grad(attention(x), x, top)
    torch.testing.assert_close(found, expected.relu() * (x > 0))
    uniform = attention.top_down(top, x.shape).relu()
    torch.testing.assert_close(before, uniform)
    assert not torch.allclose(before * (x > 0), found)
