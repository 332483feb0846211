"""Activations come with their derivatives, and go where circuits go."""

import copy
import pickle

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import (
    Activation,
    Convolution,
    Dense,
    Edges,
    Layer,
    PredictiveCoding,
    Skip,
    generative,
    identity,
    relu,
    tanh,
)


def network(activation):
    weight = torch.linspace(-1, 1, 6).view(2, 3)
    links = [Dense("x", "h", activation, weight=weight), Skip("h", "y", activation)]
    layers = {"x": Layer(3), "h": Layer(2), "y": Layer(2)}
    return PredictiveCoding(layers, links, ("x",))


@pytest.mark.parametrize("activation", [identity, tanh, relu], ids=["identity", "tanh", "relu"])
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"]
)
def test_circuits_can_be_pickled_and_copied(activation, again):
    circuit, inputs = network(activation), {"x": torch.tensor([[0.5, -1.0, 2.0]])}
    other = again(circuit)
    assert [c.activation for c in other.connections] == [activation, activation]
    ours, theirs = (c.output(c.initial(c.drive(inputs)), c.drive(inputs)) for c in (circuit, other))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("activation", [identity, tanh, relu], ids=["identity", "tanh", "relu"])
def test_derivatives(activation):
    z = torch.tensor([-2.0, -0.3, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation.function(z).sum(), z)
    torch.testing.assert_close(activation.derivative(z.detach()), slope)


@pytest.mark.parametrize("wrong", [torch.tanh, "tanh", None])
def test_a_function_without_its_derivative(wrong):
    graph = ColumnGraph.from_edge_index(torch.zeros(2, 1, dtype=torch.int64), 1)
    makers = [
        lambda f: Dense("a", "b", f, weight=torch.ones(1, 1)),
        lambda f: Skip("a", "b", f),
        lambda f: Edges("a", "b", f, graph=graph, weight=torch.ones(1)),
        lambda f: Convolution("a", "b", f, weight=torch.ones(1, 1, 1, 1)),
        lambda f: generative([torch.ones(2, 2)], activation=f),
    ]
    for make in makers:
        with pytest.raises(
            TypeError, match=r"Expected an Activation\. Got .*pass identity, tanh or"
        ):
            make(wrong)


def test_an_activation_of_your_own():
    link = Dense("x", "h", Activation(torch.sin, torch.cos), weight=torch.randn(2, 3))
    x, delta = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2)
    (back,) = torch.autograd.grad((link.predict(x, link.tensors) * delta).sum(), x)
    torch.testing.assert_close(link.pullback(x.detach(), delta, link.tensors), back)
