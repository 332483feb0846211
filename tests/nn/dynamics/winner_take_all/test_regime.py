"""The phase diagram, against integration of the equations by SciPy."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from graphcolumns.nn.dynamics import (
    WTA,
    DivergenceError,
    Euler,
    Regime,
    RegimeWarning,
    regime_of,
    solve,
)


def trajectory(alpha, beta1, beta2, inputs, until):
    """Rates of excitatory units and of the inhibitory one from SciPy, in the last half."""
    inputs = np.asarray(inputs, dtype=float)

    def flow(_, z):
        x, y = z[:-1], z[-1]
        dx = -x + np.maximum(inputs + alpha * x - beta1 * y, 0)
        return np.append(dx, -y + max(beta2 * x.sum(), 0))

    def beyond(_, z):
        return z.max() - 1e6

    beyond.terminal = True
    times = np.linspace(until / 2, until, 2000)
    options = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-9, "t_eval": times, "events": beyond}
    return solve_ivp(flow, (0, until), np.zeros(len(inputs) + 1), **options)


def seen(alpha, beta):
    """The regime, from how the trajectory ends."""
    run = trajectory(alpha, beta**0.5, beta**0.5, [1.0, 0.8, 0.1], 150)
    if run.status == 1:
        return Regime.UNBOUNDED
    if np.ptp(run.y, axis=1).max() > 1e-2:
        return Regime.LIMIT_CYCLE
    return Regime.SINGLE_WINNER if alpha >= 1 else Regime.SOFT


@pytest.mark.parametrize("beta", [0.3, 0.64, 1.2, 2.25])
@pytest.mark.parametrize("alpha", [0.2, 0.9, 1.1, 1.5, 1.8, 2.3, 3.3])
def test_the_phase_diagram(alpha, beta):
    assert regime_of(alpha, beta) is seen(alpha, beta)


@pytest.mark.parametrize(
    ("alpha", "exact", "coarse"), [(2.05, 1.25688, 1.2700), (2.5, 4.31312, 4.3393)]
)
def test_amplitudes_of_limit_cycles(alpha, exact, coarse):
    # beta1 = beta2 = 1.5, one unit with input 1: from least to largest rate.
    run = trajectory(alpha, 1.5, 1.5, [1.0], 200)
    assert np.ptp(run.y[0]) == pytest.approx(exact, abs=2e-4)
    start = torch.tensor(run.y[:, -1:])
    circuit = WTA(alpha=alpha, beta1=1.5, beta2=1.5)
    with pytest.warns(RegimeWarning):
        solution = solve(
            circuit,
            torch.ones(1, 1, dtype=torch.float64),
            method=Euler(0.005),
            start=(start[:1], start[1:]),
            max_steps=5000,
            every=5000,
            record=1,
        )
    # Euler steps of 0.005 enlarge it.
    late = solution.trajectory[0][3000:]
    assert (late.max() - late.min()).item() == pytest.approx(coarse, abs=1e-4)


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.9])
def test_contraction_to_a_winner_in_the_region_of_the_paper(beta):
    """The symmetric part of the Jacobian is negative in the metric of its eigenvectors."""
    for alpha in np.linspace(1.001, 2 * np.sqrt(beta) - 0.001, 7):
        if alpha <= 1:
            continue
        assert regime_of(alpha, beta) is Regime.SINGLE_WINNER
        jacobian = np.array([[alpha - 1, -np.sqrt(beta)], [np.sqrt(beta), -1]])
        vectors = np.linalg.eig(jacobian).eigenvectors
        general = np.linalg.solve(vectors, jacobian @ vectors)
        symmetric = (general + general.conj().T) / 2
        largest = np.linalg.eigvalsh(symmetric)[-1]
        assert largest == pytest.approx((alpha - 2) / 2)
        assert largest < 0


def test_boundaries_belong_to_the_regime_beyond():
    assert regime_of(1.0, 1.0) is Regime.SINGLE_WINNER
    assert regime_of(1.3, 0.3) is Regime.UNBOUNDED
    assert regime_of(2.0, 1.0) is Regime.UNBOUNDED
    assert regime_of(2.0, 1.5) is Regime.LIMIT_CYCLE
    assert regime_of(3.0, 2.25) is Regime.UNBOUNDED


def test_the_warning_names_the_regime():
    inputs = torch.tensor([[1.0, 0.5]])
    with pytest.warns(RegimeWarning, match=r"WTA in the regime 'limit cycle' with alpha=2.5, beta"):
        solve(WTA(alpha=2.5, beta1=1.5, beta2=1.5), inputs, method=Euler(0.05), max_steps=100)
    unbounded = WTA(alpha=1.9, beta1=0.5, beta2=0.5)
    with pytest.warns(RegimeWarning, match="'unbounded'"), pytest.raises(DivergenceError):
        solve(unbounded, inputs, method=Euler(0.5))
    with (
        pytest.warns(RegimeWarning),
        pytest.raises(ValueError, match="WTA has no proven step limit"),
    ):
        solve(unbounded, inputs)


def test_no_fixed_point_where_none_is_stable():
    with pytest.raises(ValueError, match=r"Expected alpha < min\(2, 1 \+ beta\).*'limit cycle'"):
        WTA(alpha=2.5, beta1=1.5, beta2=1.5).fixed_point(torch.ones(1, 2))


@pytest.mark.parametrize(("alpha", "beta"), [(-0.1, 1), (1, -1), (float("nan"), 1)])
def test_wrong_parameters(alpha, beta):
    with pytest.raises(ValueError, match="alpha and beta must be 0 or more"):
        regime_of(alpha, beta)
