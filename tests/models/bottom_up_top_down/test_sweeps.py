"""Several sweeps: the streams gate each other before the prediction is read."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.nn.recording import recording
from graphcolumns.nn.top_down import gates_of
from tests.plasticity.support.two_streams import samples, two_streams

TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
EXACT = {"rtol": 1e-12, "atol": 1e-14}
STEPS = ("step0", "step1", "step2")


def model_of(sweeps, feedback="tied", seed=3):
    return two_streams(feedback, seed=seed, sweeps=sweeps).double()


def by_hand(model, inputs):
    """Both streams in turn; gates of each sample alone."""
    gates, every = model.gates(inputs), []
    for _ in range(model.sweeps):
        neurons = model.network.bottom_up({"input": inputs["image"].T[..., None]}, gates)
        every.append((gates, neurons))
        one_hot = F.one_hot(inputs["instruction"], 2).double().T[..., None]
        counters = model.network.top_down({"task": one_hot}, neurons, rectified=True)
        gates = gates_of(model.network, counters)
    return every


@pytest.mark.parametrize("sweeps", [1, 2, 3])
def test_prediction_is_that_of_the_last_sweep(sweeps):
    model, (inputs, _) = model_of(sweeps), samples()
    *_, (gates, neurons) = by_hand(model, inputs)
    found = model.neurons(inputs)
    for name in STEPS:
        # Values that lie otherwise in memory are summed in another order on some processors.
        torch.testing.assert_close(found[name], neurons[name], **EXACT)
        assert not found[name][gates[name] == 0].any()
    prediction = neurons["prediction"][..., 0].T
    torch.testing.assert_close(model(inputs).prediction, prediction, **EXACT)


def test_sub_networks_of_sweeps_are_nested():
    model, (inputs, _) = model_of(4), samples(24)
    sweeps = by_hand(model, inputs)
    for (_, neurons), (gates, _) in pairwise(sweeps):
        for name in STEPS:
            assert bool((gates[name] <= (neurons[name] > 0)).all())
    opened = [sum(float(gates[name].sum()) for name in STEPS) for gates, _ in sweeps]
    assert opened[0] > opened[1] > 0


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("sweeps", [2, 3])
def test_with_tied_weights_they_learn_as_by_backpropagation(sweeps, parts):
    model, found = model_of(sweeps), []
    for rule in (backprop, partial(counter_hebb, parts=parts)):
        model.zero_grad()
        rule(model, samples(), TERMS, scaler=GradScaler(enabled=False))
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert any(gradient.any() for gradient in found[0].values())
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, **EXACT)
    model.sweeps = 1
    model.zero_grad()
    counter_hebb(model, samples(), TERMS, scaler=GradScaler(enabled=False))
    name = max(found[1], key=lambda name: float(found[1][name].abs().sum()))
    assert not torch.allclose(dict(model.named_parameters())[name].grad, found[1][name])


def test_a_sample_is_answered_alike_in_any_batch():
    model, (inputs, _) = model_of(3, "independent"), samples(7)
    whole = model(inputs).prediction
    assert torch.equal(whole, model(inputs).prediction)
    for number in range(7):
        alone = {name: x[number : number + 1] for name, x in inputs.items()}
        torch.testing.assert_close(model(alone).prediction[0], whole[number], **EXACT)


def test_without_a_task_there_is_one_pass():
    model, (inputs, _) = model_of(3), samples()
    model.task = None
    with recording(model, model.graphs["sheet"]) as records:
        model(inputs)
    assert len(records) == 2
