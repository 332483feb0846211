"""Zeroing and gradient networks against their closed forms and against scipy's integrators."""

from math import exp, pi, sin, sqrt

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scipy.special import hyp2f1

from graphcolumns.nn.dynamics import (
    Adaptive,
    Euler,
    GradientNetwork,
    Heun,
    SignBiPower,
    Truncated,
    Unrolled,
    ZeroingNetwork,
    follow,
    solve,
)

START = torch.zeros(1, dtype=torch.float64)
EYE = torch.eye(2, dtype=torch.float64)


def rotation(t):
    """[[sin t, cos t], [-cos t, sin t]]."""
    rows = [torch.stack([t.sin(), t.cos()], -1), torch.stack([-t.cos(), t.sin()], -1)]
    return torch.stack(rows, -2)


def rotation_rate(t):
    return rotation(t + pi / 2)


def wave(t):
    return torch.stack([t.cos(), (2 * t).sin()], -1)


def run(network, seconds, dt, method=Heun, state=None, times=START):
    steps = round(seconds / dt)
    return follow(network, [times], method=method(dt), steps=steps, state=state)[1]


def exactly(network, state, seconds):
    """The state after a time, by an integrator of scipy; one sample."""
    shape = state[0].shape

    def rate(t, values):
        x = torch.from_numpy(values.reshape(shape))
        return network.flow((x, torch.tensor([t], dtype=torch.float64)), None)[0].numpy().ravel()

    t0 = float(state[1])
    found = solve_ivp(
        rate, (t0, t0 + seconds), state[0].numpy().ravel(), "DOP853", rtol=1e-11, atol=1e-13
    )
    end = torch.tensor([t0 + seconds], dtype=torch.float64)
    return torch.from_numpy(found.y[:, -1].reshape(shape)), end


def off_by(size, times=START):
    """A start whose error has this Frobenius norm."""
    noise = torch.tensor([[0.3, -1.0], [0.5, 0.8]], dtype=torch.float64)
    error = size * noise / noise.norm()
    return (torch.linalg.solve(rotation(times), EYE + error), times)


@pytest.mark.parametrize(("gain", "quoted"), [(1.0, 3.51e-1), (10.0, 4.33e-5)])
def test_the_error_shrinks_exponentially_at_the_gain(gain, quoted):
    network, start = ZeroingNetwork(rotation, gain=gain), off_by(0.954)
    predicted = 0.954 * exp(-gain)
    assert predicted == pytest.approx(quoted, rel=2e-3)
    exact = float(network.residual(exactly(network, start, 1.0), None))
    assert exact == pytest.approx(predicted, rel=1e-6)
    ours = float(network.residual(run(network, 1.0, 5e-3, state=start), None))
    # Heun steps leave (gain dt)^3 / 6 per step, here 0.02 over the run for a gain of 10.
    assert ours == pytest.approx(predicted, rel=0.03, abs=2e-5)


