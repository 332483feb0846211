"""Liquid, fixed-time and attentive networks: closed forms, SciPy, scikit-learn, optimality."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from sklearn.linear_model import Lasso

from graphcolumns.nn.dynamics import (
    LCA,
    Euler,
    FixedTimeProximal,
    LCASelfAttention,
    LiquidNetwork,
    Unrolled,
    follow,
    solve,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def liquid(n=4, m=3, **change):
    parts = {
        "recurrent": draw(n, n, seed=1),
        "weight": draw(n, m, seed=2),
        "bias": draw(n, seed=3),
        "reversal": 2 * draw(n, seed=4),
        "time_constant": 0.3 + draw(n, seed=5).abs(),
    }
    return LiquidNetwork(**(parts | change))


X = draw(5, 3, seed=6)


def test_liquid_with_constant_conductance_is_an_exponential():
    circuit = liquid(recurrent=torch.zeros(4, 4, dtype=torch.float64))
    drive = circuit.drive(X)
    f = torch.sigmoid(X @ circuit.weight.T + circuit.bias)
    rate = 1 / circuit.time_constant + f
    end = f * circuit.reversal / rate
    errors = []
    for steps in (50, 100, 200):
        state = circuit.initial(drive)
        for _ in range(steps):
            state = circuit.step(state, drive, 1.0 / steps)
        errors.append((state - end * (1 - torch.exp(-rate))).abs().max().item())
    # First order: half the step, half the error.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.05)
    solution = solve(circuit, X, method=Euler(1.0), tolerance=1e-10)
    torch.testing.assert_close(solution.output, end)


def test_liquid_follows_the_equation():
    circuit = liquid()
    drive = circuit.drive(X[:1])

    def rate(_, u):
        return circuit.flow(torch.from_numpy(u)[None], drive)[0].numpy()

    exact = solve_ivp(rate, (0, 2), np.zeros(4), rtol=1e-9, atol=1e-11).y[:, -1]
    outputs, _ = follow(circuit, [X[:1]], method=Euler(1e-3), steps=2000)
    np.testing.assert_allclose(outputs[0, 0].numpy(), exact, atol=2e-3)


@pytest.mark.parametrize("dt", [1e-3, 1.0, 1e3])
def test_liquid_stays_between_zero_and_the_reversal_for_any_step(dt):
    circuit = liquid(weight=20 * draw(4, 3, seed=2))
    drive, reversal = circuit.drive(X), circuit.reversal
    state = circuit.initial(drive)
    for _ in range(50):
        state = circuit.step(state, drive, dt)
        share = state / reversal
        assert ((share >= 0) & (share <= 1)).all()


def test_liquid_gradients():
    tensors = [getattr(liquid(), n).requires_grad_() for n in ("recurrent", "bias", "reversal")]

    def run(recurrent, bias, reversal):
        circuit = liquid(recurrent=recurrent, bias=bias, reversal=reversal)
        return follow(circuit, [X, -X], method=Euler(0.1), steps=2)[0]

    assert torch.autograd.gradcheck(run, tensors)


def lasso(n=12, m=20, threshold=0.3, **options):
    dictionary = torch.nn.functional.normalize(draw(n, m, seed=7))
    return FixedTimeProximal(dictionary, threshold, **options), 2 * draw(6, m, seed=8)


def test_fixed_time_solves_the_lasso():
    circuit, x = lasso()
    solution = solve(circuit, x, method=Euler(1.0), tolerance=1e-10)
    assert solution.converged.all()
    d, a = circuit.dictionary, solution.output
    correlation = (x - a @ d) @ d.T
    active = a != 0
    torch.testing.assert_close(correlation[active], 0.3 * a[active].sign())
    assert (correlation[~active].abs() <= 0.3 + 1e-9).all()
    for sample, codes in zip(x.numpy(), a.numpy(), strict=True):
        peer = Lasso(0.3 / 20, fit_intercept=False, tol=1e-12, max_iter=100_000)
        np.testing.assert_allclose(codes, peer.fit(d.T.numpy(), sample).coef_, atol=1e-5)


@pytest.mark.parametrize("dt", [0.01, 0.7, 1e4])
def test_fixed_time_descends_for_any_step(dt):
    circuit, x = lasso(n=30, m=20)
    start = 50 * draw(6, 30, seed=9)
    options = {"method": Euler(dt), "record": 1, "max_steps": 40, "tolerance": 0.0}
    run = solve(circuit, x, start=start, **options)
    values = torch.stack([circuit.energy(u, run.drive) for u in run.trajectory])
    assert (values.diff(dim=0) <= 1e-9 * values[0]).all()
    d, a = circuit.dictionary, run.output
    expected = (x - a @ d).square().sum(1) / 2 + 0.3 * a.abs().sum(1)
    torch.testing.assert_close(run.energy, expected)


def settling_time(circuit, x, scale):
    """Time that the flow itself takes, by SciPy, until the residual is 0.1."""
    drive = circuit.drive(x[:1])

    def rate(_, u):
        return circuit.flow(torch.from_numpy(u)[None], drive)[0].numpy()

    def arrived(_, u):
        return circuit.residual(torch.from_numpy(u)[None], drive).item() - 0.1

    arrived.terminal = True
    start = scale * draw(12, seed=9).numpy()
    run = solve_ivp(rate, (0, 1e4), start, method="LSODA", rtol=1e-6, atol=1e-8, events=arrived)
    return run.t[-1]


def test_the_time_of_the_flow_is_bounded_whatever_the_distance():
    circuit, x = lasso()
    near, far = (settling_time(circuit, x, scale) for scale in (1e5, 1e7))
    assert far < 1.02 * near
    # Without the second gain it grows with the root of the distance.
    slow, _ = lasso(gains=(0.5, 1e-12))
    near, far = (settling_time(slow, x, scale) for scale in (1e1, 1e3))
    assert far > 5 * near


def test_the_wrong_sign_of_the_source_moves_away():
    circuit, x = lasso()
    drive = circuit.drive(x)
    u = draw(6, 12, seed=9)
    away = u - 0.1 * circuit.flow(u, drive)
    assert (circuit.energy(away, drive) > circuit.energy(u, drive)).all()
    towards = u + 0.1 * circuit.flow(u, drive)
    assert (circuit.energy(towards, drive) < circuit.energy(u, drive)).all()


def test_fixed_time_gradient_is_that_of_the_support():
    circuit, x = lasso()
    x.requires_grad_()
    options = {"method": Euler(5.0), "tolerance": 1e-10, "every": 1}
    a = solve(circuit, x, gradient=Unrolled(), **options).output
    (gradient,) = torch.autograd.grad(a[0].sum(), x)
    support = a[0] != 0
    chosen = circuit.dictionary[support]
    # a = (D D^T)^-1 (D x - lambda sign) on the support.
    expected = torch.linalg.solve(chosen @ chosen.T, chosen).sum(0)
    torch.testing.assert_close(gradient[0], expected, rtol=1e-5, atol=1e-6)


def attentive(mixing, gain=None, n=8, m=12, threshold=0.2):
    dictionary = torch.nn.functional.normalize(draw(n, m, seed=10))
    lateral = dictionary @ dictionary.T - torch.eye(n, dtype=torch.float64)
    circuit = LCASelfAttention(
        dictionary, lateral, draw(n, n, seed=11), gain, threshold=threshold, mixing=mixing
    )
    return circuit, dictionary, draw(5, m, seed=12)


def test_without_attention_and_gain_it_is_the_lca():
    circuit, dictionary, x = attentive(0.0)
    plain = LCA(dictionary, 0.2)
    u = draw(5, 8, seed=13)
    torch.testing.assert_close(
        circuit.flow(u, circuit.drive(x)), plain.flow(u, plain.drive(x))
    )  # fmt: skip


def test_attention_below_one_half_keeps_the_fixed_points():
    circuit, dictionary, x = attentive(0.25)
    solution = solve(circuit, x, method=Euler(0.5), tolerance=1e-8)
    assert solution.converged.all()
    expected = solve(LCA(dictionary, 0.2), x, tolerance=1e-9).output
    torch.testing.assert_close(solution.output, expected, rtol=0, atol=1e-6)


def test_attention_alone_can_stop_where_errors_are_left():
    # All units silent: attention is uniform, and errors with mean zero do not move anything.
    circuit, dictionary, _ = attentive(1.0)
    errors = torch.tensor([[1.0, -1.0] * 4], dtype=torch.float64)
    x = torch.linalg.lstsq(dictionary, errors.T).solution.T
    drive = circuit.drive(x)
    u = circuit.initial(drive)
    assert circuit.flow(u, drive).abs().max() < 1e-12
    assert circuit.residual(u, drive).item() == pytest.approx(1)
    halved, _, _ = attentive(0.49)
    assert halved.flow(u, halved.drive(x)).abs().max() > 0.1


def test_attention_map_and_gain_by_hand():
    eye, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    scores = torch.tensor([[0.0, float(np.log(3))], [0.0, 0.0]], dtype=torch.float64)
    circuit = LCASelfAttention(eye, zero, scores, eye, threshold=1.0, mixing=0.5, bound=2.0)
    drive = circuit.drive(torch.tensor([[5.0, 1.0]], dtype=torch.float64))
    u = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    # a = (1, 0); columns of P: softmax(0, 0) and softmax(ln 3, 0).
    expected = torch.tensor([[[0.5, 0.75], [0.5, 0.25]]], dtype=torch.float64)
    torch.testing.assert_close(circuit.attention_map(u, drive), expected)
    r = np.array([5 - 2 + 2 * np.tanh(0.5), 1.0])
    np.testing.assert_allclose(circuit.error(u, drive)[0], r)
    mixed = [0.5 * r[0] + 0.5 * (r.mean()), 0.5 * r[1] + 0.5 * (0.75 * r[0] + 0.25 * r[1])]
    np.testing.assert_allclose(circuit.flow(u, drive)[0], mixed)


def test_no_sample():
    assert solve(liquid(), X[:0], method=Euler(0.1)).output.shape == (0, 4)
    circuit, x = lasso()
    assert solve(circuit, x[:0], method=Euler(0.1)).output.shape == (0, 12)
    circuit, _, x = attentive(0.25)
    assert solve(circuit, x[:0], method=Euler(0.1)).output.shape == (0, 8)


EYE = torch.eye(3, dtype=torch.float64)
BAD = [
    (lambda: liquid(recurrent=draw(3, 4)), r"recurrent must .* Expected \[4, 4\]\. Got \[3, 4\]"),
    (lambda: liquid(bias=draw(5)), r"bias must have a shape that fits\. Expected \[4\]"),
    (lambda: liquid(time_constant=torch.zeros(4)), r"time_constant must be positive\. Got 0"),
    (lambda: liquid(reversal=draw(4) / 0), "reversal must be finite"),
    (lambda: liquid().drive(X[:, :2]), r"inputs must .* Expected \[B, 3\]"),
    (lambda: liquid().drive(X * float("nan")), "inputs must be finite"),
    (lambda: solve(liquid(), X), r"LiquidNetwork has no proven step limit\. Got dt=None"),
    (lambda: FixedTimeProximal(EYE, -0.1), r"threshold must be positive and finite\. Got -0.1"),
    (lambda: FixedTimeProximal(EYE, 0.1, step_size=1.1), r"Expected 1 or less\. Got 1.1"),
    (lambda: FixedTimeProximal(EYE, 0.1, gains=(0.0, 1.0)), "kappa1 must be positive"),
    (lambda: FixedTimeProximal(EYE, 0.1, exponents=(1.5, 2.0)), r"exponents must be in \(0, 1\)"),
    (lambda: FixedTimeProximal(EYE / 0, 0.1), "dictionary must be finite"),
    (lambda: FixedTimeProximal(EYE, 0.1).drive(X[:, :2]), r"Expected \[B, 3\]"),
    (lambda: LCASelfAttention(EYE, EYE[:2], EYE), r"lateral must .* Got \[2, 3\]"),
    (lambda: LCASelfAttention(EYE, EYE, EYE, mixing=1.5), r"mixing must be in \[0, 1\]\. Got 1.5"),
    (lambda: LCASelfAttention(EYE, EYE, EYE, bound=0.0), "bound must be positive"),
    (lambda: LCASelfAttention(EYE, EYE, EYE / 0), "attention must be finite"),
    (lambda: LCASelfAttention(EYE, EYE, EYE, EYE[:1]), "gain must have a shape"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
