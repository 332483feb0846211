"""The solver on circuits whose fixed points are known."""

import pytest
import torch

from graphcolumns.nn.dynamics import (
    LCA,
    Adam,
    Adaptive,
    Anderson,
    DivergenceError,
    Euler,
    Heun,
    Momentum,
    RMSProp,
    follow,
    solve,
)
from tests.nn.dynamics.circuits import Linear, Tanh, positive, tanh_weight

METHODS = [
    Euler(),
    Heun(),
    Adaptive(),
    Anderson(),
    Momentum(0.05),
    Momentum(0.05, beta=0.0),
    RMSProp(0.01, decay=0.003),
    Adam(0.02, decay=0.003),
]
INPUTS = torch.randn(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_every_method_solves_a_linear_system(method):
    matrix = positive()
    solution = solve(Linear(matrix), INPUTS, method=method, tolerance=1e-7)
    expected = torch.linalg.solve(matrix, INPUTS.flatten(1)).reshape_as(INPUTS)
    assert solution.converged.all()
    torch.testing.assert_close(solution.output, expected, rtol=0, atol=1e-6)
    assert (solution.distance <= 1e-7).all()


def test_adam_at_a_constant_step_need_not_settle():
    moving = solve(Linear(positive()), INPUTS, method=Adam(0.05), tolerance=1e-9, max_steps=3000)
    settling = solve(
        Linear(positive()), INPUTS, method=Adam(0.05, decay=0.01), tolerance=1e-9, max_steps=3000
    )
    assert settling.distance.max() < moving.distance.max() or settling.converged.all()


def test_samples_do_not_depend_on_each_other():
    circuit, inputs = Tanh(tanh_weight()), 3 * torch.randn(7, 6, dtype=torch.float64)
    inputs[2] = 0
    together = solve(circuit, inputs, tolerance=1e-10, every=1)
    for i in range(7):
        alone = solve(circuit, inputs[i : i + 1], tolerance=1e-10, every=1)
        assert alone.iterations.item() == together.iterations[i]
        torch.testing.assert_close(alone.output[0], together.output[i], rtol=0, atol=1e-14)
    assert together.iterations[2] == 1
    assert together.iterations.unique().numel() > 1


def test_samples_that_have_arrived_cost_nothing():
    rows = []

    class Counting(Tanh):
        def flow(self, state, drive):
            rows.append(len(state))
            return super().flow(state, drive)

    inputs = torch.zeros(50, 6, dtype=torch.float64)
    inputs[0] = 2
    solution = solve(Counting(tanh_weight()), inputs, tolerance=1e-12, every=1)
    assert solution.iterations[1:].eq(1).all()
    assert solution.iterations[0] > 10
    assert rows.count(50) <= 3
    assert rows.count(1) > 10


def test_warm_start_and_primed_start():
    circuit, inputs = Tanh(tanh_weight()), torch.randn(4, 6, dtype=torch.float64)
    first = solve(circuit, inputs, tolerance=1e-8, every=1)
    warm = solve(circuit, inputs + 1e-6, start=first.state, tolerance=1e-8, every=1)
    assert warm.iterations.max() < first.iterations.min()
    primed = solve(circuit, inputs, start=lambda x, drive: first.state, tolerance=1e-8, every=1)
    assert (primed.iterations == 1).all()


def test_trajectory_and_no_early_leave():
    circuit, inputs = Linear(positive()), INPUTS
    solution = solve(circuit, inputs, record=5, max_steps=20, tolerance=0.0)
    assert [tuple(u.shape) for u in solution.trajectory] == [(5, 5, 3, 2)] * 2
    torch.testing.assert_close(solution.trajectory[0][-1], solution.state[0])
    assert not solution.converged.any()


def test_follow_goes_on_from_the_last_state_and_layers_have_their_own_speed():
    circuit = Linear(torch.eye(2, dtype=torch.float64))
    frames = torch.ones(3, 2, 1, 1, dtype=torch.float64)
    method = Euler(0.5, time_constants=(1, 5))
    outputs, state = follow(circuit, frames, method=method)
    # By hand: u = 1 - 2^-k; v += 0.1 (u - v), each from the values before the step.
    assert outputs[:, 0, 0, 0].tolist() == pytest.approx([0.0, 0.05, 0.12])
    more, _ = follow(circuit, frames[:1], method=method, state=state)
    whole, _ = follow(circuit, frames[:1].expand(4, -1, -1, -1), method=method)
    torch.testing.assert_close(more[0], whole[3])


def test_divergence_names_the_limit():
    circuit = Linear(positive())
    limit = circuit.step_limit(circuit.drive(INPUTS))
    with pytest.raises(DivergenceError, match=rf"dt=.*stable for dt < {limit:.6g} \(2/lambda_max"):
        solve(circuit, INPUTS, method=Euler(1.05 * limit, allow_unstable=True))
    assert solve(circuit, INPUTS, method=Euler(0.95 * limit)).converged.all()


def test_divergence_below_the_limit_blames_the_weights():
    class Claims(Linear):
        def step_limit(self, drive):
            return 1.0

    with pytest.raises(DivergenceError, match="below the limit of the circuit"):
        solve(Claims(positive()), INPUTS, method=Euler(0.5))


def test_following_is_checked_like_solving():
    circuit = Linear(positive())
    with pytest.raises(DivergenceError, match="stable for dt <"):
        follow(circuit, [INPUTS] * 3, method=Euler(0.5, allow_unstable=True), steps=50)
    with pytest.raises(ValueError, match="start must have the shapes"):
        follow(circuit, [INPUTS, INPUTS[:, :2]])
    with pytest.raises(TypeError, match=r"start must have the dtypes.*float32"):
        solve(circuit, INPUTS, start=tuple(u.float() for u in solve(circuit, INPUTS).state))


def test_nan_is_an_error():
    inputs = INPUTS.clone()
    inputs[0, 1, 0] = float("nan")
    with pytest.raises(DivergenceError, match="must stay finite"):
        solve(Linear(positive()), inputs)


def test_anderson_survives_a_singular_system():
    # Equal residuals make the system of the coefficients singular.
    circuit = Linear(torch.eye(4, dtype=torch.float64))
    inputs = torch.ones(4, 2, 1, dtype=torch.float64)
    method = Anderson(depth=4, regularisation=0.0)
    solution = solve(circuit, inputs, method=method, tolerance=1e-12, every=1)
    assert solution.converged.all()
    zero = solve(circuit, 0 * inputs, method=method, max_steps=10, tolerance=0.0)
    assert zero.output.eq(0).all()


def test_an_empty_batch():
    solution = solve(Tanh(tanh_weight()), torch.empty(0, 6, dtype=torch.float64))
    assert solution.output.shape == (0, 6)
    assert solution.iterations.shape == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1.0}, "tolerance must be 0 or more"),
        ({"tolerance": float("nan")}, "tolerance must be 0 or more"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"stop": "kkt"}, "stop must be one of residual, change, gap"),
        ({"stop": "gap"}, "Tanh has no duality gap"),
        ({"start": torch.zeros(1, 6)}, r"Expected \[\(2, 6\)\]. Got \[\(1, 6\)\]"),
        ({"method": Euler(2.0)}, "Expected dt < 1.42857. Got 2; pass dt=None"),
        ({"method": Euler(-1.0)}, "dt must be positive"),
        ({"method": Euler(0.1, time_constants=(1, 2))}, "Expected 1. Got 2"),
        ({"method": Euler(0.1, time_constants=(0.5,))}, "time_constants must be 1 or more"),
        ({"method": Adaptive(tolerance=0.0)}, "tolerance must be positive"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        solve(Tanh(tanh_weight()), torch.zeros(2, 6, dtype=torch.float64), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(rate=0.0),
        lambda: Adam(betas=(0.9, 1.0)),
        lambda: Momentum(beta=1.0),
        lambda: RMSProp(decay=-0.1),
        lambda: Anderson(depth=0),
        lambda: Anderson(mixing=0.0),
    ],
)
def test_wrong_methods(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_a_circuit_without_a_limit_needs_a_time_step():
    class Unknown(Tanh):
        def step_limit(self, drive):
            return None

    inputs = torch.zeros(2, 6, dtype=torch.float64)
    with pytest.raises(ValueError, match="Unknown has no proven step limit"):
        solve(Unknown(tanh_weight()), inputs)
    assert solve(Unknown(tanh_weight()), inputs, method=Euler(0.5)).converged.all()


def test_autocast_is_off_in_solve_and_follow():
    circuit, x = LCA(torch.eye(3), 0.1), torch.rand(2, 3)
    expected = solve(circuit, x).output
    frames, _ = follow(circuit, [x, x])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(solve(circuit, x).output, expected)
        assert torch.equal(follow(circuit, [x, x])[0], frames)