def test_every_entry_of_the_error_follows_the_closed_form():
    network, start = ZeroingNetwork(rotation, gain=3.0), off_by(1.0)
    first = network.error(start)
    end = exactly(network, start, 0.7)
    torch.testing.assert_close(network.error(end), first * exp(-2.1), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("gain", [1.0, 10.0, 100.0])
def test_the_gradient_network_lags_behind_by_the_closed_form(gain):
    network = GradientNetwork(rotation, gain=gain)
    # Started at zero; the error turns with the problem, and what was wrong at the start decays.
    end = run(network, 8.0 / min(gain, 8.0), min(0.04, 1.0 / gain))
    assert float(network.residual(end, None)) == pytest.approx(sqrt(2 / (1 + gain**2)), rel=3e-3)
    torch.testing.assert_close(network.energy(end, None), network.residual(end, None) ** 2 / 2)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_euler_steps_leave_an_error_of_second_order(share):
    # With gain = share / dt, E' = (1 - share) E + dt^2 / 2 + O(dt^3): sqrt(2) dt^2 / (2 share).
    for dt in (1e-1, 1e-2, 1e-3):
        network = ZeroingNetwork(rotation, gain=share / dt)
        end = run(network, 40 * dt, dt, Euler)
        expected = sqrt(2) / (2 * share) * dt**2
        assert float(network.residual(end, None)) == pytest.approx(expected, rel=0.2 * dt + 1e-4)


@pytest.mark.parametrize(("method", "ratio"), [(Euler, 2.0), (Heun, 4.0)])
def test_at_a_fixed_gain_the_error_has_the_order_of_the_method(method, ratio):
    network = ZeroingNetwork(rotation, gain=4.0)
    errors = [float(network.residual(run(network, 3.0, dt, method), None)) for dt in (5e-2, 2.5e-2)]
    assert errors[0] / errors[1] == pytest.approx(ratio, rel=0.1)


@pytest.mark.parametrize("given", [True, False])
def test_linear_systems_with_and_without_given_derivatives(given):
    rates = {}
    if given:
        rates = {
            "matrix_rate": rotation_rate,
            "target_rate": lambda t: torch.stack([-t.sin(), 2 * (2 * t).cos()], -1),
        }
    network = ZeroingNetwork(rotation, wave, gain=2.0, **rates)
    times = torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    drive = network.drive(times)
    before = network.error(network.initial(drive))
    assert before.shape == (3, 2)
    x, t = run(network, 1.0, 1e-2, times=times)
    torch.testing.assert_close(t, times + 1)
    torch.testing.assert_close(network.error((x, t)), before * exp(-2.0), rtol=0, atol=3e-4)
    rate, by_hand = network.flow((x, t), drive)[0], torch.linalg.solve(rotation(t), wave(t))
    later = torch.linalg.solve(rotation(t + 1e-6), wave(t + 1e-6))
    error = torch.linalg.solve(rotation(t), network.error((x, t)))
    # x = solution + A^-1 E, so its rate is that of the solution plus what the error adds.
    turned = torch.linalg.solve(rotation(t), (rotation_rate(t) @ error[..., None])[..., 0])
    expected = (later - by_hand) / 1e-6 - 2.0 * error - turned
    torch.testing.assert_close(rate, expected, rtol=0, atol=1e-5)


def test_several_right_hand_sides_and_a_linear_trend():
    def matrix(t):
        return torch.diag_embed(torch.stack([1 + t, 2 + t, 3 + t], -1))

    def target(t):
        return torch.ones(len(t), 3, 2, dtype=t.dtype)

    network = ZeroingNetwork(matrix, target, gain=8.0)
    x, _ = run(network, 3.0, 2e-2)
    expected = 1 / torch.tensor([4.0, 5.0, 6.0], dtype=torch.float64)[:, None].expand(3, 2)
    torch.testing.assert_close(x[0], expected, rtol=0, atol=1e-5)
    lagging = run(GradientNetwork(matrix, target, gain=0.5), 3.0, 5e-2)[0]
    assert (lagging[0] - expected).abs().max() > 1e-3


def settling_time(error, power, gain):
    """The closed form of the time at which a scalar error is zero."""
    a, s = power / (1 + power), error ** (1 - power)
    return 2 / (gain * (1 - power)) * s * hyp2f1(1, a, 1 + a, -(s ** (1 / a)))


@pytest.mark.parametrize("power", [0.3, 0.5, 0.8])
def test_sign_bi_power_is_zero_at_the_closed_form_time(power):
    gain, errors = 2.0, torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64)
    expected = [settling_time(float(error), power, gain) for error in errors]
    for error, time in zip(errors.tolist(), expected, strict=True):
        # With e = s^(1/(1-r)) the integrand is smooth.
        exponent = (1 + power) / power
        by_quadrature, _ = quad(lambda s, p: 1 / (1 + s**p), 0, error ** (1 - power), (exponent,))
        assert time == pytest.approx(2 / (gain * (1 - power)) * by_quadrature, rel=1e-8)
        a = power / (1 + power)
        assert time < 2 / (gain * (1 - power)) * pi * a / sin(pi * a)

    network = ZeroingNetwork(scalar, gain=gain, activation=SignBiPower(power))
    times = torch.zeros(3, dtype=torch.float64)
    start = (1 + errors[:, None, None], times)
    method = Adaptive(dt=1e-3, tolerance=3e-5, largest=0.05)
    found = solve(network, times, start=start, method=method, tolerance=3e-2, every=1)
    assert found.converged.all()
    for passed, left, time in zip(found.state[1], found.distance, expected, strict=True):
        rest = settling_time(float(left), power, gain)
        assert float(passed) + rest == pytest.approx(time, rel=0.02)


