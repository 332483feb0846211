"""Associative memories: energies, retrieval, fixed points and their gradients."""

import pytest
import torch

from graphcolumns.nn.dynamics import (
    ClassicalHopfield,
    Descent,
    Euler,
    ModernHopfield,
    Unrolled,
    hebbian_weights,
    solve,
)


def signs(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, shape, generator=generator).double() * 2 - 1


PATTERNS = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
CUES = torch.randn(4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_step_is_attention():
    circuit = ModernHopfield(PATTERNS, beta=0.7)
    drive = circuit.drive(CUES)
    step = circuit.step(CUES, drive, 1.0)
    q, kv = CUES[None], PATTERNS[None]
    expected = torch.nn.functional.scaled_dot_product_attention(q, kv, kv, scale=0.7)[0]
    torch.testing.assert_close(step, expected)
    torch.testing.assert_close(circuit.attention(CUES, drive) @ PATTERNS, expected)
    torch.testing.assert_close(circuit.attention(CUES, drive).sum(1), torch.ones(4).double())


def test_flow_is_the_gradient_of_an_energy_that_is_not_negative():
    circuit = ModernHopfield(PATTERNS, beta=1.3)
    cues = CUES.clone().requires_grad_()
    drive = circuit.drive(cues)
    energy = circuit.energy(cues, drive)
    assert (energy >= 0).all()
    (gradient,) = torch.autograd.grad(energy.sum(), cues)
    torch.testing.assert_close(circuit.flow(cues, drive), -gradient)


@pytest.mark.parametrize("dt", [0.5, 1.0, 1.99])
@pytest.mark.parametrize("beta", [0.1, 1.0, 20.0])
def test_every_step_below_two_descends(dt, beta):
    circuit = ModernHopfield(PATTERNS, beta=beta)
    solution = solve(circuit, 3 * CUES, method=Euler(dt), record=1, max_steps=20, tolerance=0.0)
    values = torch.stack([circuit.energy(u, solution.drive) for u in solution.trajectory])
    assert (values.diff(dim=0) <= 1e-12).all()


def test_patterns_are_retrieved_from_noise_with_large_beta_and_averaged_with_small():
    patterns = signs(40, 32)
    flipped = patterns.clone()
    flipped[:, :4] *= -1
    sharp = solve(ModernHopfield(patterns, beta=1.0), flipped, method=Euler(1.0), tolerance=1e-9)
    assert sharp.converged.all()
    torch.testing.assert_close(sharp.output.sign(), patterns)
    vague = solve(ModernHopfield(patterns, beta=1e-3), flipped, method=Euler(1.0), tolerance=1e-9)
    expected = patterns.mean(0).expand(40, -1)
    torch.testing.assert_close(vague.output, expected, rtol=0, atol=1e-2)


def test_values_are_read_in_place_of_patterns():
    # Of one length, so that no pattern overlaps more with a longer one than with itself.
    patterns, values = torch.nn.functional.normalize(PATTERNS), torch.eye(6, dtype=torch.float64)
    circuit = ModernHopfield(patterns, beta=40.0, values=values)
    solution = solve(circuit, patterns, method=Euler(1.0))
    torch.testing.assert_close(solution.output, values, rtol=0, atol=1e-3)


def test_one_pattern_and_no_sample():
    one = solve(ModernHopfield(PATTERNS[:1]), CUES, method=Euler(1.0), tolerance=1e-12)
    torch.testing.assert_close(one.output, PATTERNS[:1].expand(4, -1))
    assert solve(ModernHopfield(PATTERNS), CUES[:0]).output.shape == (0, 8)


def test_the_implicit_gradient_is_that_of_all_steps():
    gradients = []
    for gradient in (None, Unrolled()):
        patterns = PATTERNS.clone().requires_grad_()
        circuit = ModernHopfield(patterns, beta=0.3)
        options = {"method": Euler(1.0), "tolerance": 1e-12, "gradient": gradient}
        solve(circuit, CUES, **options).output.sin().sum().backward()
        gradients.append(patterns.grad)
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-8)


def test_hebbian_weights_by_hand():
    weight = hebbian_weights(torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]))
    expected = torch.tensor([[0.0, 0.0, 2 / 3], [0.0, 0.0, 0.0], [2 / 3, 0.0, 0.0]])
    torch.testing.assert_close(weight, expected)


