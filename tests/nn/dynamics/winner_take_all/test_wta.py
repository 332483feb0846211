"""Winner-take-all through one inhibitory unit: gains, fixed points, steps, wrong input."""

import numpy as np
import pytest
import torch

from graphcolumns.nn.dynamics import WTA, Euler, Implicit, Regime, Unrolled, solve

DOUBLE = {"dtype": torch.float64}


def randoms(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def arrive(circuit, inputs, **options):
    """The output at the fixed point, to rounding."""
    solution = solve(circuit, inputs, **{"tolerance": 1e-11, "max_steps": 200_000, **options})
    assert solution.converged.all()
    return solution.output


def test_soft_fixed_point_worked_by_hand():
    # Active set {0, 3}: sum = 1.7 / (1 - .5 + 2) = .68, and x = (u - .68) / .5.
    inputs = torch.tensor([[1.0, 0.1, 0.68, 0.7]], **DOUBLE)
    expected = torch.tensor([[0.64, 0.0, 0.0, 0.04]], **DOUBLE)
    torch.testing.assert_close(WTA().fixed_point(inputs), expected)
    torch.testing.assert_close(arrive(WTA(), inputs), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("alpha", "beta1", "beta2", "gain"),
    [(1.5, 0.8, 0.8, 7.142857), (1.6, 0.8, 0.8, 25.0), (1.9, 1.5, 1.5, 0.740741), (1.0, 1, 2, 0.5)],
)
def test_the_gain_of_a_single_winner(alpha, beta1, beta2, gain):
    # At alpha = 1.9 Jacobi steps would have to be a tenth of these.
    circuit = WTA(alpha=alpha, beta1=beta1, beta2=beta2, sequential=True)
    inputs = torch.tensor([[0.3, 1.0, 0.9, -1.0]], **DOUBLE)
    output = arrive(circuit, inputs, tolerance=1e-8)
    expected = torch.tensor([[0, gain, 0, 0]], **DOUBLE)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(circuit.fixed_point(inputs), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0, 1.3])
@pytest.mark.parametrize("threshold", [0.0, 0.2])
@pytest.mark.parametrize("inhibitory_threshold", [0.0, 0.4])
@pytest.mark.parametrize("leak", [1.0, 1.7])
@pytest.mark.parametrize("sequential", [False, True])
def test_closed_forms_are_where_the_dynamics_arrive(
    alpha, threshold, inhibitory_threshold, leak, sequential
):
    circuit = WTA(
        alpha=alpha * leak,
        beta1=1.2,
        beta2=1.4,
        threshold=threshold,
        inhibitory_threshold=inhibitory_threshold,
        leak=leak,
        sequential=sequential,
    )
    inputs = torch.cat([randoms(6, 5), torch.zeros(1, 5, **DOUBLE), randoms(1, 5) - 9])
    expected = circuit.fixed_point(inputs)
    torch.testing.assert_close(arrive(circuit, inputs), expected, atol=1e-8, rtol=0)


def test_a_leak_rescales_the_circuit_with_unit_leak():
    # Source: G = 2, alpha = .5; the same as unit leak with everything halved.
    inputs = randoms(4, 6).abs()
    one = WTA(leak=2.0, threshold=0.01, inhibitory_threshold=0.01)
    other = WTA(alpha=0.25, beta1=0.5, beta2=0.5, threshold=0.005, inhibitory_threshold=0.005)
    torch.testing.assert_close(arrive(one, inputs), arrive(other, inputs / 2), rtol=0, atol=1e-9)
    drive = one.drive(inputs)
    assert one.step_limit(drive) == pytest.approx(other.step_limit(drive) / 2)


