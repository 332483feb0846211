"""Under which conditions the errors are those of backpropagation, and when they are not."""

import pytest
import torch

from graphcolumns.nn.dynamics import (
    Anderson,
    Dense,
    Euler,
    FixedPrediction,
    Layer,
    PredictiveCoding,
    discriminative,
    local_energy,
    solve,
    tanh,
    z_il,
)

DEPTH = 4


def network(precision=1.0, form="state", depth=DEPTH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [5, *[7] * (depth - 1), 3]
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    weights = [
        (torch.randn(n, m, dtype=torch.float64, generator=generator) / m**0.5).requires_grad_()
        for n, m in pairs
    ]
    x = torch.randn(6, 5, dtype=torch.float64, generator=generator)
    y = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    circuit = discriminative(weights, activation=tanh, output_precision=precision, form=form)
    return circuit, weights, {"layer0": x, f"layer{depth}": y}


def backpropagated(weights, inputs):
    x, y = inputs.values()
    for weight in weights[:-1]:
        x = torch.tanh(x @ weight.T)
    return torch.autograd.grad((y - x @ weights[-1].T).square().sum() / 2, weights)


def local(circuit, weights, values, errors, drive):
    return torch.autograd.grad(local_energy(circuit, values, errors, drive), weights)


def relative(got, wanted):
    flat, exact = (torch.cat([g.flatten() for g in grads]) for grads in (got, wanted))
    return float((flat - exact).norm() / exact.norm())


def test_fixed_predictions_are_backpropagation():
    circuit, weights, inputs = network()
    fixed = FixedPrediction(circuit)
    with torch.no_grad():
        found = solve(fixed, inputs, method=Euler(1.0), tolerance=1e-14, max_steps=20)
    errors = fixed.errors(found.state, found.drive)
    drive = circuit.drive(inputs)
    values = circuit.values(circuit.initial(drive), drive)
    got = local(circuit, weights, values, errors, drive)
    assert relative(got, backpropagated(weights, inputs)) < 1e-12


def test_fixed_predictions_need_as_many_steps_of_one_as_there_are_layers():
    circuit, _, inputs = network()
    fixed = FixedPrediction(circuit)
    with torch.no_grad():
        found = solve(
            fixed, inputs, method=Euler(1.0), max_steps=DEPTH - 1, every=1, tolerance=1e-14
        )
    assert found.converged.all()
    assert (found.iterations == DEPTH - 1).all()


def test_timing_of_z_il_is_exact():
    circuit, weights, inputs = network()
    drive = circuit.drive(inputs)
    values, errors = z_il(circuit, drive)
    got = local(circuit, weights, values, errors, drive)
    assert relative(got, backpropagated(weights, inputs)) < 1e-14


def test_strict_inference_differs_in_proportion_to_the_precision_of_the_output():
    differences = []
    for precision in (1e-1, 1e-2, 1e-3, 1e-4):
        circuit, weights, inputs = network(precision, "error")
        with torch.no_grad():
            found = solve(circuit, inputs, method=Anderson(0.2), tolerance=1e-13)
        assert found.converged.all()
        values = circuit.values(found.state, found.drive)
        errors = circuit.errors(values, found.drive)
        got = local(circuit, weights, values, errors, found.drive)
        got = [g / precision for g in got]
        differences.append(relative(got, backpropagated(weights, inputs)))
    slopes = torch.tensor(differences).log10().diff()
    torch.testing.assert_close(slopes[1:], torch.full((2,), -1.0), atol=0.02, rtol=0)
    assert differences[-1] < 1e-3


def test_strict_inference_at_full_precision_is_not_backpropagation():
    circuit, weights, inputs = network()
    with torch.no_grad():
        found = solve(circuit, inputs, method=Anderson(0.2), tolerance=1e-12)
    values = circuit.values(found.state, found.drive)
    got = local(circuit, weights, values, circuit.errors(values, found.drive), found.drive)
    assert relative(got, backpropagated(weights, inputs)) > 0.1


def test_fixed_predictions_on_a_graph_with_paths_of_different_lengths():
    generator = torch.Generator().manual_seed(1)
    weights = [
        torch.randn(3, 3, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(4)
    ]
    links = [("x", "a"), ("a", "b"), ("b", "y"), ("a", "y")]
    connections = [Dense(*link, tanh, weight=w) for link, w in zip(links, weights, strict=True)]
    circuit = PredictiveCoding({name: Layer(3) for name in "xaby"}, connections, ("x", "y"))
    x, y = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator)
    a = torch.tanh(x @ weights[0].T)
    b = torch.tanh(a @ weights[1].T)
    out = torch.tanh(b @ weights[2].T) + torch.tanh(a @ weights[3].T)
    exact = torch.autograd.grad((y - out).square().sum() / 2, weights)
    fixed, inputs = FixedPrediction(circuit), {"x": x, "y": y}
    with torch.no_grad():
        found = solve(fixed, inputs, method=Euler(1.0), tolerance=1e-14, max_steps=20)
    drive = circuit.drive(inputs)
    values = circuit.values(circuit.initial(drive), drive)
    got = local(circuit, weights, values, fixed.errors(found.state, found.drive), drive)
    assert relative(got, exact) < 1e-12
    with pytest.raises(ValueError, match="as far from clamped layers on all paths"):
        z_il(circuit, drive)


@pytest.mark.parametrize("precision", [0.5, torch.tensor([1.0, 2.0, 1.0])])
def test_z_il_refuses_precisions_other_than_one(precision):
    weights = [torch.eye(3), torch.eye(3)]
    circuit = discriminative(weights)
    for value in (precision, torch.ones(3)):
        layers = dict(circuit.layers) | {"layer1": Layer(3, precision=value)}
        other = PredictiveCoding(layers, circuit.connections, circuit.clamped)
        drive = other.drive({"layer0": torch.ones(2, 3), "layer2": torch.zeros(2, 3)})
        if value is precision:
            with pytest.raises(ValueError, match=r"of precision 1.*'layer1'"):
                z_il(other, drive)
        else:
            assert set(z_il(other, drive)[1]) == {"layer1", "layer2"}
