"""The variant in which silent units inhibit: what it solves, exactly, and how its Adam moves."""

from math import pi, sqrt

import pytest
import torch

from graphcolumns.nn.dynamics import FlooredLCA, solve
from tests.nn.dynamics.sparse_coding.dictionaries import bumps, random_atoms, signals


def violation(dictionary, x, codes, weights):
    """Karush-Kuhn-Tucker conditions of a non-negative LASSO with a weight per unit."""
    pull = (x - codes @ dictionary) @ dictionary.T - weights
    return torch.where(codes > 0, pull.abs(), pull.clamp(min=0)).max().item()


def overlaps(dictionary):
    gram = dictionary @ dictionary.T
    return gram.sum(1) - gram.diagonal()


@pytest.mark.parametrize("dictionary", [random_atoms(), bumps(24, 16, 1.0).abs()])
@pytest.mark.parametrize(("subtract", "base"), [(True, 2), (False, 1)])
def test_weights_of_the_lasso_that_it_solves(dictionary, subtract, base):
    x, threshold = 3 * signals(), 0.02
    circuit = FlooredLCA(dictionary, threshold, subtract=subtract)
    # The rate of change itself: the optimality conditions are the claim.
    solution = solve(
        circuit,
        x,
        stop=lambda c, u, d: c.flow(u, d).abs().amax(1),
        tolerance=2e-13,
        max_steps=100_000,
        every=100,
    )
    weights = threshold * (base + overlaps(dictionary))
    assert solution.distance.max() < 1e-12
    assert violation(dictionary, x, solution.output, weights) < 1e-12
    assert circuit.residual(solution.state, solution.drive).max() < 1e-12
    torch.testing.assert_close(circuit.penalty(solution.drive), weights)
    expected = (x - solution.output @ dictionary).square().sum(1) / 2
    expected = expected + (weights * solution.output).sum(1)
    torch.testing.assert_close(solution.energy, expected)


def toy():
    """64 bumps whose overlaps sum to 11.69 per unit, and a signal of two of them, far apart."""
    dictionary = bumps(64, 64, (11.69 + 1) / (2 * sqrt(pi)))
    return dictionary, (dictionary[14] + 1.5 * dictionary[44])[None]


def test_amplitudes_of_two_bumps_come_back_too_small():
    dictionary, x = toy()
    solution = solve(FlooredLCA(dictionary, 0.02), x, tolerance=1e-11, max_steps=400_000, every=100)
    assert solution.output[0].nonzero().flatten().tolist() == [14, 44]
    assert solution.output[0, [14, 44]].tolist() == pytest.approx([0.726, 1.226], abs=1e-3)
    # The bias is the weight of the unit, 13.69 thresholds, where LCA has one.
    bias = torch.tensor([1.0, 1.5], dtype=torch.float64) - solution.output[0, [14, 44]]
    assert (bias / 0.02).tolist() == pytest.approx([13.69, 13.69], abs=0.01)


def test_the_published_adam_finds_the_support_and_never_settles():
    """No correction of the start, and the step is divided by beta1: u + (tau / b1) m / sqrt(v)."""
    dictionary, x = toy()
    circuit = FlooredLCA(dictionary, 0.02)
    drive = circuit.drive(x)
    tau, b1, b2 = 0.01, 0.55, 0.7
    u = circuit.initial(drive)
    m, v = torch.zeros_like(u), torch.zeros_like(u)
    speeds, supports = [], []
    for _ in range(2000):
        du = circuit.flow(u, drive)
        m = b1 * m + (1 - b1) * du
        v = b2 * v + (1 - b2) * du.square()
        # The published code adds machine epsilon in float32.
        u = u + tau / b1 * m / ((v / b2).sqrt() + 1.2e-7)
        speeds.append(du.norm().item())
        supports.append(circuit.output(u, drive)[0].nonzero().flatten().tolist())
    settled = solve(circuit, x, tolerance=1e-9, max_steps=400_000, every=100)
    assert supports[1000] == settled.output[0].nonzero().flatten().tolist()
    late = torch.tensor(speeds[1000:])
    # A limit cycle: the rate of change neither falls to zero nor grows.
    assert late.min() > 1e-3
    assert late[:500].mean() / late[500:].mean() == pytest.approx(1, abs=0.2)


def test_no_gap_and_wrong_arguments():
    with pytest.raises(ValueError, match="FlooredLCA has no duality gap"):
        solve(FlooredLCA(random_atoms(), 0.1), signals(), stop="gap")
    with pytest.raises(ValueError, match="atoms must have unit norm"):
        FlooredLCA(2 * random_atoms(), 0.1)
    with pytest.raises(ValueError, match="threshold must be positive"):
        FlooredLCA(random_atoms(), -0.1)