def test_sequential_steps_are_those_of_the_source():
    tau, alpha, b1, b2, te, ti, leak = 0.1, 0.5, 1.2, 0.7, 0.01, 0.02, 1.1
    circuit = WTA(
        alpha=alpha,
        beta1=b1,
        beta2=b2,
        threshold=te,
        inhibitory_threshold=ti,
        leak=leak,
        sequential=True,
    )
    inputs = randoms(1, 4).abs()
    x, e, i = inputs[0].numpy(), np.zeros(4), 0.0
    for _ in range(30):
        i = i + tau * (max(b2 * e.sum() - ti, 0) - leak * i)
        e = e + tau * (np.maximum(x + alpha * e - b1 * i - te, 0) - leak * e)
    options = {"tolerance": 0.0, "max_steps": 30, "method": Euler(tau)}
    state = solve(circuit, inputs, **options).state
    np.testing.assert_allclose(state[0][0], e, atol=1e-14)
    np.testing.assert_allclose(state[1][0], [i], atol=1e-14)


def test_the_difference_of_two_active_units_decays_at_one_minus_alpha():
    circuit = WTA(alpha=0.5)
    inputs = torch.tensor([[1.0, 0.9]], **DOUBLE)
    end = solve(circuit, inputs, tolerance=1e-13, max_steps=100_000).state
    start = (end[0] + torch.tensor([[0.01, -0.01]], **DOUBLE), end[1])
    options = {"tolerance": 0.0, "max_steps": 2000, "every": 2000, "method": Euler(1e-3)}
    later = solve(circuit, inputs, start=start, **options).state
    ratio = ((later[0] - end[0]) @ torch.tensor([1.0, -1.0], **DOUBLE)) / 0.02
    # After 2 time units at the rate .5; Euler steps of .001 cost 1e-4.
    assert ratio.item() == pytest.approx((1 - 0.5e-3) ** 2000, abs=1e-9)
    assert ratio.item() == pytest.approx(np.exp(-1), abs=1e-4)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize(("alpha", "beta", "size"), [(0.5, 1, 4), (0.0, 3, 2), (0.9, 0.05, 8)])
def test_the_step_limit_is_exact_where_all_units_are_active(sequential, alpha, beta, size):
    circuit = WTA(alpha=alpha, beta1=beta, beta2=1.0, sequential=sequential)
    inputs = torch.ones(1, size, **DOUBLE)
    drive = circuit.drive(inputs)
    limit = circuit.step_limit(drive)

    def radius(dt):
        """Of the Jacobian of one step at the fixed point, by automatic differentiation."""
        end = solve(circuit, inputs, tolerance=1e-12, max_steps=100_000).state
        step = torch.func.jacrev(
            lambda z: torch.cat(circuit.step((z[:, :-1], z[:, -1:]), drive, dt), 1)
        )
        jacobian = step(torch.cat(end, 1)).reshape(size + 1, size + 1)
        return torch.linalg.eigvals(jacobian).abs().max().item()

    assert radius(0.999 * limit) < 1
    if limit < 2:
        assert radius(1.001 * limit) > 1


def test_default_steps_arrive_from_anywhere():
    generator = torch.Generator().manual_seed(3)
    for sequential in (False, True):
        for alpha in (0.0, 0.8):
            circuit = WTA(alpha=alpha, beta1=2.0, beta2=1.5, sequential=sequential)
            inputs = randoms(20, 7, seed=1) + 1
            far = 30 * torch.rand(20, 7, generator=generator, **DOUBLE)
            start = (far, 30 * torch.rand(20, 1, generator=generator, **DOUBLE))
            output = arrive(circuit, inputs, start=start, tolerance=1e-9)
            torch.testing.assert_close(output, circuit.fixed_point(inputs), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "dims", "batch_dim"),
    [((4, 3, 5), (2,), 1), ((4, 3, 5), (0,), 1), ((4, 3, 5), (0, 2), 1), ((2, 3, 4, 5), (3, 1), 0)],
)
def test_competition_along_any_dimensions(shape, dims, batch_dim):
    circuit = WTA(alpha=0.5, dims=dims, batch_dim=batch_dim)
    inputs = randoms(*shape)
    output = arrive(circuit, inputs)
    moved = inputs.movedim(dims, tuple(range(-len(dims), 0)))
    rows = moved.flatten(-len(dims)).flatten(0, -2)
    expected = WTA(alpha=0.5).fixed_point(rows).reshape(moved.shape)
    expected = expected.movedim(tuple(range(-len(dims), 0)), dims)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(circuit.fixed_point(inputs), expected)


