"""Deep linear networks: energy, weight gradients and both forms against the closed form."""

import pytest
import torch

from graphcolumns.nn.dynamics import (
    LCA,
    Adam,
    Adaptive,
    Anderson,
    Descent,
    Euler,
    Heun,
    Implicit,
    Momentum,
    RMSProp,
    Unrolled,
    discriminative,
    generative,
    local_energy,
    solve,
)


def weights(depth, width=6, inputs=5, outputs=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [inputs, *[width] * (depth - 1), outputs]
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    return [torch.randn(n, m, dtype=torch.float64, generator=generator) / m**0.5 for n, m in pairs]


def samples(count=3, inputs=5, outputs=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, dtype=torch.float64, generator=generator)
    return x, torch.randn(count, outputs, dtype=torch.float64, generator=generator)


def energy_at_equilibrium(weights, x, y, precision=1.0):
    """r^T S^-1 r / 2 with S = I / precision + sum over l of (W_L ... W_l)(W_L ... W_l)^T."""
    eye = torch.eye(len(weights[-1]), dtype=x.dtype)
    product, s = eye, eye / precision
    for weight in reversed(weights[1:]):
        product = product @ weight
        s = s + product @ product.T
    r = y - x @ (product @ weights[0]).T
    return (r * torch.linalg.solve(s, r.T).T).sum(1) / 2


@pytest.mark.parametrize("form", ["state", "error"])
@pytest.mark.parametrize(("depth", "precision"), [(3, 1.0), (3, 0.1), (10, 1.0), (20, 1.0)])
def test_energy_and_weight_gradients_are_those_of_the_closed_form(depth, precision, form):
    matrices = [w.requires_grad_() for w in weights(depth)]
    x, y = samples()
    exact = energy_at_equilibrium(matrices, x, y, precision)
    circuit = discriminative(matrices, output_precision=precision, form=form)
    inputs = {"layer0": x, f"layer{depth}": y}
    heavy_ball = Momentum(circuit.step_limit(circuit.drive(inputs)), 0.9)
    with torch.no_grad():
        found = solve(circuit, inputs, method=heavy_ball, tolerance=1e-12, every=20)
    assert found.converged.all()
    torch.testing.assert_close(found.energy, exact.detach(), rtol=1e-12, atol=0)
    values = circuit.values(found.state, found.drive)
    errors = circuit.errors(values, found.drive)
    local = torch.autograd.grad(local_energy(circuit, values, errors, found.drive), matrices)
    for got, wanted in zip(local, torch.autograd.grad(exact.sum(), matrices), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-7, atol=1e-10)


def test_implicit_gradients_of_the_energy_are_those_of_the_closed_form():
    matrices = [w.requires_grad_() for w in weights(4)]
    x, y = samples()
    found = solve(discriminative(matrices), {"layer0": x, "layer4": y}, tolerance=1e-12)
    got = torch.autograd.grad(found.energy.sum(), matrices)
    wanted = torch.autograd.grad(energy_at_equilibrium(matrices, x, y).sum(), matrices)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("form", ["state", "error"])
def test_the_step_limit_is_two_over_the_largest_eigenvalue(form):
    matrices, (x, y) = weights(5), samples(1)
    circuit = discriminative(matrices, output_precision=3.0, form=form)
    drive = circuit.drive({"layer0": x, "layer5": y})
    start = [torch.zeros(24, dtype=x.dtype)]
    split = [6, 6, 6, 6]

    def energy(flat):
        return circuit.energy(tuple(part[None] for part in flat.split(split)), drive).sum()

    hessian = torch.autograd.functional.hessian(energy, start[0])
    exact = 2 / float(torch.linalg.eigvalsh(hessian)[-1])
    assert exact * 0.99 < circuit.step_limit(drive) <= exact * (1 + 1e-6)


@pytest.mark.parametrize("form", ["state", "error"])
def test_energy_never_rises_below_the_limit_and_rises_beyond_it(form):
    circuit, (x, y) = discriminative(weights(6), form=form), samples()
    inputs = {"layer0": x, "layer6": y}
    drive = circuit.drive(inputs)

    def energies(dt, steps):
        state, found = circuit.initial(drive), []
        for _ in range(steps):
            found.append(circuit.energy(state, drive))
            state = circuit.step(state, drive, dt)
        return torch.stack(found)

    limit = circuit.step_limit(drive)
    assert (energies(0.999 * limit, 200).diff(dim=0) <= 1e-14).all()
    beyond = energies(1.05 * limit, 600)
    assert (beyond[-1] > beyond[0]).all()
    with pytest.raises(ValueError, match="dt must be below the limit of PredictiveCoding"):
        solve(circuit, inputs, method=Euler(1.05 * limit))


def test_both_forms_reach_the_same_states():
    matrices, (x, y) = weights(5), samples()
    inputs = {"layer0": x, "layer5": y}
    ends = []
    for form in ("state", "error"):
        circuit = discriminative(matrices, form=form)
        found = solve(circuit, inputs, tolerance=1e-12)
        ends.append(circuit.values(found.state, found.drive))
    for name in ends[0]:
        torch.testing.assert_close(ends[0][name], ends[1][name], rtol=1e-9, atol=1e-10)


def test_without_a_label_the_feed_forward_pass_is_the_equilibrium():
    matrices, (x, _) = weights(4), samples()
    circuit = discriminative(matrices, clamped=("layer0",))
    found = solve(circuit, x, tolerance=1e-12)
    assert (found.iterations <= 10).all()
    for matrix in matrices:
        x = x @ matrix.T
    torch.testing.assert_close(found.output, x)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_codes_of_one_generative_layer_are_those_of_lca(nonnegative):
    generator = torch.Generator().manual_seed(0)
    # Little overcomplete, so that the active atoms are well conditioned and rounding stays small.
    atoms = torch.randn(24, 20, dtype=torch.float64, generator=generator)
    atoms = torch.nn.functional.normalize(atoms, dim=1)
    signals = torch.randn(5, 20, dtype=torch.float64, generator=generator)
    codes = solve(
        LCA(atoms, 0.6, nonnegative=nonnegative), signals, tolerance=1e-15, max_steps=4_000
    ).output
    circuit = generative([atoms.T], shrinkage=0.6, nonnegative=nonnegative)
    found = solve(circuit, signals, tolerance=1e-15, max_steps=4_000)
    assert 0 < (codes != 0).double().mean() < 0.5
    torch.testing.assert_close(found.output, codes, rtol=0, atol=1e-14)


def test_top_down_feedback_moves_the_codes_below():
    generator = torch.Generator().manual_seed(0)
    first = torch.nn.functional.normalize(
        torch.randn(8, 12, dtype=torch.float64, generator=generator), dim=0
    )
    second = torch.rand(12, 3, dtype=torch.float64, generator=generator)
    signals = torch.randn(2, 8, dtype=torch.float64, generator=generator)
    deep = generative([first, second], shrinkage=[0.1, 0.05], nonnegative=True)
    found = solve(deep, signals, tolerance=1e-13, max_steps=50_000)
    assert found.converged.all()
    u, top = found.state
    # Worked by hand: bottom-up and top-down errors balance the shrinkage.
    force = (signals - u @ first.T) @ first - (u - top @ second.T)
    torch.testing.assert_close(force[u > 0], torch.full_like(force[u > 0], 0.1))
    assert (force[u == 0] <= 0.1 + 1e-12).all()
    alone = solve(generative([first], shrinkage=0.1, nonnegative=True), signals).output
    assert not torch.allclose(u, alone, atol=1e-2)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_implicit_gradients_at_silent_units_are_unrolled(seed, nonnegative):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 8, dtype=torch.float64, generator=generator)
    inputs = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    gradients = []
    for how in (Implicit(tolerance=1e-9), Unrolled()):
        w, x = weight.clone().requires_grad_(), inputs.clone().requires_grad_()
        circuit = generative([w], shrinkage=0.2, nonnegative=nonnegative)
        found = solve(circuit, x, tolerance=1e-11, gradient=how)
        assert (found.output == 0).any()
        assert (found.output != 0).any()
        gradients.append(torch.autograd.grad(found.output.square().sum(), (w, x)))
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