def test_a_few_patterns_are_fixed_points_and_attract():
    patterns = signs(4, 100)
    circuit = ClassicalHopfield(hebbian_weights(patterns))
    flipped = patterns.clone()
    flipped[:, :10] *= -1
    solution = solve(circuit, flipped, every=1)
    assert solution.converged.all()
    assert torch.equal(solution.output, patterns)
    assert (solution.iterations <= 3).all()


def test_sweeps_descend_and_end():
    patterns = signs(30, 40)
    circuit = ClassicalHopfield(hebbian_weights(patterns))
    solution = solve(circuit, signs(20, 40, seed=5), record=1, max_steps=60, every=1)
    assert solution.converged.all()
    values = torch.stack([circuit.energy(u, solution.drive) for u in solution.trajectory])
    assert (values.diff(dim=0) <= 1e-12).all()
    assert (circuit.flow(solution.state, solution.drive) == 0).all()


def test_a_sweep_is_unit_after_unit():
    weight = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], dtype=torch.float64)
    circuit = ClassicalHopfield(weight)
    cue = torch.ones(1, 2, dtype=torch.float64)
    drive = circuit.drive(cue)
    # All at once both would flip for ever; the first flips, and the second then stays.
    assert circuit.flow(cue, drive).tolist() == [[-2, -2]]
    assert circuit.step(cue, drive, 1.0).tolist() == [[-1, 1]]
    assert circuit.energy(cue, drive).item() == 1


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"patterns must have one row or more\. Got none"):
        ModernHopfield(PATTERNS[:0])
    with pytest.raises(ValueError, match=r"beta must be positive and finite\. Got -1"):
        ModernHopfield(PATTERNS, beta=-1.0)
    with pytest.raises(ValueError, match="patterns must be finite"):
        ModernHopfield(PATTERNS / 0)
    with pytest.raises(ValueError, match=r"values must .* Expected \[6, v\]\. Got \[8, 6\]"):
        ModernHopfield(PATTERNS, values=PATTERNS.T)
    with pytest.raises(ValueError, match=r"inputs must .* Expected \[B, 8\]\. Got \[4, 7\]"):
        ModernHopfield(PATTERNS).drive(CUES[:, :7])
    with pytest.raises(ValueError, match="inputs must be finite"):
        ModernHopfield(PATTERNS).drive(CUES * float("nan"))
    with pytest.raises(ValueError, match=r"patterns must be of \+1 and -1"):
        hebbian_weights(PATTERNS)
    with pytest.raises(ValueError, match=r"weight must be square, symmetric .* Got \[6, 8\]"):
        ClassicalHopfield(PATTERNS)
    with pytest.raises(ValueError, match="zero on its diagonal"):
        ClassicalHopfield(torch.eye(3))
    with pytest.raises(ValueError, match=r"inputs must .* Expected \[B, 3\]"):
        ClassicalHopfield(torch.zeros(3, 3)).drive(CUES)
    with pytest.raises(TypeError, match=r"patterns must be a floating tensor\. Got torch.int64"):
        hebbian_weights(torch.ones(2, 3, dtype=torch.long))


class Silent(ModernHopfield):
    def energy(self, state, drive):
        return None


def test_descent_needs_an_energy_and_a_halving():
    with pytest.raises(ValueError, match=r"Descent needs an energy\. Got Silent, which has none"):
        solve(Silent(PATTERNS), CUES, method=Descent())
    with pytest.raises(ValueError, match="halvings must be at least 1"):
        Descent(halvings=0)
    with pytest.raises(ValueError, match="dt must be positive"):
        solve(ModernHopfield(PATTERNS), CUES, method=Descent(dt=-1.0))


def test_descent_halves_what_would_ascend():
    circuit = ModernHopfield(PATTERNS, beta=0.01)
    drive = circuit.drive(10 * CUES)
    method = Descent(dt=5.0).ready(circuit, drive)
    state, memory = method.advance(circuit, 10 * CUES, drive, method.memory(CUES, 0), 0)
    # Curvature is 1 nearly everywhere: 5 and 2.5 ascend, 1.25 does not.
    expected = circuit.step(10 * CUES, drive, 1.25)
    torch.testing.assert_close(state, expected)
    assert memory[0].tolist() == [2.5] * 4