def test_a_winner_stays_when_the_input_is_taken_away():
    alpha, b1, b2, rest = 1.3, 0.8, 1.0, 0.5
    circuit = WTA(alpha=alpha, beta1=b1, beta2=b2, inhibitory_threshold=rest)
    inputs = torch.tensor([[0.4, 1.0, 0.8]], **DOUBLE)
    shown = solve(circuit, inputs, tolerance=1e-11, max_steps=100_000)
    gone = solve(circuit, 0 * inputs, start=shown.state, tolerance=1e-11, max_steps=100_000)
    kept = b1 * rest / (1 + b1 * b2 - alpha)
    expected = torch.tensor([[0, kept, 0]], **DOUBLE)
    torch.testing.assert_close(gone.output, expected, rtol=0, atol=1e-8)
    # Below alpha = 1 nothing is kept.
    soft = WTA(alpha=0.9, beta1=b1, beta2=b2, inhibitory_threshold=rest)
    assert arrive(soft, 0 * inputs, start=shown.state).abs().max() < 1e-8


def test_gradients_of_the_fixed_point_are_those_of_the_closed_form():
    inputs = randoms(5, 6).requires_grad_()
    circuit = WTA(alpha=0.4, beta1=1.3)
    weights = randoms(5, 6, seed=9)
    for gradient in (Implicit(tolerance=1e-10), Unrolled()):
        output = solve(circuit, inputs, tolerance=1e-12, max_steps=20_000, gradient=gradient).output
        (got,) = torch.autograd.grad((output * weights).sum(), inputs)
        (expected,) = torch.autograd.grad((circuit.fixed_point(inputs) * weights).sum(), inputs)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-7)


def test_one_unit_one_sample_and_no_sample():
    circuit = WTA(alpha=0.5)
    assert arrive(circuit, torch.ones(1, 1, **DOUBLE)).item() == pytest.approx(1 / 1.5)
    assert solve(circuit, torch.ones(0, 3)).output.shape == (0, 3)


def test_regime_of_a_circuit():
    inputs = torch.ones(1, 2)
    circuit = WTA(alpha=2.4, beta1=2.0, beta2=2.0, leak=2.0)
    # In units of the leak: alpha 1.2, beta 1.
    assert circuit.regime(circuit.drive(inputs)) is Regime.SINGLE_WINNER


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "alpha must be 0 or more and finite. Got -0.1"),
        ({"alpha": float("nan")}, "alpha must be 0 or more and finite. Got nan"),
        ({"beta1": -1.0}, "beta1 must be 0 or more"),
        ({"threshold": -0.2}, "threshold must be 0 or more"),
        ({"inhibitory_threshold": float("inf")}, "inhibitory_threshold must be 0 or more"),
        ({"leak": 0.0}, "leak must be positive and finite. Got 0.0"),
        ({"dims": ()}, "dims must be different dimensions"),
        ({"dims": (1, 1)}, "dims must be different dimensions"),
        ({"dims": (-1,)}, "dims must be different dimensions"),
        ({"dims": (0, 1)}, "dims must not have the dimension of samples"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        WTA(**options)


def test_wrong_inputs():
    nan = torch.tensor([[1.0, float("nan"), float("inf")]])
    with pytest.raises(ValueError, match=r"inputs must be finite. Got 2 that are NaN or infinite"):
        solve(WTA(), nan)
    with pytest.raises(ValueError, match=r"inputs must be \[B, ...\]. Got \[3\]"):
        solve(WTA(), torch.ones(3))
    with pytest.raises(ValueError, match=r"dimensions dims=\(2,\) and batch_dim=1. Got \[2, 3\]"):
        solve(WTA(dims=(2,), batch_dim=1), torch.ones(2, 3))
    with pytest.raises(TypeError, match=r"floating tensor. Expected \[B, ...\]. Got torch.int64"):
        solve(WTA(), torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"dt must be below the limit of WTA.*Got 1;"):
        solve(WTA(), torch.ones(2, 8), method=Euler(1.0))
