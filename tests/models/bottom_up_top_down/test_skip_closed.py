"""Guided passes that leave closed columns out: the same answers and gradients, by task."""

import copy
import pickle

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.recording import recording
from graphcolumns.nn.top_down import (
    FrozenNorm,
    Identity,
    Population,
    Projection,
    SubNetworkNeurons,
    TopDownEdges,
    TopDownNetwork,
)
from tests.models.bottom_up_top_down.test_three_passes import complete, ring

SCALER = GradScaler(enabled=False)
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


def sheet(feedback="tied", dtype=torch.float64, norm=False, **options):
    """Three steps of a recurrent layer with two channels, three tasks."""
    torch.manual_seed(0)
    again = TopDownEdges(ring(12), feedback=feedback)
    layers = [
        Projection("input", "one", TopDownEdges(complete(12, 6), feedback=feedback)),
        Projection("one", "two", again),
        Projection("two", "three", again),
        Projection("one", "three", FrozenNorm((12, 2), columns=True) if norm else Identity()),
        Projection("three", "prediction", TopDownEdges(complete(4, 12), feedback=feedback)),
        Projection("three", "task", TopDownEdges(complete(3, 12), bias=False)),
    ]
    hidden = {name: Population((12, 2), columns=True) for name in ("one", "two", "three")}
    ends = {
        name: Population((size, 2), "identity", columns=True)
        for name, size in (("input", 6), ("prediction", 4), ("task", 3))
    }
    network = TopDownNetwork({**hidden, **ends}, layers)
    return BottomUpTopDown(network, skip_closed=True, **options).to(dtype)


def whole(model):
    """The same model, which computes everything and multiplies with the gates."""
    found = copy.deepcopy(model)
    found.skip_closed = False
    return found


def batch(samples=8, dtype=torch.float64, tasks=3):
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(samples, 12, generator=generator, dtype=dtype)
    task = torch.randint(tasks, (samples,), generator=generator)
    instruction = torch.zeros(samples, 3, 2, dtype=dtype)
    # One channel of task 0, both of the others.
    instruction[torch.arange(samples), task] = 1
    instruction[:, 0, 1] = 0
    return {"image": image, "instruction": instruction.flatten(1)}, torch.arange(samples) % 8


def gradients(model, rule, given, **options):
    model.zero_grad()
    values = rule(model, given, TERMS, scaler=SCALER, **options)
    return values, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("samples", [1, 8])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str
)
def test_neurons_are_those_of_the_whole_network(samples, tasks, dtype, tolerance):
    model = sheet(dtype=dtype)
    inputs, _ = batch(samples, dtype, tasks)
    found, expected = model.neurons(inputs), whole(model).neurons(inputs)
    assert isinstance(found, SubNetworkNeurons)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == dtype
        torch.testing.assert_close(found[name], values, rtol=tolerance, atol=tolerance)
    gates = model.gates(inputs)
    for name, gate in gates.items():
        assert not found[name][gate == 0].any()
    assert 0 < sum(float(gate.mean()) for gate in gates.values()) < len(gates)
    torch.testing.assert_close(model(inputs).state, whole(model)(inputs).state)


@pytest.mark.parametrize("rule", [counter_hebb, backprop])
@pytest.mark.parametrize("feedback", ["tied", "independent", "sign"])
@pytest.mark.parametrize("parts", [1, 3])
def test_gradients_are_those_of_the_whole_network(rule, feedback, parts):
    model = sheet(feedback)
    losses, expected = gradients(whole(model), rule, batch(), parts=parts)
    found_losses, found = gradients(model, rule, batch(), parts=parts)
    torch.testing.assert_close(found_losses, losses)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("feedback", "top_down"),
    [("direct", "direct"), ("independent", "fixed"), ("copied", "mirrored")],
)
def test_rules_for_top_down_weights_get_the_same_gradients(feedback, top_down):
    model = sheet(feedback)
    _, expected = gradients(whole(model), counter_hebb, batch(), top_down=top_down)
    _, found = gradients(model, counter_hebb, batch(), top_down=top_down)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-13)


def test_training_goes_the_same_way():
    models = [sheet(), whole(sheet())]
    for model in models:
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        for step in range(5):
            gradients(model, (counter_hebb, backprop)[step % 2], batch())
            optimizer.step()
    for found, expected in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_a_sub_network_is_made_once_and_again_when_gates_change():
    model, (inputs, _) = sheet(), batch()
    first = model.neurons(inputs).tasks
    for before, after in zip(first, model.neurons(inputs).tasks, strict=True):
        assert before.sub_network is after.sub_network
    with torch.no_grad():
        model.network.layers[-1].weight.neg_()
    for before, after in zip(first, model.neurons(inputs).tasks, strict=True):
        assert before.sub_network is not after.sub_network
    found, expected = model(inputs), whole(model)(inputs)
    torch.testing.assert_close(found.prediction, expected.prediction, rtol=1e-12, atol=1e-12)


