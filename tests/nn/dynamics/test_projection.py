"""Projection networks against scipy's solvers, sorting and finite differences."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, lsq_linear, minimize, nnls

from graphcolumns.nn.dynamics import (
    Anderson,
    Ball,
    BoundedLeastSquares,
    Box,
    DivergenceError,
    Euler,
    HalfSpace,
    Implicit,
    KWinners,
    ProjectionNetwork,
    Simplex,
    VariationalInequality,
    solve,
)
from tests.nn.dynamics.circuits import positive

SIZE = 20
TIGHT = {"tolerance": 1e-12, "method": Anderson()}


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def skewed(size=SIZE, seed=0):
    """A strongly monotone matrix that is far from symmetric."""
    turn = draw(size, size, seed=seed) / size**0.5
    return positive(size, condition=3.0, seed=seed) + 1.5 * (turn - turn.T)


def named(value):
    return type(value).__name__


def kkt_violation(matrix, linear, x, lower, upper):
    """Largest violation of the conditions of a box, written out."""
    rate = x @ matrix.T + linear
    at_lower, at_upper = x <= lower + 1e-11, x >= upper - 1e-11
    wrong = torch.where(at_lower, (-rate).clamp(min=0), torch.where(at_upper, rate, rate.abs()))
    outside = torch.maximum(lower - x, x - upper).clamp(min=0)
    return max(float(wrong.clamp(min=0).max()), float(outside.max()))


@pytest.mark.parametrize(
    ("matrix", "size"), [(positive(SIZE), 3.5), (skewed(), 1.0)], ids=["symmetric", "skewed"]
)
def test_box_programs_meet_their_conditions(matrix, size):
    linear = size * draw(6, SIZE, seed=3)
    found = solve(ProjectionNetwork(matrix, Box(-0.3, 0.3)), linear, **TIGHT)
    assert found.converged.all()
    bound = (found.output.abs() >= 0.3 - 1e-11).double().mean()
    assert 0.35 < bound < 0.55
    assert kkt_violation(matrix, linear, found.output, -0.3, 0.3) < 1e-10
    assert found.energy.abs().max() < 1e-12


def test_quadratic_programs_are_those_of_scipy():
    matrix, linear = positive(8), draw(3, 8, seed=1)
    lower, upper = -draw(8, seed=2).abs(), draw(8, seed=3).abs()
    found = solve(ProjectionNetwork(matrix, Box(lower, upper)), linear, **TIGHT).output
    for q, x in zip(linear.numpy(), found.numpy(), strict=True):
        theirs = minimize(
            lambda x, q: x @ matrix.numpy() @ x / 2 + q @ x,
            np.zeros(8),
            (q,),
            jac=lambda x, q: matrix.numpy() @ x + q,
            bounds=list(zip(lower.tolist(), upper.tolist(), strict=True)),
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        np.testing.assert_allclose(x, theirs.x, atol=1e-6)


def test_least_squares_are_those_of_scipy():
    design, right = draw(12, 6), draw(4, 12, seed=1)
    nonnegative = solve(BoundedLeastSquares(design), right, **TIGHT).output
    boxed = solve(BoundedLeastSquares(design, Box(-0.1, 0.2)), right, **TIGHT).output
    for b, x, y in zip(right.numpy(), nonnegative.numpy(), boxed.numpy(), strict=True):
        np.testing.assert_allclose(x, nnls(design.numpy(), b)[0], atol=1e-10)
        theirs = lsq_linear(design.numpy(), b, (-0.1, 0.2), method="bvls", tol=1e-14)
        np.testing.assert_allclose(y, theirs.x, atol=1e-9)


def test_linear_programs_with_a_sum_are_those_of_linprog():
    linear = draw(5, 9, seed=4)
    program = ProjectionNetwork(torch.zeros(9, 9, dtype=torch.float64), Simplex(3.5, upper=1.0))
    found = solve(program, linear, tolerance=1e-12)
    assert found.converged.all()
    for q, x in zip(linear.numpy(), found.output, strict=True):
        theirs = linprog(q, A_eq=np.ones((1, 9)), b_eq=[3.5], bounds=(0, 1))
        np.testing.assert_allclose(x.numpy(), theirs.x, atol=1e-9)


@pytest.mark.parametrize("winners", [1, 3, 8])
def test_k_winners_are_the_first_of_the_sorted(winners):
    inputs = draw(6, 9).argsort(1).double() / 9
    expected = (inputs >= inputs.sort(1, descending=True).values[:, winners - 1 : winners]).double()
    circuit = solve(KWinners(winners, margin=0.1), inputs, tolerance=1e-12)
    assert circuit.converged.all()
    torch.testing.assert_close(circuit.output, expected, rtol=0, atol=1e-12)
    # The same quadratic program, with the sum in the projection.
    eye = 0.1 * torch.eye(9, dtype=torch.float64)
    program = ProjectionNetwork(eye, Simplex(float(winners), upper=1.0))
    torch.testing.assert_close(solve(program, -inputs, **TIGHT).output, expected)


def test_k_winners_with_ties_share_their_places_and_solve_the_program():
    inputs = torch.tensor([[1.0, 0.5, 0.5, 0.0], [0.3, 0.28, 0.27, 0.1]], dtype=torch.float64)
    found = solve(KWinners(2, margin=0.1), inputs, tolerance=1e-12).output
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.5, 0.5, 0.0], dtype=torch.float64))
    program = ProjectionNetwork(0.1 * torch.eye(4, dtype=torch.float64), Simplex(2.0, upper=1.0))
    torch.testing.assert_close(solve(program, -inputs, **TIGHT).output, found)


def test_the_energy_of_k_winners_is_the_integral_of_its_flow():
    circuit, inputs = KWinners(2, margin=0.3), draw(5, 7)
    drive = circuit.drive(inputs)
    y = draw(5, 1, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(circuit.energy(y, drive).sum(), y)
    torch.testing.assert_close(slope, -circuit.flow(y, drive))


# A rotation, whose gradient descent circles without strong monotonicity.
TURN = torch.tensor([[1.0, 2.0], [-2.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "feasible",
    [
        Box(0.0, 0.5),
        Ball(0.6),
        Ball(0.5, torch.tensor([0.3, -0.2], dtype=torch.float64)),
        Simplex(),
        Simplex(1.0, upper=0.7),
        HalfSpace(torch.tensor([1.0, 1.0], dtype=torch.float64), -0.5),
    ],
    ids=named,
)
def test_variational_inequalities_hold_for_every_point_of_the_set(feasible):
    def game(x, inputs):
        return x @ TURN.T + 0.1 * x**3 + inputs

    inputs = draw(4, 2, seed=5)
    # The cubic adds at most 3 * 0.1 * 2^2 to the constant of the matrix where |x| < 2.
    circuit = VariationalInequality(game, feasible, 2, modulus=1.0, lipschitz=5**0.5 + 1.2)
    found = solve(circuit, inputs, tolerance=1e-11)
    assert found.converged.all()
    assert found.output.abs().max() < 2
    others = feasible.project(3 * draw(200, 2, seed=6))
    rates = game(found.output, inputs)
    assert torch.einsum("bn,kbn->kb", rates, others[:, None] - found.output).min() > -1e-9


def test_the_regularised_gap_falls_along_the_flow():
    matrix, linear = skewed(), 2 * draw(4, SIZE, seed=3)
    circuit = ProjectionNetwork(matrix, Box(-0.3, 0.3))
    drive = circuit.drive(linear)
    factor = float(drive.shared[1])
    modulus = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    state = circuit.feasible.project(draw(4, SIZE, seed=7)).requires_grad_()
    (slope,) = torch.autograd.grad(circuit.energy(state, drive).sum(), state)
    flow = circuit.flow(state, drive)
    falls = -(slope * flow).sum(1)
    assert (falls >= modulus * flow.square().sum(1) - 1e-12).all()
    assert (circuit.energy(state, drive) > 0).all()
    assert factor > 0


def test_bounds_are_those_of_the_precision_of_the_state():
    assert Box(-0.3, 0.3).project(draw(9, 2)).max() == 0.3


def test_projections_are_the_nearest_points():
    x = 2 * draw(50, 5, seed=8)
    normal = draw(5, seed=9)
    sets = [
        Simplex(),
        Simplex(2.2, upper=0.6),
        Ball(0.7, normal),
        HalfSpace(normal, 0.3),
        Box(-0.4, 1.0),
    ]
    for feasible in sets:
        nearest = feasible.project(x)
        torch.testing.assert_close(feasible.project(nearest), nearest, rtol=0, atol=1e-12)
        others = feasible.project(2 * draw(60, 5, seed=10))
        # The angle between what was cut off and every direction into the set is obtuse.
        products = torch.einsum("bn,kbn->kb", x - nearest, others[:, None] - nearest)
        assert products.max() < 1e-10
    for total, upper in ((1.0, float("inf")), (2.2, 0.6), (3.0, 0.6)):
        projected = Simplex(total, upper).project(x)
        torch.testing.assert_close(projected.sum(1), torch.full((50,), total, dtype=torch.float64))
        assert projected.min() >= 0
        assert projected.max() <= upper


def test_one_unknown_equal_values_and_an_empty_batch():
    assert Simplex(2.0).project(torch.tensor([[-3.0]])).tolist() == [[2.0]]
    assert Simplex().project(torch.zeros(1, 4)).tolist() == [[0.25] * 4]
    assert Simplex(2.0, upper=1.0).project(torch.tensor([[5.0, 5.0, -5.0]])).tolist() == [[1, 1, 0]]
    program = ProjectionNetwork(torch.eye(1), Box(0.0))
    assert solve(program, torch.zeros(0, 1)).output.shape == (0, 1)
    torch.testing.assert_close(
        solve(program, torch.tensor([[-2.0]]), tolerance=1e-6).output[0, 0].item(), 2.0
    )


@pytest.mark.parametrize("feasible", [Box(-0.5, 0.4), Simplex(), Ball(0.5)], ids=named)
def test_gradients_of_the_solution_are_finite_differences(feasible):
    def solution(matrix, linear):
        symmetric = matrix @ matrix.T + torch.eye(5, dtype=matrix.dtype)
        options = {"gradient": Implicit(tolerance=1e-11), **TIGHT}
        return solve(ProjectionNetwork(symmetric, feasible), linear, **options).output

    arguments = draw(5, 5, seed=1).requires_grad_(), draw(2, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(solution, arguments, eps=1e-5, atol=1e-5, rtol=1e-3)


def test_gradients_reach_bounds():
    def solution(upper):
        program = ProjectionNetwork(positive(5, 4.0), Box(-1.0, upper))
        return solve(
            program, draw(2, 5, seed=2), gradient=Implicit(tolerance=1e-11), **TIGHT
        ).output

    upper = torch.full((5,), 0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(solution, (upper,), eps=1e-5, atol=1e-5, rtol=1e-3)


def test_the_limits_of_the_theorems():
    eye = torch.eye(3, dtype=torch.float64)
    # Averaged with 2 / (4 - alpha L): 2 - 1 / 2 at alpha = 1 / L.
    assert limit(ProjectionNetwork(5 * eye, Box())) == pytest.approx(1.5)
    assert limit(ProjectionNetwork(eye, Box(), scale=1.9)) == pytest.approx(2 - 0.95)
    assert limit(ProjectionNetwork(eye, Box(), scale=2.0)) is None
    # mu = 1, L = sqrt 5, alpha = 1 / 5: rho^2 = 1 - 1 / 5.
    assert limit(ProjectionNetwork(TURN, Box()), 2) == pytest.approx(2 / (1 + 0.8**0.5))
    assert limit(ProjectionNetwork(TURN, Box(), scale=0.41), 2) is None
    unknown = VariationalInequality(lambda x, q: x + q, Box(), 3)
    assert unknown.step_limit(unknown.drive(draw(1, 3))) is None


def limit(circuit, size=3):
    return circuit.step_limit(circuit.drive(draw(1, size)))


@pytest.mark.parametrize("matrix", [positive(SIZE), skewed()], ids=["symmetric", "skewed"])
@pytest.mark.parametrize("share", [0.5, 1.0, 1.8])
def test_every_step_below_the_limit_converges(matrix, share):
    modulus = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    bound = float(torch.linalg.matrix_norm(matrix, 2))
    largest = (1 / bound if matrix.equal(matrix.T) else modulus / bound**2) * share
    circuit = ProjectionNetwork(matrix, Box(-0.3, 0.3), scale=largest)
    method = Euler(0.999 * circuit.step_limit(circuit.drive(draw(1, SIZE))))
    found = solve(circuit, 1.4 * draw(3, SIZE, seed=3), method=method, tolerance=1e-6)
    assert found.converged.all()


def test_a_step_beyond_the_limit_of_a_free_program_diverges():
    matrix = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    circuit = ProjectionNetwork(matrix, Box(), scale=0.25)
    with pytest.raises(DivergenceError):
        solve(circuit, draw(1, 2), method=Euler(2.1, allow_unstable=True))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (
            torch.diag(torch.tensor([1.0, -0.5])),
            r"not monotone: .* eigenvalue is -0.5",
        ),
        (torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), "is monotone, but not strongly"),
        (torch.tensor([[0.1, 3.0], [0.0, 0.1]]), r"not monotone: .* eigenvalue is -1.4"),
        (torch.ones(2, 3), r"matrix must be square, \[n, n\]. Got \[2, 3\]"),
        (torch.eye(2) / 0, "matrix must be finite"),
    ],
)
def test_matrices_for_which_nothing_is_proven(matrix, message):
    with pytest.raises(ValueError, match=message):
        solve(ProjectionNetwork(matrix, Box()), torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(1.0, 0.0), "lower must be at most upper"),
        (lambda: Box(torch.zeros(2), torch.tensor([1.0, -1.0])), "lower must be at most upper"),
        (lambda: Box(float("nan")), "lower must be at most upper"),
        (lambda: Ball(-1.0), "radius must be 0 or more"),
        (lambda: HalfSpace(torch.zeros(2)), "normal must be a finite vector"),
        (lambda: Simplex(0.0), "total must be positive"),
        (lambda: Simplex(1.0, upper=0.0), "upper positive"),
        (lambda: KWinners(0), "winners must be at least 1"),
        (lambda: KWinners(1, margin=0.0), "margin must be positive"),
        (lambda: ProjectionNetwork(torch.eye(2), Box(), scale=0.0), "scale must be positive"),
        (
            lambda: VariationalInequality(torch.sin, Box(), 2, modulus=0.0),
            "modulus must be positive",
        ),
        (
            lambda: VariationalInequality(torch.sin, Box(), 2, modulus=2.0, lipschitz=1.0),
            "lipschitz at least as large",
        ),
    ],
)
def test_wrong_values(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("circuit", "inputs", "message"),
    [
        (
            ProjectionNetwork(torch.eye(2), Box(torch.zeros(3))),
            torch.zeros(1, 2),
            r"\[2\]. Got \[3\]",
        ),
        (ProjectionNetwork(torch.eye(2), Ball(1.0, torch.zeros(3))), torch.zeros(1, 2), "center"),
        (ProjectionNetwork(torch.eye(2), HalfSpace(torch.ones(3))), torch.zeros(1, 2), "normal"),
        (
            ProjectionNetwork(torch.eye(2), Simplex(3.0, upper=1.0)),
            torch.zeros(1, 2),
            "set is empty",
        ),
        (ProjectionNetwork(torch.eye(2), Box()), torch.zeros(1, 3), r"\[B, 2\]. Got \[1, 3\]"),
        (ProjectionNetwork(torch.eye(2), Box()), torch.ones(1, 2) / 0, "inputs must be finite"),
        (BoundedLeastSquares(torch.ones(3, 2)), torch.zeros(1, 2), "one value per row"),
        (KWinners(2), torch.zeros(1, 2), r"n above winners=2. Got \[1, 2\]"),
        (KWinners(1), torch.zeros(1, 2) / 0, "inputs must be finite"),
        (
            VariationalInequality(lambda x, q: q[:, :1], Box(), 2),
            torch.zeros(1, 2),
            r"Got \[1, 1\]",
        ),
    ],
)
def test_wrong_inputs(circuit, inputs, message):
    with pytest.raises(ValueError, match=message):
        solve(circuit, inputs, method=Euler(0.1))