def test_the_error_of_sign_bi_power_vanishes_where_that_of_the_linear_one_does_not():
    time = settling_time(1.0, 0.5, 2.0)
    start = (torch.full((1, 1, 1), 2.0, dtype=torch.float64), START)
    steps = {"seconds": 1.05 * time, "dt": 1.05 * time / 200, "method": Euler, "state": start}
    quick = ZeroingNetwork(scalar, gain=2.0, activation=SignBiPower(0.5))
    linear = ZeroingNetwork(scalar, gain=2.0)
    floor = (2.0 * steps["dt"] / 4) ** 2
    assert float(quick.residual(run(quick, **steps), None)) < 2 * floor < 1e-4
    assert float(linear.residual(run(linear, **steps), None)) > 0.02


def scalar(t):
    return torch.ones(len(t), 1, 1, dtype=t.dtype)


def test_sign_bi_power_by_hand_and_odd():
    values = torch.tensor([-4.0, 0.0, 1.0, 4.0])
    assert SignBiPower(0.5)(values).tolist() == [-9.0, 0.0, 1.0, 9.0]


def test_solve_runs_until_the_error_is_within_the_tolerance():
    network = ZeroingNetwork(rotation, gain=5.0)
    times = torch.tensor([0.0, 2.0], dtype=torch.float64)
    found = solve(network, times, method=Heun(1e-2), tolerance=1e-3, every=1)
    assert found.converged.all()
    # The error is sqrt(2) at the start.
    elapsed = (found.state[1] - times).tolist()
    assert elapsed == pytest.approx([np.log(sqrt(2) / 1e-3) / 5] * 2, abs=0.011)


def test_gradients_pass_through_the_steps_and_no_fixed_point_is_assumed():
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)

    def matrix(t):
        return scale * rotation(t)

    network = ZeroingNetwork(matrix, gain=20.0)
    options = {"method": Heun(0.01), "max_steps": 100, "tolerance": 0.0}
    for how in (Unrolled(), Truncated(5)):
        scale.grad = None
        solve(network, START, gradient=how, **options).output.square().sum().backward()
        # The inverse of s R has the squared norm 2 / s^2; five Euler steps forget 0.8^5.
        expected = -4.0 if how == Unrolled() else -4.0 * (1 - 0.8**5)
        assert float(scale.grad) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ValueError, match="ZeroingNetwork, which has none"):
        solve(network, START, **options)


def test_an_empty_batch_and_one_unknown():
    network = ZeroingNetwork(lambda t: (2 + t)[:, None, None], gain=1.0)
    outputs, _ = follow(network, [START[:0]], method=Euler(0.1))
    assert outputs.shape == (1, 0, 1, 1)


@pytest.mark.parametrize("network", [ZeroingNetwork, GradientNetwork])
@pytest.mark.parametrize(
    ("arguments", "times", "message"),
    [
        ((rotation,), torch.zeros(1, 1), r"one per sample, \[B\]. Got shape \[1, 1\]"),
        ((rotation,), torch.tensor([float("nan")]), "with nan or inf"),
        ((lambda t: torch.ones(2, 2),), torch.zeros(1), r"Expected \[1, n, n\]. Got \[2, 2\]"),
        ((lambda t: torch.ones(1, 2, 3),), torch.zeros(1), r"Got \[1, 2, 3\]"),
        ((rotation, lambda t: torch.ones(1, 3)), torch.zeros(1), r"\[1, 2, k\]. Got \[1, 3\]"),
        ((rotation, lambda t: wave(t) / 0), torch.zeros(1), "target must be finite"),
        ((lambda t: rotation(t) / 0,), torch.zeros(1), "matrix must be finite"),
    ],
)
def test_wrong_systems(network, arguments, times, message):
    with pytest.raises(ValueError, match=message):
        solve(network(*arguments), times, method=Euler(0.1))


def test_wrong_numbers():
    for gain in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="gain must be positive"):
            ZeroingNetwork(rotation, gain=gain)
    for power in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="power must be between 0 and 1"):
            SignBiPower(power)
    with pytest.raises(TypeError, match="floating-point tensor"):
        solve(ZeroingNetwork(rotation), torch.zeros(1, dtype=torch.int64), method=Euler(0.1))
    with pytest.raises(ValueError, match="ZeroingNetwork has no proven step limit"):
        solve(ZeroingNetwork(rotation), START)


def test_a_matrix_that_becomes_singular_is_named_with_its_time():
    network = ZeroingNetwork(lambda t: (1 - t)[:, None, None] * EYE, gain=1.0)
    with pytest.raises(ValueError, match=r"Got a singular matrix at t = 1\."):
        run(network, 2.0, 0.25, Euler)
