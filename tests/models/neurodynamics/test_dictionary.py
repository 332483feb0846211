"""A dictionary that learns: its rule against autograd, its hooks, and ``train``."""

import logging

import numpy as np
import pytest
import torch
from sklearn.decomposition import sparse_encode
from torch.nn.functional import normalize

from graphcolumns.data import Dataset
from graphcolumns.data.tasks import TASKS
from graphcolumns.models.neurodynamics import SparseDictionary
from graphcolumns.nn.dynamics import Implicit
from graphcolumns.training import train

DOUBLE = {"tolerance": 1e-9, "max_steps": 20_000}


def random_atoms(count=12, size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, size, dtype=torch.float64, generator=generator), dim=1)


def planted(samples=400, count=10, size=8, active=2, seed=0):
    """Signals made of a few planted atoms each, and the atoms."""
    generator = torch.Generator().manual_seed(seed)
    atoms = normalize(torch.randn(count, size, generator=generator), dim=1)
    codes = torch.zeros(samples, count)
    where = torch.rand(samples, count, generator=generator).argsort(1)[:, :active]
    codes.scatter_(1, where, 1 + torch.rand(samples, active, generator=generator))
    return codes @ atoms, atoms


def signals(count=5, size=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_codes_are_those_of_the_lasso(nonnegative):
    model = SparseDictionary(
        12, 6, 0.2, atoms=random_atoms(), nonnegative=nonnegative, **DOUBLE
    ).eval()
    x = signals()
    output = model(x)
    expected = sparse_encode(
        x.numpy(), random_atoms().numpy(), algorithm="lasso_cd", alpha=0.2, max_iter=100_000,
        positive=nonnegative,
    )  # fmt: skip
    objective = 0.5 * ((x.numpy() - expected @ random_atoms().numpy()) ** 2).sum(1)
    objective += 0.2 * np.abs(expected).sum(1)
    np.testing.assert_allclose(output.energy.detach().numpy(), objective, rtol=1e-4)
    assert (output.energy.detach().numpy() <= objective + 1e-8).all()
    assert output.state.shape == (12, 5, 1)


def test_the_gradient_at_fixed_codes_by_hand():
    model = SparseDictionary(12, 6, 0.2, atoms=random_atoms(), **DOUBLE)
    x = signals()
    output = model(x)
    codes = output.state[..., 0].T
    assert not codes.requires_grad
    (0.5 * (x - output.prediction).square().sum()).backward()
    by_hand = -codes.T @ (x - codes @ model.atoms.detach())
    torch.testing.assert_close(model.atoms.grad, by_hand)


def test_the_energy_has_the_same_gradient_through_codes_and_at_fixed_codes():
    # At the minimum over codes the energy does not change with them, to first order.
    gradients = []
    for gradient in (None, Implicit(tolerance=1e-9)):
        model = SparseDictionary(12, 6, 0.2, atoms=random_atoms(), gradient=gradient, **DOUBLE)
        model(signals()).energy.sum().backward()
        gradients.append(model.atoms.grad)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


def test_the_gradient_through_codes_is_that_of_finite_differences():
    model = SparseDictionary(12, 6, 0.2, atoms=random_atoms(), gradient=Implicit(1e-10), **DOUBLE)
    x = signals()
    model(x).prediction.square().sum().backward()
    direction = random_atoms(seed=5)
    values = []
    for step in (1e-5, -1e-5):
        moved = SparseDictionary(12, 6, 0.2, atoms=random_atoms(), **DOUBLE)
        moved.atoms.data += step * direction
        values.append(moved(x).prediction.square().sum().item())
    expected = (values[0] - values[1]) / 2e-5
    assert float((model.atoms.grad * direction).sum()) == pytest.approx(expected, rel=1e-4)


def test_one_step_of_the_rule_by_hand():
    # One atom along the first axis, one signal: code 2 - 0.5, residual (0.5, 1).
    model = SparseDictionary(1, 2, 0.5, atoms=torch.tensor([[1.0, 0.0]]))
    output = model.update(torch.tensor([[2.0, 1.0]]), rate=0.3)
    assert float(output.state) == pytest.approx(1.5, abs=1e-3)
    moved = torch.tensor([[1 + 0.3 * 0.5 / 1.5, 0.3 * 1 / 1.5]])
    torch.testing.assert_close(model.atoms.detach(), normalize(moved), atol=1e-3, rtol=0)


def test_the_rule_does_not_depend_on_the_scale_of_signals():
    x = planted()[0]
    steps = []
    for scale in (1.0, 100.0):
        model = SparseDictionary(10, 8, 0.2 * scale)
        for _ in range(5):
            model.update(scale * x)
        steps.append(model.atoms.detach())
    torch.testing.assert_close(*steps, rtol=1e-3, atol=1e-4)


def test_planted_atoms_are_found():
    x, atoms = planted(samples=1000)
    model = SparseDictionary(10, 8, 0.1, nonnegative=True, patience=1000, seed=3)
    before = (model.atoms.detach() @ atoms.T).amax(0).mean()
    for epoch in range(15):
        for batch in x.split(100):
            model.update(batch, 0.5 * (1 - epoch / 15))
    alike = (model.atoms.detach() @ atoms.T).amax(0)
    assert alike.median() > 0.98 > before
    torch.testing.assert_close(model.atoms.detach().norm(dim=1), torch.ones(10))


def test_unused_atoms_are_replaced_by_residuals(caplog):
    atoms = torch.eye(3)[[0, 1, 0]]
    atoms[2] = torch.tensor([0.0, 0.0, 1.0])
    x = torch.tensor([[1.0, 0.5, 0.0]]).expand(6, 3)
    model = SparseDictionary(3, 3, 0.1, atoms=atoms, patience=10)
    model.update(x)
    assert model.idle.tolist() == [0, 0, 6]
    with caplog.at_level(logging.INFO, "graphcolumns"):
        model.update(x)
    assert "1 unused atoms were given new values: [2]" in caplog.text
    assert int(model.reseeded) == 1
    assert model.idle.tolist() == [0, 0, 0]
    residual = (x - model(x).prediction)[0].detach()
    assert float(model.atoms[2].detach() @ normalize(residual, dim=0)) > 0.9
    again = SparseDictionary(3, 3, 0.1, atoms=atoms, patience=10)
    again.update(x)
    again.update(x)
    assert torch.equal(again.atoms, model.atoms)


def test_after_step_repeated_changes_nothing():
    model = SparseDictionary(10, 8, 0.2, patience=1)
    model.update(planted()[0][:3])
    atoms = model.atoms.detach().clone()
    model.after_step()
    torch.testing.assert_close(model.atoms.detach(), atoms)


def test_without_patience_no_atom_is_replaced():
    model = SparseDictionary(10, 8, 5.0, patience=None)
    for _ in range(3):
        model.update(planted()[0])
    assert int(model.reseeded) == 0
    torch.testing.assert_close(model.atoms.detach(), SparseDictionary(10, 8, 5.0).atoms.detach())


def test_it_trains_through_train(tmp_path):
    x = planted(samples=600)[0]
    data = Dataset(x[:500], x[:500], x[500:], x[500:], task=TASKS["reconstruction"])
    model = SparseDictionary(10, 8, 0.2, patience=200)
    options = {"steps": 60, "batch_size": 50, "lr": 0.02, "progress": False}
    before = model.eval()(x[500:]).energy.mean().item()
    summary = train(model.train(), data, run=tmp_path / "whole", **options)
    assert model.eval()(x[500:]).energy.mean().item() < 0.8 * before
    assert summary["test_normalised_error"] < 0.5
    torch.testing.assert_close(model.atoms.detach().norm(dim=1), torch.ones(10))


def test_a_resumed_run_is_the_same(tmp_path):
    x = planted(samples=300)[0]
    data = Dataset(x[:200], x[:200], x[200:], x[200:], task=TASKS["reconstruction"])
    options = {"batch_size": 50, "lr": 0.05, "progress": False, "min_lr": 1.0, "warmup": 0.0}
    runs = []
    for parts in ([8], [4, 8]):
        for steps in parts:
            model = SparseDictionary(10, 8, 1.5, patience=100)
            train(
                model, data, run=tmp_path / str(len(parts)), steps=steps, resume=True,
                changes=["steps"], **options,
            )  # fmt: skip
        runs.append(model)
    assert int(runs[0].reseeded) > 0
    assert torch.equal(runs[0].atoms, runs[1].atoms)


def test_images_come_back_as_images_and_settling_is_noted():
    model = SparseDictionary(10, 16, 0.2).eval()
    images = torch.randn(3, 1, 4, 4)
    output = model(images)
    assert output.prediction.shape == images.shape
    assert output.iterations.shape == output.energy.shape == (3,)
    seen = model.relaxation(images)
    assert seen.output.shape[1:] == (10, 3, 1)
    torch.testing.assert_close(seen.output[-1], output.state, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(("atoms", "values", "samples"), [(1, 1, 1), (5, 3, 1), (3, 5, 4)])
def test_odd_sizes(atoms, values, samples):
    model = SparseDictionary(atoms, values, 0.1)
    output = model.update(torch.randn(samples, values))
    assert output.prediction.shape == (samples, values)
    assert model.atoms.isfinite().all()


def test_an_empty_batch_changes_nothing():
    model = SparseDictionary(4, 3, 0.1)
    model.update(torch.empty(0, 3))
    torch.testing.assert_close(model.atoms, SparseDictionary(4, 3, 0.1).atoms)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseDictionary(0, 3, 0.1), "num_atoms must be at least 1"),
        (lambda: SparseDictionary(3, 3, -0.1), "threshold must be positive and finite. Got -0.1"),
        (lambda: SparseDictionary(3, 3, float("nan")), "threshold must be positive"),
        (lambda: SparseDictionary(3, 3, 0.1, patience=0), "patience must be at least 1"),
        (
            lambda: SparseDictionary(3, 2, 0.1, atoms=torch.eye(3)),
            r"Expected \(3, 2\). Got \(3, 3\)",
        ),
        (lambda: SparseDictionary(2, 2, 0.1, atoms=2 * torch.eye(2)), "Got 2 for atom 0"),
        (lambda: SparseDictionary(2, 2, 0.1, atoms=torch.full((2, 2), torch.nan)), "unit norm"),
        (lambda: SparseDictionary(3, 3, 0.1)(torch.zeros(2, 4)), r"\[B, 3\].* Got \[2, 4\]"),
        (lambda: SparseDictionary(3, 3, 0.1)(torch.full((1, 3), torch.nan)), "must be finite"),
        (lambda: SparseDictionary(3, 3, 0.1).update(torch.zeros(1, 3), 0.0), "rate must be pos"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_other_edges_are_refused():
    model = SparseDictionary(3, 3, 0.1)
    model.rewired(model.graph)
    with pytest.raises(ValueError, match="train a SparseSheet"):
        model.rewired(SparseDictionary(4, 3, 0.1).graph)


def test_autocast_changes_nothing():
    model = SparseDictionary(12, 6, 0.1, atoms=random_atoms().float())
    x = signals().float()
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        output, half = model(x), model(x.bfloat16())
    assert torch.equal(output.iterations, expected.iterations)
    torch.testing.assert_close(output.state, expected.state, rtol=0, atol=0)
    torch.testing.assert_close(half.state, model(x.bfloat16().float()).state, rtol=0, atol=0)
