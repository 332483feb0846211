"""The flow is the negative gradient of the energy, in both forms and on any graph."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import (
    Convolution,
    Dense,
    Edges,
    Layer,
    PredictiveCoding,
    Skip,
    discriminative,
    generative,
    relu,
    tanh,
)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator) / 2


def chain(form):
    matrices = [normal(5, 4), normal(6, 5), normal(3, 6)]
    circuit = discriminative(matrices, activation=tanh, output_precision=0.3, form=form)
    return circuit, {"layer0": normal(2, 4), "layer3": normal(2, 3)}


def residual(form):
    matrices = [normal(5, 4), normal(5, 5), normal(5, 5, seed=1), normal(3, 5)]
    circuit = discriminative(
        matrices, activation=tanh, residual=True, scales=[0.5, 0.7, 0.7, 0.2], form=form
    )
    return circuit, {"layer0": normal(2, 4), "layer4": normal(2, 3)}


def classes(form, precision=0.7):
    layers = {
        "x": Layer(4),
        "h": Layer(5, precision=torch.linspace(0.5, 2, 5)),
        "y": Layer(3, precision=precision, loss="cross_entropy"),
    }
    links = [
        Dense("x", "h", tanh, weight=normal(5, 4), bias=normal(5)),
        Dense("h", "y", weight=normal(3, 5), bias=normal(3)),
    ]
    labels = torch.eye(3, dtype=torch.float64)[:2]
    return PredictiveCoding(layers, links, ("x", "y"), form), {"x": normal(2, 4), "y": labels}


def classes_of_unequal_precision(form):
    return classes(form, precision=torch.tensor([1.0, 2.0, 4.0]))


def convolutional(form):
    layers = {
        "image": Layer((2, 7, 6)),
        "maps": Layer((3, 3, 3)),
        "more": Layer((2, 3, 3)),
        "label": Layer(4),
    }
    links = [
        Convolution("image", "maps", tanh, weight=normal(3, 2, 3, 2), stride=2),
        Convolution("maps", "more", tanh, weight=normal(2, 3, 3, 3), bias=normal(2), padding=1),
        Dense("more", "label", tanh, True, 0.5, weight=normal(4, 18)),
    ]
    inputs = {"image": normal(2, 2, 7, 6), "label": normal(2, 4)}
    return PredictiveCoding(layers, links, ("image", "label"), form), inputs


def transposed(form):
    layers = {"image": Layer((1, 6, 7)), "codes": Layer((3, 2, 3)), "top": Layer(4)}
    links = [
        Convolution(
            "codes",
            "image",
            tanh,
            weight=normal(3, 1, 3, 3),
            stride=2,
            size=(6, 7),
            transposed=True,
        ),
        Dense("top", "codes", weight=normal(18, 4), shape=(3, 2, 3)),
    ]
    return PredictiveCoding(layers, links, ("image",), form), {"image": normal(2, 1, 6, 7)}


def some_edges(targets, sources, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.rand(targets, sources, generator=generator) < 0.4
    pairs[0, 0] = True
    index = pairs.nonzero().T.flip(0)
    return ColumnGraph.from_edge_index(index, targets, sources)


def along_edges(form):
    first, second = some_edges(6, 5), some_edges(4, 6)
    layers = {"x": Layer((5, 2)), "h": Layer((6, 2)), "y": Layer((4, 2))}
    links = [
        Edges("x", "h", tanh, graph=first, weight=normal(first.num_edges), bias=normal(6)),
        Edges("h", "y", tanh, True, graph=second, weight=normal(second.num_edges)),
    ]
    inputs = {"x": normal(5, 3, 2), "y": normal(4, 3, 2)}
    return PredictiveCoding(layers, links, ("x", "y"), form), inputs


def diamond(form):
    """Two paths from x to y, of different lengths, and an unpredicted cause."""
    layers = {name: Layer(3) for name in "xabyc"}
    links = [
        Dense("x", "a", tanh, weight=normal(3, 3)),
        Dense("a", "b", tanh, weight=normal(3, 3, seed=1)),
        Dense("a", "y", tanh, weight=normal(3, 3, seed=2)),
        Dense("b", "y", tanh, weight=normal(3, 3, seed=3)),
        Dense("c", "b", tanh, weight=normal(3, 3, seed=4)),
        Skip("x", "y", scale=0.5),
    ]
    return PredictiveCoding(layers, links, ("x", "y"), form), {"x": normal(2, 3), "y": normal(2, 3)}


def cyclic(form):
    """Columns that predict each other along a graph with cycles, and two layers in a circle."""
    graph = some_edges(5, 5)
    complete = ColumnGraph.from_edge_index(torch.ones(5, 5).nonzero().T, 5)
    layers = {"x": Layer((5, 1)), "a": Layer((5, 1)), "b": Layer((5, 1))}
    links = [
        Skip("x", "a"),
        Edges("a", "a", tanh, graph=graph, weight=normal(graph.num_edges)),
        Edges("a", "b", tanh, graph=complete, weight=normal(25)),
        Edges("b", "a", tanh, graph=complete, weight=normal(25, seed=1)),
    ]
    return PredictiveCoding(layers, links, ("x",), form), {"x": normal(5, 2, 1)}


BOTH = [
    chain,
    residual,
    classes,
    classes_of_unequal_precision,
    convolutional,
    transposed,
    along_edges,
    diamond,
]
CASES = [(case, form) for case in BOTH for form in ("state", "error")] + [(cyclic, "state")]


@pytest.mark.parametrize(("case", "form"), CASES)
def test_flow_is_the_negative_gradient_of_the_energy(case, form):
    circuit, inputs = case(form)
    drive = circuit.drive(inputs)
    start = circuit.initial(drive)
    generator = torch.Generator().manual_seed(3)
    state = tuple(
        (u + torch.randn(u.shape, dtype=u.dtype, generator=generator)).requires_grad_()
        for u in start
    )
    energy = circuit.energy(state, drive)
    assert energy.shape == (inputs[circuit.clamped[0]].shape[circuit.batch_dim],)
    gradients = torch.autograd.grad(energy.sum(), state)
    for got, wanted in zip(circuit.flow(state, drive), gradients, strict=True):
        torch.testing.assert_close(got, -wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", BOTH)
def test_error_form_rebuilds_the_states_that_it_was_given(case):
    state_form, inputs = case("state")
    error_form, _ = case("error")
    drive = state_form.drive(inputs)
    values = {
        name: value + 0.1
        for name, value in state_form.values(state_form.initial(drive), drive).items()
    }
    values |= dict(zip(state_form.clamped, drive.samples, strict=True))
    rebuilt = error_form.values(error_form.state_of(values, drive), drive)
    for name in values:
        torch.testing.assert_close(rebuilt[name], values[name])
    torch.testing.assert_close(
        error_form.energy(error_form.state_of(values, drive), drive),
        state_form.energy(state_form.state_of(values, drive), drive),
    )


def test_flow_with_shrinkage_is_steepest_descent():
    circuit = generative([normal(6, 8), normal(8, 3)], shrinkage=[0.2, 0.1])
    drive = circuit.drive(normal(2, 6))
    state = (normal(2, 8).requires_grad_(), normal(2, 3).requires_grad_())
    gradients = torch.autograd.grad(circuit.energy(state, drive).sum(), state)
    for got, wanted in zip(circuit.flow(state, drive), gradients, strict=True):
        torch.testing.assert_close(got, -wanted)
    # At zero a force below the shrinkage moves nothing.
    zero = tuple(torch.zeros_like(u) for u in state)
    force = drive.samples[0] @ circuit.connections[0].weight
    rate = circuit.flow(zero, drive)[0]
    expected = torch.nn.functional.softshrink(force, 0.2)
    torch.testing.assert_close(rate, expected)


def test_edges_are_dense_weights_with_zeros():
    graph = some_edges(4, 5)
    weight = normal(graph.num_edges)
    matrix = torch.zeros(4, 5, dtype=torch.float64)
    matrix[graph.target.long(), graph.source.long()] = weight
    sparse = Edges("x", "y", relu, graph=graph, weight=weight)
    full = Dense("x", "y", relu, weight=matrix)
    x, delta = normal(5, 3, 1), normal(4, 3, 1)
    got = sparse.predict(x, sparse.tensors)
    torch.testing.assert_close(got[..., 0].T, full.predict(x[..., 0].T, full.tensors))
    back = sparse.pullback(x, delta, sparse.tensors)
    wanted = full.pullback(x[..., 0].T, delta[..., 0].T, full.tensors)
    torch.testing.assert_close(back[..., 0].T, wanted)


def test_samples_do_not_meet():
    circuit, inputs = along_edges("state")
    drive = circuit.drive(inputs)
    state = circuit.initial(drive)
    one = {name: value[:, 1:2] for name, value in inputs.items()}
    alone = circuit.flow(circuit.initial(circuit.drive(one)), circuit.drive(one))
    for part, single in zip(circuit.flow(state, drive), alone, strict=True):
        torch.testing.assert_close(part[:, 1:2], single)
