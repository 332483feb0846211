"""The learning rule against backpropagation, finite energies and its own limits."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn.functional import cross_entropy

from graphcolumns.learning import backprop, predictive_coding
from graphcolumns.models.neurodynamics import (
    PredictiveCodingModel,
    generative_predictive_coding,
    layered_predictive_coding,
)

SCALER = GradScaler("cpu", enabled=False)
TERMS = {"task": (1.0, lambda model, output, y: cross_entropy(output.prediction, y))}

VALUES = {"task": (1.0, lambda model, output, y: output.prediction.square().mean())}


def build(depth=3, **options):
    torch.manual_seed(0)
    return layered_predictive_coding([6, *[8] * (depth - 1), 4], **options).double()


def batch(count=5):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, 2, 3, dtype=torch.float64, generator=generator)
    return inputs, torch.randint(4, (count,), generator=generator)


def gradients(learn, model, data=None, **options):
    model.zero_grad()
    values = learn(model, batch() if data is None else data, TERMS, scaler=SCALER, **options)
    return values, {name: p.grad.clone() for name, p in model.named_parameters()}


def relative(got, wanted):
    flat, exact = (torch.cat([g.flatten() for g in grads.values()]) for grads in (got, wanted))
    return float((flat - exact).norm() / exact.norm())


@pytest.mark.parametrize("inference", ["fixed_prediction", "z_il"])
@pytest.mark.parametrize("depth", [2, 3, 6])
def test_exact_kinds_are_backpropagation(inference, depth):
    model = build(depth)
    values, wanted = gradients(backprop, model)
    own, got = gradients(predictive_coding, model, inference=inference)
    assert relative(got, wanted) < 1e-12
    torch.testing.assert_close(own, values)


def test_fixed_predictions_are_backpropagation_in_residual_networks():
    model = build(5, residual=True, mupc=True)
    _, wanted = gradients(backprop, model)
    _, got = gradients(predictive_coding, model, inference="fixed_prediction")
    assert relative(got, wanted) < 1e-12


@pytest.mark.parametrize("form", ["state", "error"])
def test_equilibrium_nears_backpropagation_with_the_precision_of_the_output(form):
    model = build()
    _, wanted = gradients(backprop, model)
    options = {"form": form, "steps": 400, "dt": 0.2}
    distances = [
        relative(gradients(predictive_coding, model, output_precision=p, **options)[1], wanted)
        for p in (1e-1, 1e-2, 1e-3)
    ]
    assert distances[0] / distances[1] == pytest.approx(10, rel=0.1)
    assert distances[1] / distances[2] == pytest.approx(10, rel=0.02)
    full = relative(gradients(predictive_coding, model, **options)[1], wanted)
    assert full > 0.05


def test_both_forms_learn_the_same():
    model = build()
    found = [
        gradients(predictive_coding, model, form=form, steps=2000, dt=0.2)[1]
        for form in ("state", "error")
    ]
    assert relative(*found) < 1e-8


def test_the_gradient_is_that_of_the_energy_at_equilibrium():
    model, (x, y) = build(), batch()
    _, got = gradients(predictive_coding, model, form="error", steps=2000, dt=0.2)

    def energy():
        from graphcolumns.nn.dynamics import Euler, solve

        circuit = model.circuit(form="error")
        label = torch.eye(4, dtype=x.dtype)[y].T[..., None]
        inputs = model.clamps(x) | {"label": label}
        with torch.no_grad():
            return solve(
                circuit, inputs, method=Euler(0.2), tolerance=1e-13, max_steps=5000
            ).energy.mean()

    weight, step = model.synapses["layer2"].weight, 1e-5
    with torch.no_grad():
        for edge in (0, 7):
            weight[edge] += step
            above = energy()
            weight[edge] -= 2 * step
            slope = (above - energy()) / (2 * step)
            weight[edge] += step
            torch.testing.assert_close(
                got["synapses.layer2.weight"][edge], slope, rtol=1e-5, atol=1e-9
            )


def test_parts_of_a_batch_add_up():
    model = build()
    whole, wanted = gradients(predictive_coding, model)
    values, got = gradients(predictive_coding, model, parts=2)
    assert relative(got, wanted) < 1e-12
    torch.testing.assert_close(values, whole)


def test_a_small_nudge_is_a_share_of_the_error():
    model = build()
    options = {"form": "error", "steps": 300, "dt": 0.2}
    one = gradients(predictive_coding, model, nudge=1.0, **options)[1]
    none = gradients(predictive_coding, model, **options)[1]
    assert relative(one, none) < 1e-6
    small = [gradients(predictive_coding, model, nudge=n, **options)[1] for n in (0.01, -0.01)]
    middle = gradients(predictive_coding, model, nudge=0.01, centered=True, **options)[1]
    mean = {name: (small[0][name] + small[1][name]) / 2 for name in middle}
    assert relative(middle, mean) < 1e-12
    # What is left of the curvature is of second order where nudges of both signs are averaged.
    limit = gradients(predictive_coding, model, nudge=1e-3, centered=True, **options)[1]
    assert relative(middle, limit) < 0.1 * relative(small[0], limit)


def test_incremental_learning_is_the_mean_over_steps():
    model = build()
    _, one = gradients(predictive_coding, model, steps=1)
    _, same = gradients(predictive_coding, model, steps=1, inference="incremental")
    assert relative(one, same) < 1e-12
    _, two = gradients(predictive_coding, model, steps=2)
    _, mean = gradients(predictive_coding, model, steps=2, inference="incremental")
    assert relative(mean, {n: (one[n] + two[n]) / 2 for n in one}) < 1e-12


def test_generative_weights_learn_to_predict_the_input():
    torch.manual_seed(0)
    model = generative_predictive_coding([6, 5, 4]).double()
    _, got = gradients(predictive_coding, model, steps=200)
    assert all(g.abs().sum() > 0 for g in got.values())
    x, y = batch()
    circuit = model.circuit(form="state")
    label = torch.eye(4, dtype=x.dtype)[y].T[..., None]
    from graphcolumns.nn.dynamics import Euler, solve

    found = solve(circuit, model.clamps(x) | {"label": label}, method=Euler(0.1), tolerance=1e-10)
    error = circuit.errors(circuit.values(found.state, found.drive), found.drive)["input"]
    hidden = circuit.values(found.state, found.drive)["layer1"]
    by_hand = -torch.einsum("nbc,mbc->nm", error, hidden).flatten() / 5
    torch.testing.assert_close(got["synapses.input.weight"], by_hand, rtol=1e-4, atol=1e-6)


WRONG = [
    ({"inference": "magic"}, "inference must be one of"),
    ({"steps": 0}, "steps must be"),
    ({"dt": 0.0}, "must be positive"),
    ({"output_precision": -1.0}, "must be positive"),
    ({"nudge": 0.0}, "nudge must not be 0"),
    ({"centered": True}, "centered needs a nudge"),
    ({"inference": "z_il", "nudge": 0.1}, "linear in the error of the output"),
    ({"amp": "bfloat16"}, "not run in half precision"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        gradients(predictive_coding, build(), **options)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(TypeError, match=r"circuit, clamps and label\. Got Linear"):
        predictive_coding(torch.nn.Linear(2, 2), batch(), TERMS, scaler=SCALER)
    terms = TERMS | {"wiring": (0.1, lambda *_: torch.zeros(()))}
    with pytest.raises(ValueError, match="Got 'wiring'"):
        predictive_coding(build(), batch(), terms, scaler=SCALER)
    x, y = batch()
    with pytest.raises(ValueError, match=r"one value per unit of 'label'\. Expected 4"):
        predictive_coding(build(loss="squared"), (x, torch.ones(5, 3)), VALUES, scaler=SCALER)
    with pytest.raises(ValueError, match="must be finite"):
        gradients(predictive_coding, build(), (x * float("nan"), y))
    generative = generative_predictive_coding([6, 5, 4]).double()
    with pytest.raises(ValueError, match="nudge needs a label that a feed-forward pass predicts"):
        gradients(predictive_coding, generative, nudge=0.5)


def test_a_first_guess_learns_from_the_mean_of_both_nudges():
    plain = build(activation="identity", loss="squared")
    torch.manual_seed(0)
    model = PredictiveCodingModel(
        plain.layers, plain.links, initialiser=("layer1", "layer2", "label")
    ).double()
    inputs, classes = batch()
    circuit = model.circuit(labelled=False)
    drive = circuit.drive(model.clamps(inputs))
    # In a linear network the nudges cancel: the mean is the feed-forward pass.
    free = circuit.values(circuit.initial(drive), drive)
    free = {name: value.detach() for name, value in free.items()}
    guess = list(model.initialiser.parameters())
    wanted = torch.autograd.grad(model.initialiser.energy(free) / len(classes), guess)
    values = torch.nn.functional.one_hot(classes, 4).double()
    terms = {"task": (1.0, lambda model, output, y: output.prediction.square().mean())}
    for nudge in (0.5, -0.5):
        model.zero_grad()
        predictive_coding(
            model, (inputs, values), terms, scaler=SCALER, nudge=nudge, centered=True, steps=7
        )
        for parameter, expected in zip(guess, wanted, strict=True):
            torch.testing.assert_close(parameter.grad, expected)
