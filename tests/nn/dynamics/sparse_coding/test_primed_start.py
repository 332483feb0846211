"""Starts that are predicted: the same fixed points, from nearer by."""

import pytest
import torch

from graphcolumns.nn.dynamics import (
    LCA,
    ConvLCA,
    EdgeLCA,
    LearnedStart,
    atom_edges,
    fit_start,
    lateral_edges,
    ridge_start,
    solve,
)
from tests.nn.dynamics.sparse_coding.dictionaries import band, random_atoms, signals


def test_ridge_codes_as_a_state():
    dictionary, x = random_atoms(), signals()
    circuit = LCA(dictionary, 0.1)
    drive = circuit.drive(x)
    state = ridge_start(circuit, 0.3)(x, drive)
    gram = dictionary @ dictionary.T
    codes = torch.linalg.solve(
        gram + 0.3 * torch.eye(48, dtype=torch.float64), drive.samples[0].T
    ).T
    # The state at which a unit with this code rests: b - (G - I) a.
    torch.testing.assert_close(state, drive.samples[0] - codes @ gram + codes)
    ours = solve(circuit, x, start=ridge_start(circuit, 0.3), tolerance=1e-10, max_steps=50_000)
    theirs = solve(circuit, x, tolerance=1e-10, max_steps=50_000)
    torch.testing.assert_close(ours.energy, theirs.energy, rtol=1e-9, atol=0)


def test_a_learned_start_is_nearer_on_inputs_it_has_not_seen():
    circuit = LCA(random_atoms(24, 16), 0.2)
    seen, x = signals(400), signals(40, seed=9)
    start = fit_start(circuit, seen, hidden=64, steps=400, rate=3e-3)
    options = {"tolerance": 1e-8, "max_steps": 20_000, "every": 1}
    ours, theirs = solve(circuit, x, start=start, **options), solve(circuit, x, **options)
    torch.testing.assert_close(ours.output, theirs.output, rtol=0, atol=1e-5)
    drive = theirs.drive
    error = (start(x, drive) - theirs.state).norm() / theirs.state.norm()
    assert error < (drive.samples[0] - theirs.state).norm() / theirs.state.norm()
    again = fit_start(circuit, seen, hidden=64, steps=400, rate=3e-3)
    assert torch.equal(again.layers[0].weight, start.layers[0].weight)


def test_a_learned_start_with_columns_first():
    atoms = atom_edges(band(16))
    circuit = EdgeLCA(lateral_edges(atoms), 0.1, atoms=atoms)
    x = signals(8).T[..., None].contiguous()
    start = fit_start(circuit, x, hidden=8, steps=5, batch=4)
    assert start(x, circuit.drive(x)).shape == (16, 8, 1)
    assert solve(circuit, x, start=start, max_steps=50_000).converged.all()


def test_ridge_codes_need_a_dense_dictionary():
    edges = atom_edges(band(16))
    lateral = EdgeLCA(lateral_edges(edges), 0.1, atoms=edges)
    for circuit in (ConvLCA(torch.ones(1, 1, 1), 0.1), lateral):
        message = f"Expected an LCA\\. Got {type(circuit).__name__}; call fit_start"
        with pytest.raises(TypeError, match=message):
            ridge_start(circuit, 0.3)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="penalty must be positive"):
        ridge_start(LCA(random_atoms(), 0.1), 0.0)
    with pytest.raises(ValueError, match="hidden must be at least 1"):
        LearnedStart(4, 0)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        fit_start(LCA(random_atoms(), 0.1), signals(), steps=0)


def test_a_learned_start_leaves_the_global_generators_alone(monkeypatch):
    def refuse(seed):
        raise AssertionError("torch.manual_seed seeds the generators of all devices")

    before = torch.get_rng_state()
    monkeypatch.setattr(torch, "manual_seed", refuse)
    first, again, other = (LearnedStart(4, 8, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [start.layers[0].weight for start in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert 0.4 < weights[0].abs().max() <= 0.5