def test_a_rewired_graph_gives_another_sub_network():
    model, (inputs, _) = sheet(), batch()
    model(inputs)
    at = torch.arange(12)
    edges = torch.stack([torch.cat([at, (at + 2) % 12, (at + 4) % 12]), at.repeat(3)])
    layer = model.network.layers[1]
    layer.rewired(ColumnGraph.from_edge_index(edges, 12).named(layer.graph.name))
    found, expected = model(inputs), whole(model)(inputs)
    torch.testing.assert_close(found.prediction, expected.prediction, rtol=1e-12, atol=1e-12)


def test_copies_and_files_start_without_sub_networks():
    model, (inputs, _) = sheet(), batch()
    expected = model(inputs).prediction
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not other._sub_networks._kept
        assert torch.equal(other(inputs).prediction, expected)
    part = model.neurons(inputs).tasks[0].sub_network
    assert copy.deepcopy(model).neurons(inputs).tasks[0].sub_network is not part


def test_the_tasks_seen_last_are_kept():
    model, (inputs, _) = sheet(), batch()
    model._sub_networks.most = 2
    model(inputs)
    assert len(model._sub_networks._kept) == 2


def test_what_is_observed_sees_all_columns():
    model, (inputs, _) = sheet(), batch()
    seen = []
    with model.network.layers[1].register_forward_hook(lambda *args: seen.append(args[2].shape)):
        model(inputs)
    assert seen == [(12, 8, 2)] * 2
    with recording(model) as records:
        model(inputs)
    assert {record.out.shape for record in records} >= {(12, 8, 2)}
    assert isinstance(model.neurons(inputs), SubNetworkNeurons)


def test_statistics_of_a_batch_are_not_divided_by_task():
    model = sheet(norm=True)
    other = whole(model)
    for given in (batch()[0], batch(tasks=1)[0]):
        found, expected = model(given), other(given)
        torch.testing.assert_close(found.prediction, expected.prediction, rtol=1e-12, atol=1e-12)
    for name, buffer in other.named_buffers():
        torch.testing.assert_close(model.get_buffer(name), buffer)


def test_several_sweeps_are_whole():
    model, (inputs, _) = sheet(sweeps=2), batch()
    expected = whole(model)(inputs).prediction
    assert torch.equal(model(inputs).prediction, expected)


def test_a_batch_without_samples():
    model = sheet()
    inputs, _ = batch()
    none = {name: values[:0] for name, values in inputs.items()}
    assert model(none).prediction.shape == whole(model)(none).prediction.shape


def test_an_unknown_option_is_named():
    with pytest.raises(ValueError, match=r"skip_closed must be True, False or 'auto'. Got 'yes'"):
        BottomUpTopDown(sheet().network, skip_closed="yes")
    model = sheet()
    model.skip_closed = "yes"
    with pytest.raises(ValueError, match=r"skip_closed must be True, False or 'auto'. Got 'yes'"):
        model(batch()[0])


def test_small_networks_are_computed_whole_by_default():
    model = sheet()
    model.skip_closed = "auto"
    assert isinstance(model.neurons(batch()[0]), dict)


@pytest.mark.parametrize("rule", [counter_hebb, backprop])
def test_what_was_seen_in_inference_mode_is_learned_afterwards(rule):
    model, (inputs, labels) = sheet(), batch()
    _, expected = gradients(sheet(), rule, (inputs, labels))
    with torch.inference_mode():
        model(inputs)
    _, found = gradients(model, rule, (inputs, labels))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())


def test_another_dtype_gives_other_sub_networks():
    model, (inputs, _) = sheet(dtype=torch.float32), batch(dtype=torch.float32)
    model(inputs)
    for dtype in (torch.float64, torch.bfloat16):
        model.to(dtype)
        given = {name: values.to(dtype) for name, values in inputs.items()}
        assert model(given).prediction.dtype == dtype


@pytest.mark.parametrize("skip_closed", [True, False])
@pytest.mark.parametrize("number", [1, 7])
def test_every_image_has_an_instruction(skip_closed, number):
    model, (inputs, _) = sheet(), batch()
    model.skip_closed = skip_closed
    given = inputs | {"instruction": inputs["instruction"][:number]}
    with pytest.raises(ValueError, match=rf"Expected 8 instructions\. Got {number}"):
        model(given)


@pytest.mark.parametrize("skip_closed", [True, False])
@pytest.mark.parametrize("where", ["weight", "instruction"])
def test_what_is_no_number_is_not_hidden_by_gates(skip_closed, where):
    model, (inputs, _) = sheet(), batch()
    model.skip_closed = skip_closed
    if where == "weight":
        model.network.layers[1].weight.data[0] = torch.nan
    else:
        inputs["instruction"][2] = torch.nan
    prediction = model(inputs).prediction
    assert prediction[2].isnan().any()
    assert where == "weight" or prediction[[0, 1, 3]].isfinite().all()
