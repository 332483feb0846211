"""Gradients of fixed points, against backpropagation through every step and finite differences."""

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.nn.dynamics import (
    Anderson,
    ClassicalHopfield,
    EnergyTransformer,
    Euler,
    FixedTimeProximal,
    GradientWarning,
    Implicit,
    Reversible,
    Truncated,
    Unrolled,
    hebbian_weights,
    solve,
)
from tests.nn.dynamics.circuits import Linear, Tanh, positive, tanh_weight

INPUTS = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def gradients(gradient, circuit=Tanh, weight=None, inputs=INPUTS, **options):
    """Of a non-linear function of the output: to the weights and to the inputs."""
    weight = (tanh_weight() if weight is None else weight).clone().requires_grad_()
    inputs = inputs.clone().requires_grad_()
    options = {"tolerance": 1e-12, "max_steps": 500, **options}
    output = solve(circuit(weight), inputs, gradient=gradient, **options).output
    (output.sin() * torch.arange(output.numel()).reshape_as(output)).sum().backward()
    return weight.grad, inputs.grad


def assert_alike(got, expected, tolerance):
    for ours, theirs in zip(got, expected, strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


@pytest.mark.parametrize("method", [None, Anderson(), Euler(0.5)])
def test_implicit_is_unrolled_at_convergence(method):
    implicit = gradients(Implicit(tolerance=1e-10), method=method)
    assert_alike(implicit, gradients(Unrolled()), 1e-8)


def test_implicit_with_two_tensors_columns_first():
    inputs = torch.randn(5, 3, 2, dtype=torch.float64)
    options = {"circuit": Linear, "weight": positive(condition=4.0), "inputs": inputs}
    implicit = gradients(Implicit(tolerance=1e-10), **options)
    assert_alike(implicit, gradients(Unrolled(), **options), 1e-8)


def test_implicit_reaches_parameters_that_a_circuit_hides():
    class Hidden(Tanh):
        def flow(self, state, drive):
            return torch.tanh(state @ self.weight.T + drive.samples[0]) - state

    assert_alike(gradients(Implicit(tolerance=1e-10), circuit=Hidden), gradients(Unrolled()), 1e-8)
    with pytest.raises(ValueError, match=r"Hidden, which reads other tensors"):
        gradients(Reversible(), circuit=Hidden)


def test_truncated_misses_what_the_steps_before_would_add():
    exact = gradients(Unrolled())
    errors = []
    for steps in (1, 4, 16, 64):
        errors.append((gradients(Truncated(steps, dt=0.7))[0] - exact[0]).norm() / exact[0].norm())
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-2
    assert errors[-1] < 1e-8


def test_truncated_steps_do_not_shrink_with_those_of_the_method():
    small = gradients(Truncated(3), method=Euler(0.01), max_steps=3000)
    assert_alike(small, gradients(Truncated(3)), 1e-6)


def test_reversible_is_exact_for_its_own_steps():
    weight, inputs = tanh_weight().requires_grad_(), INPUTS.clone().requires_grad_()
    how = Reversible(steps=7, beta=0.6)
    output = solve(Tanh(weight), inputs, gradient=how, method=Euler(0.8)).output
    output.square().sum().backward()

    again, seen = tanh_weight().requires_grad_(), INPUTS.clone().requires_grad_()
    circuit = Tanh(again)
    drive = circuit.drive(seen)
    y = z = circuit.initial(drive)
    for _ in range(7):
        y = 0.4 * y + 0.6 * circuit.step(z, drive, 0.8)
        z = 0.4 * z + 0.6 * circuit.step(y, drive, 0.8)
    z.square().sum().backward()
    torch.testing.assert_close(output, z)
    torch.testing.assert_close(weight.grad, again.grad)
    torch.testing.assert_close(inputs.grad, seen.grad)


def test_reversible_at_convergence_is_unrolled():
    reversible = gradients(Reversible(steps=18, beta=0.7), method=Euler(1.0))
    assert_alike(reversible, gradients(Unrolled()), 1e-5)


def test_steps_that_cannot_be_undone_are_an_error():
    with pytest.raises(FloatingPointError, match=r"pass fewer steps, a smaller beta"):
        gradients(Reversible(steps=60, beta=0.7))


def test_the_gradient_of_a_start_passes_through_unrolled_steps_alone():
    circuit, start = Tanh(tanh_weight()), torch.ones(3, 6, dtype=torch.float64, requires_grad=True)
    few = solve(circuit, INPUTS, start=start, max_steps=2, gradient=Unrolled())
    few.output.sum().backward()
    assert start.grad.abs().max() > 0
    assert not solve(circuit, INPUTS, start=start).output.requires_grad


def test_a_fixed_point_that_was_not_reached_is_a_warning():
    with pytest.warns(GradientWarning, match="fixed point of Tanh not converged"):
        gradients(Implicit(), max_steps=3, every=1)
    with pytest.warns(GradientWarning, match="adjoint circuit not converged"):
        gradients(Implicit(max_steps=1))


class Stuck(Tanh):
    """The first unit follows its input, all others stay where they are: J is singular."""

    def flow(self, state, drive):
        rate = drive.samples[0] @ drive.shared[0] - state
        return torch.cat([rate[:, :1], 0 * rate[:, 1:]], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", [Euler(0.5), Euler(1.0)])
def test_a_gradient_that_does_not_exist_is_no_result(method, dtype):
    weight = torch.eye(3, dtype=dtype, requires_grad=True)
    inputs = torch.ones(2, 3, dtype=dtype)
    # 2000 steps of a part that grows: its rate of change is small beside it, not beside v.
    how = Implicit(tolerance=1e-3, method=method)
    found = solve(Stuck(weight), inputs, method=Euler(0.5), gradient=how)
    with pytest.warns(GradientWarning, match="adjoint circuit not converged"):
        found.output.sum().backward()


@pytest.mark.parametrize("gradient", [Implicit(), Unrolled(), Truncated(), Reversible()])
def test_nothing_is_prepared_where_nothing_needs_a_gradient(gradient):
    assert not solve(Tanh(tanh_weight()), INPUTS, gradient=gradient).output.requires_grad
    with torch.no_grad():
        weight = tanh_weight().requires_grad_()
        assert not solve(Tanh(weight), INPUTS, gradient=gradient).output.requires_grad


def moving_circuits():
    graph = connect.nearest(grid.sheet(2, 3), degree=2)
    seeded = torch.Generator().manual_seed(5)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=seeded)

    energy = EnergyTransformer(
        graph, draw(4, 1, 3), draw(4, 1, 3), draw(4, 5), torch.ones(6).double(), draw(6, 4)
    )
    atoms = torch.nn.functional.normalize(draw(5, 4), dim=1)
    return [
        (energy, draw(6, 2, 4)),
        (FixedTimeProximal(atoms, 0.1), draw(2, 4)),
        (ClassicalHopfield(hebbian_weights(draw(2, 6).sign())), draw(2, 6).sign()),
    ]


@pytest.mark.parametrize(("circuit", "inputs"), moving_circuits(), ids=lambda x: type(x).__name__)
def test_a_circuit_without_a_derivative_at_rest_refuses_an_implicit_gradient(circuit, inputs):
    method = Euler(0.01, allow_unstable=True)
    seen = inputs.clone().requires_grad_()
    with pytest.raises(ValueError, match=f"Got {type(circuit).__name__}, which has none"):
        solve(circuit, seen, method=method, max_steps=5)
    assert solve(circuit, inputs, method=method, max_steps=5).output.isfinite().all()
    unrolled = solve(circuit, seen, method=method, max_steps=5, gradient=Unrolled()).output
    # Units that are thresholds have no gradient at all.
    assert unrolled.requires_grad != isinstance(circuit, ClassicalHopfield)


def saved_bytes(gradient, steps):
    """Bytes of all tensors that autograd keeps for the backward pass."""
    seen = {}

    def keep(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weight = tanh_weight().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        output = solve(
            Tanh(weight), INPUTS, gradient=gradient, max_steps=steps, tolerance=1e-30
        ).output
    del output
    return sum(seen.values())


def test_memory_does_not_grow_with_the_number_of_steps():
    with pytest.warns(GradientWarning):
        assert saved_bytes(Implicit(), 4) == saved_bytes(Implicit(), 16)
    assert saved_bytes(Truncated(1), 4) == saved_bytes(Truncated(1), 16)
    assert saved_bytes(Reversible(4), 4) == saved_bytes(Reversible(16), 16)
    assert saved_bytes(Unrolled(), 16) > 2 * saved_bytes(Unrolled(), 4)
