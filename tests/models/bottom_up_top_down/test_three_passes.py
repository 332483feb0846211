"""The three passes of an instructed network on columns, against autograd."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Identity,
    Population,
    Projection,
    TopDownEdges,
    TopDownNetwork,
)

SCALER = GradScaler(enabled=False)
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


def complete(columns, sources):
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def ring(columns):
    at = torch.arange(columns)
    edges = torch.stack([torch.cat([at, (at + 1) % columns, (at + 5) % columns]), at.repeat(3)])
    return ColumnGraph.from_edge_index(edges, columns)


def sheet(feedback="tied"):
    """Three steps of one recurrent layer, and a way around the second and third."""
    torch.manual_seed(0)
    again = TopDownEdges(ring(12), feedback=feedback)
    layers = [
        Projection("input", "one", TopDownEdges(complete(12, 6), feedback=feedback)),
        Projection("one", "two", again),
        Projection("two", "three", again),
        Projection("one", "three", Identity()),
        Projection("three", "prediction", TopDownEdges(complete(4, 12), feedback=feedback)),
        Projection("three", "task", TopDownEdges(complete(2, 12), bias=False)),
    ]
    hidden = {name: Population((12, 1), columns=True) for name in ("one", "two", "three")}
    ends = {
        name: Population((size, 1), "identity", columns=True)
        for name, size in (("input", 6), ("prediction", 4), ("task", 2))
    }
    return BottomUpTopDown(TopDownNetwork({**hidden, **ends}, layers)).double()


def batch(samples=7):
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(samples, 6, generator=generator, dtype=torch.float64)
    instruction = torch.arange(samples) % 2
    return {"image": image, "instruction": instruction}, torch.arange(samples) % 4


def gradients(model, rule, **options):
    model.zero_grad()
    values = rule(model, batch(), TERMS, scaler=SCALER, **options)
    return values, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("parts", [1, 3])
def test_tied_weights_learn_as_by_backpropagation(parts):
    model = sheet()
    losses, expected = gradients(model, backprop, parts=parts)
    found_losses, found = gradients(model, counter_hebb, parts=parts)
    torch.testing.assert_close(found_losses, losses)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-14)


def test_own_top_down_weights_get_the_same_gradients():
    model = sheet("independent")
    _, found = gradients(model, counter_hebb)
    for name in [name for name in found if name.endswith("top_down_weight")]:
        assert torch.equal(found[name], found[name.replace("top_down_weight", "weight")])
    _, expected = gradients(model, backprop)
    assert not torch.allclose(found["network.layers.0.weight"], expected["network.layers.0.weight"])
    _, fixed = gradients(model, counter_hebb, top_down="fixed")
    assert not [name for name in fixed if name.endswith("top_down_weight")]


def test_a_neuron_outside_of_the_sub_network_is_silent():
    model = sheet()
    inputs, _ = batch()
    gates, neurons = model.gates(inputs), model.neurons(inputs)
    assert 0 < float(gates["two"].mean()) < 1
    for name, gate in gates.items():
        assert not neurons[name][gate == 0].any()


def test_the_task_draws_sub_networks_and_learns_nothing():
    _, found = gradients(sheet(), counter_hebb)
    assert not any(name.startswith("network.layers.4") for name in found)


def test_an_unknown_task_is_named():
    inputs, _ = batch()
    with pytest.raises(ValueError, match=r"id of a task, 0 to 1. Got 0 to 5"):
        sheet()(inputs | {"instruction": torch.arange(7) % 6})
    with pytest.raises(KeyError, match="must hold 'instruction'"):
        sheet()(inputs["image"])


def test_a_cycle_is_shown():
    loop = TopDownEdges(ring(12))
    populations = {"a": Population((12, 1), columns=True), "b": Population((12, 1), columns=True)}
    with pytest.raises(ValueError, match=r"cycle .* unroll the recurrence"):
        TopDownNetwork(populations, [Projection("a", "b", loop), Projection("b", "a", loop)])


def test_an_instruction_pass_needs_no_image():
    model, (inputs, _) = sheet(), batch()
    alone = model.gates({"instruction": inputs["instruction"]})
    for name, gate in model.gates(inputs).items():
        assert alone[name].equal(gate)
        assert alone[name].dtype == torch.float64


def test_gates_are_in_the_order_of_the_populations():
    assert list(sheet().gates(batch()[0])) == ["one", "two", "three"]


def test_an_image_of_integers_is_named():
    inputs = {"image": torch.ones(2, 6, dtype=torch.uint8), "instruction": torch.arange(2)}
    with pytest.raises(
        TypeError, match=r"'image' must be a floating tensor. Got torch.uint8; call"
    ):
        sheet()(inputs)


def test_own_weights_that_are_needed_are_named_by_the_layers_that_have_weights():
    with pytest.raises(ValueError, match="Got feedback='tied'; build"):
        counter_hebb(sheet(), batch(), TERMS, scaler=SCALER, top_down="fixed")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"instruction": [0, 1]}, TypeError, "must be a tensor. Got list; call torch.tensor"),
        ({"instruction": torch.tensor(1)}, ValueError, r"must be ids \[B\]"),
        ({"image": [[1.0] * 6] * 2}, TypeError, "'image' must be a floating tensor. Got list"),
    ],
)
def test_inputs_that_are_no_batch_are_named(changed, error, message):
    inputs = {"image": torch.ones(2, 6).double(), "instruction": torch.arange(2)}
    with pytest.raises(error, match=message):
        sheet()({**inputs, **changed})
