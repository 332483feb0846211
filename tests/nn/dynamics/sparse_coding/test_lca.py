"""LCA with a dense dictionary: optimality against coordinate descent and by hand."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch.nn.functional import normalize

from graphcolumns.nn.dynamics import (
    LCA,
    Adam,
    Anderson,
    DivergenceError,
    Euler,
    Implicit,
    Unrolled,
    relaxation,
    solve,
)
from graphcolumns.nn.dynamics.sparse_coding.lca import method_for
from tests.nn.dynamics.sparse_coding.dictionaries import bumps, random_atoms, signals

VARIANTS = [{}, {"nonnegative": True}, {"hard": True}, {"hard": True, "nonnegative": True}]


def lasso(dictionary, x, weight, nonnegative):
    """Coordinate descent, run until nothing moves; scikit-learn divides the error by the size."""
    model = Lasso(
        alpha=weight / dictionary.shape[1],
        fit_intercept=False,
        positive=nonnegative,
        tol=1e-14,
        max_iter=1_000_000,
    )
    codes = [model.fit(dictionary.T.numpy(), row.numpy()).coef_ for row in x]
    return torch.from_numpy(np.stack(codes))


def objective(dictionary, x, codes, weight):
    error = x - codes @ dictionary
    return error.square().sum(1) / 2 + weight * codes.abs().sum(1)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(
    "dictionary", [random_atoms(), bumps(24, 16, 1.5)], ids=["random", "bumps"]
)
def test_codes_solve_the_lasso(dictionary, nonnegative):
    x = signals()
    circuit = LCA(dictionary, 0.1, nonnegative=nonnegative)
    solution = solve(circuit, x, tolerance=1e-9, max_steps=200_000, every=50)
    expected = lasso(dictionary, x, 0.1, nonnegative)
    best = objective(dictionary, x, expected, 0.1)
    assert solution.converged.all()
    torch.testing.assert_close(solution.energy, best, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        solution.energy, objective(dictionary, x, solution.output, 0.1), rtol=1e-12, atol=1e-14
    )


def test_one_active_unit_by_hand():
    # x = 2 phi_0 and an atom at an angle of 60 degrees: a_0 = 2 - .5, silent u_1 = 1 - .5 * 1.5.
    dictionary = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]], dtype=torch.float64)
    circuit = LCA(dictionary, 0.5)
    solution = solve(circuit, torch.tensor([[2.0, 0.0]], dtype=torch.float64), tolerance=1e-13)
    assert solution.output.tolist()[0] == pytest.approx([1.5, 0.0], abs=1e-12)
    # Half of .5 squared, plus .5 times 1.5.
    assert solution.energy.item() == pytest.approx(0.875, abs=1e-12)
    assert circuit.gap(solution.state, solution.drive).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_residual_is_zero_at_fixed_points_and_only_there(variant):
    circuit = LCA(random_atoms(), 0.15, **variant)
    method = method_for(circuit)
    solution = solve(circuit, signals(), method=method, tolerance=1e-12, max_steps=50_000)
    assert solution.converged.all()
    rates = circuit.flow(solution.state, solution.drive)
    active = solution.output != 0
    assert rates[active].abs().max() < 1e-10
    moved = solution.state + 0.01 * active
    assert (circuit.residual(moved, solution.drive) > 1e-4).all()


def test_residual_by_hand():
    circuit = LCA(torch.eye(3, dtype=torch.float64), 0.5)
    drive = circuit.drive(torch.tensor([[2.0, 0.9, -0.2]], dtype=torch.float64))
    # Codes 1, 0, 0. Active: |2 - 1 - .5|; silent: .9 - .5, and nothing.
    state = torch.tensor([[1.5, 0.0, 0.0]], dtype=torch.float64)
    assert circuit.residual(state, drive).item() == pytest.approx(0.5)
    hard = LCA(torch.eye(3, dtype=torch.float64), 0.5, hard=True)
    # Codes 1.5, 0, 0: the least-squares fit is 2.
    assert hard.residual(state, drive).item() == pytest.approx(0.5)
    assert hard.energy(state, drive).item() == pytest.approx((0.25 + 0.81 + 0.04) / 2 + 0.125)
    signed = LCA(torch.eye(3, dtype=torch.float64), 0.1, nonnegative=True)
    # -.2 pulls below zero, which is allowed where codes are non-negative.
    state = torch.tensor([[2.0, 0.9, 0.0]], dtype=torch.float64)
    assert signed.residual(state, drive).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_gap_bounds_the_distance_to_the_optimum(nonnegative):
    dictionary, x = random_atoms(), signals()
    circuit = LCA(dictionary, 0.1, nonnegative=nonnegative)
    best = solve(circuit, x, tolerance=1e-12, max_steps=100_000).energy
    for steps in (1, 5, 20, 80, 320):
        early = solve(circuit, x, max_steps=steps, tolerance=0.0)
        gap = circuit.gap(early.state, early.drive)
        assert ((early.energy - best) / early.energy <= gap + 1e-13).all()
        assert (gap <= 1).all()
    stopped = solve(circuit, x, stop="gap", tolerance=1e-8, max_steps=100_000)
    assert stopped.converged.all()
    assert ((stopped.energy - best) / best <= 1e-8).all()


def test_zero_input_and_hard_threshold_have_their_gaps():
    circuit = LCA(random_atoms(), 0.1)
    zero = solve(circuit, torch.zeros(1, 16, dtype=torch.float64), stop="gap", every=1)
    assert zero.iterations.item() == 1
    assert zero.energy.item() == 0
    with pytest.raises(ValueError, match="LCA has no duality gap"):
        solve(LCA(random_atoms(), 0.1, hard=True), signals(), stop="gap", method=Euler(0.1))


def test_a_hard_threshold_has_no_step_limit():
    hard, soft = (LCA(random_atoms(), 0.1, hard=h) for h in (True, False))
    assert hard.step_limit(hard.drive(signals())) is None
    with pytest.raises(ValueError, match="LCA has no"):
        solve(hard, signals())
    assert method_for(soft) is None
    alike = LCA(bumps(), 0.1, hard=True)
    assert method_for(LCA(torch.eye(2), 0.1, hard=True)) == Euler(0.5)
    assert method_for(alike).dt == pytest.approx(0.9 * alike.linear_step_limit(None))


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_small_steps_lower_the_energy(share):
    dictionary = random_atoms(size=40)
    circuit = LCA(dictionary, 0.1)
    dt = share * min(1.0, circuit.step_limit(circuit.drive(signals(size=40))))
    seen = relaxation(circuit, signals(size=40), method=Euler(dt), frames=60, every=1)
    assert (seen.energy.diff(dim=0) <= 1e-12).all()
    assert (seen.energy[-1] < 0.9 * seen.energy[0]).all()


def test_the_energy_falls_along_small_steps():
    for variant in VARIANTS[:2]:
        circuit = LCA(random_atoms(), 0.1, **variant)
        path = solve(circuit, signals(), method=Euler(0.02), record=1, max_steps=200, tolerance=0.0)
        energy = torch.stack([circuit.energy(u, path.drive) for u in path.trajectory])
        assert (energy.diff(dim=0) <= 1e-14).all()


def test_limit_is_two_over_the_largest_eigenvalue():
    for dictionary in (random_atoms(8, 16), random_atoms(40, 16), torch.eye(4)):
        circuit = LCA(dictionary, 0.1)
        top = torch.linalg.matrix_norm(dictionary, 2).item() ** 2
        drive = circuit.drive(dictionary[:1])
        assert circuit.step_limit(drive) == pytest.approx(2 / top)


def test_divergence_beyond_the_limit_once_all_units_are_active():
    dictionary = random_atoms()
    circuit = LCA(dictionary, 0.05)
    x = signals()
    drive = circuit.drive(x)
    # Along the eigenvector of the largest eigenvalue, all units above threshold.
    top = torch.linalg.eigh(drive.shared[0])[1][:, -1]
    far = (0.1 / top.abs().min() * top).expand(5, -1).contiguous()
    limit = circuit.step_limit(drive)
    assert solve(circuit, x, method=Euler(0.95 * limit), start=far).converged.all()
    with pytest.raises(DivergenceError, match=r"stable for dt < .* \(2/lambda_max"):
        solve(circuit, x, method=Euler(1.05 * limit, allow_unstable=True), start=far)
    # From zero few units are active, and their own limit is larger: the same step converges.
    near = solve(circuit, x, method=Euler(1.05 * limit, allow_unstable=True))
    assert near.converged.all()
    assert (circuit.active_step_limit(near.state, drive) > 1.05 * limit).all()


def test_limit_of_the_active_units():
    circuit = LCA(random_atoms(), 0.1)
    solution = solve(circuit, signals())
    limits = circuit.active_step_limit(solution.state, solution.drive)
    gram = solution.drive.shared[0]
    for limit, code in zip(limits, solution.output, strict=True):
        active = code.nonzero().flatten()
        top = torch.linalg.eigvalsh(gram[active][:, active])[-1]
        assert limit.item() == pytest.approx(2 / top.item(), rel=1e-6)
    silent = circuit.active_step_limit(0 * solution.state, solution.drive)
    assert silent.tolist() == [2.0] * 5


@pytest.mark.parametrize("variant", VARIANTS)
def test_implicit_gradients_are_those_of_all_steps(variant):
    grads = []
    for gradient in (Implicit(tolerance=1e-12), Unrolled()):
        raw = torch.randn(12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        raw.requires_grad_()
        x = signals(3, 8).requires_grad_()
        circuit = LCA(normalize(raw, dim=1), 0.2, **variant)
        options = {"method": method_for(circuit), "tolerance": 1e-12, "max_steps": 5000}
        solution = solve(circuit, x, gradient=gradient, **options)
        solution.output.square().sum().backward()
        grads.append((raw.grad, x.grad))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_state_optimizers_settle_with_decay_on_random_atoms():
    circuit, x = LCA(random_atoms(), 0.1), signals()
    settled = solve(circuit, x, method=Adam(0.05, decay=1e-3), tolerance=1e-6, max_steps=50_000)
    assert settled.converged.all()


def test_anderson_needs_fewer_iterations_on_atoms_that_are_alike():
    circuit, x = LCA(bumps(24, 16, 1.5), 0.1), signals()
    options = {"tolerance": 1e-8, "max_steps": 200_000, "every": 5}
    plain = solve(circuit, x, **options).iterations
    fast = solve(circuit, x, method=Anderson(), **options)
    assert fast.converged.all()
    assert fast.iterations.sum() < plain.sum() / 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LCA(2 * random_atoms(), 0.1), ValueError, r"Got 2 for atom \d+; pass torch.nn"),
        (lambda: LCA(torch.full((2, 2), float("nan")), 0.1), ValueError, "Got nan for atom 0"),
        (lambda: LCA(torch.ones(3), 0.1), ValueError, r"dictionary must be \[n, m\]"),
        (lambda: LCA(torch.ones(0, 3), 0.1), ValueError, r"Got \[0, 3\]"),
        (lambda: LCA(torch.eye(3, dtype=torch.int64), 0.1), TypeError, "floating tensor"),
        (lambda: LCA([[1.0]], 0.1), TypeError, "Got list"),
        (lambda: LCA(torch.eye(3), 0.0), ValueError, "threshold must be positive"),
        (lambda: LCA(torch.eye(3), float("inf")), ValueError, "threshold must be positive"),
        (lambda: LCA(torch.eye(3), float("nan")), ValueError, "threshold must be positive"),
        (lambda: solve(LCA(torch.eye(3), 1.0), torch.ones(2, 4)), ValueError, r"\[B, 3\]"),
        (lambda: solve(LCA(torch.eye(3), 1.0), torch.ones(3)), ValueError, r"\[B, 3\]"),
        (lambda: solve(LCA(torch.eye(3), 1.0), torch.ones(1, 3).double()), TypeError, "float32"),
        (
            lambda: solve(LCA(torch.eye(3), 1.0), torch.full((1, 3), float("nan"))),
            ValueError,
            "inputs must be finite",
        ),
        (
            lambda: solve(LCA(torch.eye(3), 1.0), torch.ones(1, 3), method=Euler(2.0)),
            ValueError,
            "Expected dt < 2",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_small_cases():
    empty = solve(LCA(random_atoms(), 0.1), torch.empty(0, 16, dtype=torch.float64))
    assert empty.output.shape == (0, 48)
    assert empty.energy.shape == (0,)
    single = solve(LCA(torch.ones(1, 1), 0.5), torch.tensor([[2.0]]), tolerance=1e-6)
    assert single.output.item() == pytest.approx(1.5, abs=1e-5)


@pytest.mark.parametrize("hard", [False, True])
def test_a_tensor_is_no_threshold(hard):
    with pytest.raises(TypeError, match=r"threshold must be one number. Got a tensor .*float\("):
        LCA(torch.eye(3), torch.tensor(0.3, requires_grad=True), hard=hard)
