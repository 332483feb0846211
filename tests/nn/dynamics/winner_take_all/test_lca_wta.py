"""Sparse coding and winner-take-all together: fixed points, steps of the source, wrong input."""

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.nn.dynamics import (
    LCA,
    LCAWTA,
    WTA,
    Euler,
    GraphWTA,
    LocalWTA,
    RegimeWarning,
    solve,
)

DOUBLE = {"dtype": torch.float64}
TOY = ((-0.1, 0.5), (0.5, 0.0))


def dictionary(atoms, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(atoms, size, generator=generator, **DOUBLE)
    return torch.nn.functional.normalize(values, dim=1)


def signals(count, size, seed=1):
    return torch.rand(count, size, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def test_the_fixed_point_worked_by_hand():
    # u = 1 - .1 (u - .1) + .5 x and 1.5 x = .5 u, since a winner has the gain 1 / (1 - .5 + 1).
    lca = LCA(torch.eye(5, **DOUBLE), threshold=0.1, nonnegative=True)
    inputs = torch.tensor([[0.0, 0.3, 1.0, 0.0, 0.0]], **DOUBLE)
    solution = solve(LCAWTA(lca, LocalWTA(1), TOY), inputs, method=Euler(0.2), tolerance=1e-12)
    u = 1.01 / (1.1 - 1 / 6)
    assert solution.state[0][0, 2].item() == pytest.approx(u)
    assert solution.output[0, 2].item() == pytest.approx(u / 3)
    codes = LCAWTA(lca, LocalWTA(1), TOY).codes(solution.state, solution.drive)
    assert codes[0, 2].item() == pytest.approx(u - 0.1)


@pytest.mark.parametrize("coupling", ["drive", "input"])
@pytest.mark.parametrize("sequential", [False, True])
def test_steps_are_those_of_the_source(coupling, sequential):
    n, lam, tau, alpha, beta, h = 7, 0.05, 0.05, 0.5, 0.3, 1
    phi, inputs = dictionary(n, n), signals(1, n)
    wta = LocalWTA(h, beta, alpha=alpha, threshold=0.01, sequential=sequential)
    circuit = LCAWTA(LCA(phi, lam, nonnegative=True), wta, TOY, coupling)
    w = phi.numpy().T
    gram = w.T @ w - np.eye(n)
    window = np.sqrt(beta) * (np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= h)
    x, u, e, i = inputs[0].numpy(), np.zeros(n), np.zeros(n), np.zeros(n)
    for _ in range(40):
        a = np.maximum(u - lam, 0)
        added = TOY[0][0] * a + TOY[0][1] * e
        b = w.T @ (x + added) if coupling == "input" else w.T @ x + added
        z = TOY[1][0] * u + TOY[1][1] * e
        u = u + tau * (b - gram @ a - u)
        new = i + tau * (np.maximum(window @ e, 0) - i)
        inhibition = window @ (new if sequential else i)
        e = e + tau * (np.maximum(z + alpha * e - inhibition - 0.01, 0) - e)
        i = new
    state = solve(circuit, inputs, method=Euler(tau), tolerance=0.0, max_steps=40).state
    for got, expected in zip(state, (u, e, i), strict=True):
        np.testing.assert_allclose(got[0], expected, atol=1e-13)


def test_fixed_points_of_both_orders_are_the_same():
    phi, inputs = dictionary(9, 5), signals(3, 5)
    outputs = []
    for sequential in (False, True):
        wta = WTA(sequential=sequential)
        circuit = LCAWTA(LCA(phi, 0.1, nonnegative=True), wta, TOY)
        solution = solve(circuit, inputs, method=Euler(0.1), tolerance=1e-11, max_steps=50_000)
        assert solution.converged.all()
        # The rates are those of the circuit alone at the input that the code gives.
        alone = wta.fixed_point(0.5 * solution.state[0])
        torch.testing.assert_close(solution.output, alone, rtol=0, atol=1e-8)
        outputs.append(solution.output)
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-8)


def test_without_coupling_the_code_is_the_one_of_the_circuit_alone():
    lca, inputs = LCA(dictionary(6, 4), 0.1), signals(2, 4)
    circuit = LCAWTA(lca, WTA(), ((0.0, 0.0), (1.0, 0.0)))
    options = {"method": Euler(0.1), "tolerance": 1e-11, "max_steps": 50_000}
    together = solve(circuit, inputs, **options)
    alone = solve(lca, inputs, tolerance=1e-11, max_steps=50_000)
    codes = circuit.codes(together.state, together.drive)
    torch.testing.assert_close(codes, alone.output, rtol=0, atol=1e-8)


def test_activity_stays_within_the_bound_of_the_loop():
    # Atoms with values of 0 or more: u <= b / (1 - f11 - f12 f21 / (1 - alpha)).
    inputs, phi = signals(20, 6, seed=3), dictionary(8, 6, seed=4)
    rates = ((0.1, 0.6), (0.5, 0.0))
    circuit = LCAWTA(LCA(phi, 0.05, nonnegative=True), WTA(alpha=0.3), rates)
    state = solve(
        circuit, inputs, method=Euler(0.02), max_steps=2000, tolerance=0.0, record=10
    ).trajectory
    bound = (inputs @ phi.T).max() / (1 - 0.1 - 0.3 / 0.7)
    assert state[0].max() <= bound
    assert state[1].max() <= 0.5 * bound / 0.7


def test_gradients_reach_the_dictionary():
    phi = dictionary(6, 4).requires_grad_()
    circuit = LCAWTA(LCA(phi, 0.1, nonnegative=True), WTA(), TOY)
    options = {"method": Euler(0.1), "tolerance": 1e-12, "max_steps": 50_000}
    solve(circuit, signals(2, 4), **options).output.sum().backward()
    got, step = phi.grad.clone(), 1e-6
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            moved = phi + sign * step * torch.eye(6, 4, **DOUBLE)
            # Atoms stay within the tolerance of unit norm.
            other = LCAWTA(LCA(moved, 0.1, nonnegative=True), WTA(), TOY)
            values.append(solve(other, signals(2, 4), **options).output.sum())
    numeric = (values[0] - values[1]) / (2 * step)
    assert got.diagonal().sum().item() == pytest.approx(numeric.item(), rel=1e-4)


def lca(atoms=4, size=4):
    return LCA(dictionary(atoms, size), 0.1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LCAWTA(lca(5, 4), WTA(), coupling="input"), ValueError, "Got 5 atoms of 4 values"),
        (lambda: LCAWTA(lca(), WTA(), coupling="output"), ValueError, "must be one of 'drive'"),
        (lambda: LCAWTA(lca(), WTA(), ((1.0,), (0.0, 1.0))), ValueError, "rates must be"),
        (lambda: LCAWTA(WTA(), lca()), TypeError, "Got WTA and LCA"),
        (
            lambda: LCAWTA(lca(), GraphWTA(connect.nearest(grid.sheet(1, 3), 3))),
            ValueError,
            "Got batch_dim=0 of lca and 1 of wta",
        ),
        (lambda: solve(LCAWTA(lca(), WTA()), signals(2, 4)), ValueError, "no proven step limit"),
        (
            lambda: solve(LCAWTA(lca(), WTA()), signals(2, 3), method=Euler(0.1)),
            ValueError,
            r"inputs must be \[B, 4\]",
        ),
    ],
)
def test_wrong_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_warning_of_a_regime_comes_from_the_circuit_inside():
    with pytest.warns(RegimeWarning, match="limit cycle"):
        LCAWTA(lca(), WTA(alpha=2.5, beta1=1.5, beta2=1.5)).drive(signals(1, 4))