METHODS = [
    Euler(),
    Heun(),
    Adaptive(),
    Descent(),
    Anderson(),
    Momentum(0.1, 0.5),
    RMSProp(0.05, decay=0.02),
    Adam(0.05, decay=0.005),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_every_method_keeps_to_the_bound(method):
    scipy = pytest.importorskip("scipy.optimize")
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    inputs = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    wanted = torch.stack(
        [torch.from_numpy(scipy.nnls(weight.numpy(), x.numpy())[0]) for x in inputs]
    )
    assert (wanted == 0).any()
    assert (wanted > 0).any()
    start = (torch.ones(3, 4, dtype=torch.float64),)
    circuit = generative([weight], nonnegative=True)
    found = solve(
        circuit, inputs, method=method, start=start, tolerance=1e-6, max_steps=2000, record=1
    )
    assert (found.trajectory[0] >= 0).all()
    assert found.converged.all()
    torch.testing.assert_close(found.output, wanted, rtol=1e-4, atol=1e-4)


def test_no_state_beyond_the_bound_has_arrived():
    circuit = generative([torch.ones(1, 1)], nonnegative=True)
    drive = circuit.drive(torch.tensor([[-1.0]]))
    beyond = (torch.tensor([[-0.219]]),)
    torch.testing.assert_close(circuit.residual(beyond, drive), torch.tensor([0.219]))
    start = (torch.ones(1, 1),)
    found = solve(circuit, torch.tensor([[-1.0]]), method=Heun(1.5), start=start)
    assert found.converged.all()
    assert found.output.item() == 0
