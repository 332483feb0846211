"""Exact steps of sparse coding."""

import pytest
import torch

from graphcolumns.nn.dynamics import LCA, ActiveSet, ConvLCA, Implicit, Unrolled, solve
from tests.nn.dynamics.sparse_coding.dictionaries import bumps, random_atoms, signals


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("dictionary", [random_atoms(), bumps(40, 16, 1.5)], ids=["any", "bumps"])
def test_the_lasso_is_solved_to_rounding(dictionary, nonnegative):
    circuit = LCA(dictionary, 0.05, nonnegative=nonnegative)
    solution = solve(
        circuit, signals(20), method=ActiveSet(), tolerance=1e-9, max_steps=300, every=1
    )
    assert solution.converged.all()
    assert circuit.gap(solution.state, solution.drive).max() < 1e-8
    # It is the state at which the circuit rests.
    assert circuit.flow(solution.state, solution.drive).abs().max() < 1e-9
    assert (solution.iterations >= (solution.output != 0).sum(1)).all()


def test_the_objective_falls_in_every_iteration():
    circuit = LCA(bumps(40, 16, 1.5), 0.05)
    options = {"tolerance": 0.0, "max_steps": 40, "every": 1, "record": 1}
    path = solve(circuit, signals(8), method=ActiveSet(), **options)
    energy = torch.stack([circuit.energy(u, path.drive) for u in path.trajectory])
    assert (energy.diff(dim=0) <= 1e-12).all()


def test_from_any_start_and_with_equal_atoms():
    dictionary = torch.cat([random_atoms(8, 16), random_atoms(8, 16)])
    circuit, x = LCA(dictionary, 0.05), signals()
    start = 3 * random_atoms(5, 16, seed=7)
    solution = solve(circuit, x, method=ActiveSet(), start=start, tolerance=1e-9, every=1)
    plain = solve(circuit, x, tolerance=1e-9)
    assert solution.converged.all()
    torch.testing.assert_close(solution.energy, plain.energy, rtol=1e-8, atol=0)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_unrolled_gradients_are_those_of_the_fixed_point(nonnegative):
    dictionary, x = random_atoms(12, 6), signals(5, 6)
    weights = random_atoms(5, 12, seed=3)

    def gradients(method):
        d, inputs = dictionary.clone().requires_grad_(), x.clone().requires_grad_()
        options = {"method": ActiveSet(), "every": 1, "tolerance": 1e-11, "gradient": method}
        output = solve(LCA(d, 0.1, nonnegative=nonnegative), inputs, **options).output
        return output, torch.autograd.grad((output * weights).sum(), (inputs, d))

    output, ours = gradients(Unrolled())
    torch.testing.assert_close(ours, gradients(Implicit())[1], rtol=1e-3, atol=1e-4)
    for code, weight, ours_of_sample in zip(output, weights, ours[0], strict=True):
        atoms = dictionary[code != 0]
        # a_A = G_AA^-1 (Phi_A x - lambda s), differentiated by x.
        closed = atoms.T @ torch.linalg.solve(atoms @ atoms.T, weight[code != 0])
        torch.testing.assert_close(ours_of_sample, closed, rtol=1e-8, atol=1e-8)


def test_an_empty_batch():
    x = torch.zeros(0, 3, requires_grad=True)
    solution = solve(LCA(torch.eye(3), 0.1), x, method=ActiveSet(), every=1, gradient=Unrolled())
    assert solution.output.shape == (0, 3)


def test_circuits_that_it_does_not_solve():
    conv = ConvLCA(torch.ones(1, 1, 1), 0.1)
    with pytest.raises(TypeError, match=r"ActiveSet solves LCA\. Got ConvLCA"):
        solve(conv, torch.ones(1, 1, 3), method=ActiveSet())
    with pytest.raises(ValueError, match="Got hard=True"):
        solve(LCA(torch.eye(2), 0.1, hard=True), torch.ones(1, 2), method=ActiveSet())
