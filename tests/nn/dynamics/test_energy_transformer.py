"""The energy transformer: its flow is the gradient of its energy, and steps descend it."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import Descent, EnergyTransformer, Euler, Unrolled, solve
from graphcolumns.nn.dynamics.energy.activity import activity, activity_rate, lagrangian
from tests.nn.dynamics.sheets import random_sheet

EPS = 1e-9


def dense_energy(circuit, g):
    """The energy of activities, column by column and edge by edge, without the ops."""
    n, b, _ = g.shape
    query, key, memory = (w.expand(n, *w.shape[-x:]) for w, x in weights(circuit))
    q, k = torch.einsum("nbc,nchd->nbhd", g, query), torch.einsum("nbc,nchd->nbhd", g, key)
    edges = circuit.graph.edge_index.t().tolist()
    total = g.new_zeros(b)
    for i in range(n):
        scores = []
        for e, (j, target) in enumerate(edges):
            if target == i:
                bias = 0 if circuit.bias is None else circuit.bias[e]
                scores.append(circuit.beta * (q[i] * k[j]).sum(-1) + bias)
        if scores:
            total = total - torch.logsumexp(torch.stack(scores), 0).sum(-1) / circuit.beta
        h = g[i] @ memory[i]
        if circuit.memory_kind == "relu":
            total = total - torch.relu(h).square().sum(-1) / 2
        else:
            total = total - torch.logsumexp(circuit.beta * h, -1) / circuit.beta
    return total


def weights(circuit):
    return ((circuit.query, 3), (circuit.key, 3), (circuit.memory, 2))


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("kind", ["relu", "softmax"])
def test_flow_is_the_gradient_of_the_energy(untied, kind):
    circuit, x = random_sheet(untied=untied, memory_kind=kind)
    drive = circuit.drive(x)
    g = circuit.output(x, drive).requires_grad_()
    energy = dense_energy(circuit, g)
    torch.testing.assert_close(circuit.energy(x, drive), energy.detach(), rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(energy.sum(), g)
    torch.testing.assert_close(circuit.flow(x, drive), -gradient, rtol=1e-11, atol=1e-11)
    assert gradient.abs().min() < gradient.abs().max()


def test_activity_is_the_gradient_of_its_lagrangian_and_that_is_convex():
    circuit, x = random_sheet(untied=True)
    gain, offset = circuit.gain, circuit.offset
    point = x.requires_grad_()
    (gradient,) = torch.autograd.grad(lagrangian(point, gain, offset, 0.1).sum(), point)
    torch.testing.assert_close(gradient, activity(x, gain, offset, 0.1))
    rate = torch.randn_like(x)
    _, moved = torch.autograd.functional.jvp(lambda u: activity(u, gain, offset, 0.1), x, rate)
    torch.testing.assert_close(moved, activity_rate(x, rate, gain, 0.1))
    assert ((moved * rate).sum(-1) >= 0).all()


def test_by_hand():
    # One column that attends to itself, one head: E = -q.k - relu(h)^2 / 2 with one edge.
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1)
    eye = torch.eye(2, dtype=torch.float64)
    circuit = EnergyTransformer(
        graph, eye[:, None], eye[:, None], eye[:, :1], torch.tensor(2.0).double(), 0 * eye[0],
        beta=1.0, epsilon=3.0,
    )  # fmt: skip
    x = torch.tensor([[[2.0, 0.0]]], dtype=torch.float64)
    drive = circuit.drive(x)
    # Centred (1, -1), variance 1, so g = 2 (1, -1) / sqrt(1 + 3) = (1, -1).
    assert circuit.output(x, drive).tolist() == [[[1.0, -1.0]]]
    assert circuit.energy(x, drive).item() == pytest.approx(-2 - 0.5)
    assert circuit.flow(x, drive).flatten().tolist() == pytest.approx([2 + 1, -2])


def energies(circuit, x, dt, steps=15):
    drive, state, values = circuit.drive(x), x, []
    for _ in range(steps):
        values.append(circuit.energy(state, drive))
        state = circuit.step(state, drive, dt)
    return torch.stack([*values, circuit.energy(state, drive)])


def check_sheet(seed):
    sizes = torch.randint(1, 9, (4,), generator=torch.Generator().manual_seed(seed)).tolist()
    n, c, d, k = sizes
    kind = ("relu", "softmax")[seed % 2]
    options = {"untied": seed % 3 == 0, "memory_kind": kind, "scale": 0.3 + seed % 5}
    circuit, x = random_sheet(seed, n, 2, c, 2, d, k, **options)
    dt = 0.999 * circuit.step_limit(circuit.drive(x))
    values = energies(circuit, x, dt)
    rise = values.diff(dim=0)
    assert (rise <= EPS * values.abs().max()).all()


@pytest.mark.parametrize("seed", range(12))
def test_steps_below_the_limit_descend(seed):
    check_sheet(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 100))
def test_steps_below_the_limit_descend_on_100_sheets(seed):
    check_sheet(seed)


def test_a_long_step_can_ascend():
    # Two columns that repel each other: E = q.k, and a step beyond the limit overshoots.
    graph = ColumnGraph.from_edge_index(torch.tensor([[1], [0]]), 2)
    eye = torch.eye(4, dtype=torch.float64)
    circuit = EnergyTransformer(
        graph, eye[:, None], -eye[:, None], torch.zeros(4, 0).double(), eye.sum() / 4, 0 * eye[0]
    )
    x = 0.2 * torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    limit = circuit.step_limit(circuit.drive(x))
    assert (energies(circuit, x, 0.999 * limit).diff(dim=0) <= EPS).all()
    assert (energies(circuit, x, 200 * limit).diff(dim=0) > 1e-3).any()


def test_descent_never_ascends_and_goes_further_than_the_limit():
    circuit, x = random_sheet(5, n=9, c=8)
    options = {"record": 1, "max_steps": 25, "tolerance": 0.0}
    far = solve(circuit, x, method=Descent(dt=5.0), **options)
    near = solve(circuit, x, method=Euler(), **options)
    drive = circuit.drive(x)
    for run in (far, near):
        values = torch.stack([circuit.energy(u, drive) for u in run.trajectory])
        assert (values.diff(dim=0) <= EPS).all()
    assert (far.energy <= near.energy).all()


def test_activities_settle_where_states_need_not():
    circuit, x = random_sheet(3, n=4, b=2, c=4)
    few, many = (
        solve(circuit, x, method=Descent(1.0), tolerance=0.0, max_steps=steps, every=steps)
        for steps in (10, 80)
    )
    # States grow with time along the last force, so that activities turn ever more slowly.
    assert (many.distance < few.distance / 5).all()
    assert (many.state.abs().amax((0, 2)) > 5 * few.state.abs().amax((0, 2))).all()


@pytest.mark.parametrize("untied", [False, True])
def test_gradients_reach_every_weight(untied):
    circuit, x = random_sheet(untied=untied, biased=True)
    names = ("query", "key", "memory", "gain", "offset", "bias")
    tensors = [getattr(circuit, name).requires_grad_() for name in names]

    def run(*values):
        shared = dict(zip(names, values, strict=True))
        made = EnergyTransformer(circuit.graph, **shared)
        options = {"method": Euler(0.05, allow_unstable=True), "max_steps": 2, "tolerance": 0.0}
        solution = solve(made, x[:, :1], gradient=Unrolled(), **options)
        return solution.output.sin().sum() + solution.energy.sum()

    assert torch.autograd.gradcheck(run, tensors, fast_mode=True)


def test_columns_without_edges_have_no_energy_of_attention():
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.long), 3)
    circuit, x = random_sheet(n=3)
    options = {
        name: getattr(circuit, name) for name in ("query", "key", "memory", "gain", "offset")
    }
    alone = EnergyTransformer(graph, **options)
    drive = alone.drive(x)
    h = alone.output(x, drive) @ circuit.memory
    expected = -h.relu().square().sum((0, 2)) / 2
    torch.testing.assert_close(alone.energy(x, drive), expected)
    torch.testing.assert_close(alone.flow(x, drive), h.relu() @ circuit.memory.T)
    assert alone.step_limit(drive) == 100


def test_closed_edges_are_no_edges():
    circuit, x = random_sheet(biased=True)
    keep = torch.arange(circuit.graph.num_edges) % 3 > 0
    names = ("query", "key", "memory", "gain", "offset")
    options = {name: getattr(circuit, name) for name in names}
    closed = circuit.bias.masked_fill(~keep[:, None], float("-inf"))
    fewer = ColumnGraph.from_edge_index(circuit.graph.edge_index[:, keep], 7)
    a = EnergyTransformer(circuit.graph, **options, bias=closed)
    b = EnergyTransformer(fewer, **options, bias=circuit.bias[keep])
    torch.testing.assert_close(a.flow(x, a.drive(x)), b.flow(x, b.drive(x)))
    torch.testing.assert_close(a.energy(x, a.drive(x)), b.energy(x, b.drive(x)))


def test_float32_is_close_to_float64():
    circuit, x = random_sheet(untied=True)
    names = ("query", "key", "memory", "gain", "offset", "bias")
    options = {name: getattr(circuit, name).float() for name in names}
    single = EnergyTransformer(circuit.graph, **options)
    flow = single.flow(x.float(), single.drive(x.float()))
    assert flow.dtype == torch.float32
    expected = circuit.flow(x, circuit.drive(x))
    assert (flow - expected).abs().max() < 1e-4 * expected.abs().max()


GOOD, STATES = random_sheet()
BAD = [
    ({"graph": "edges"}, TypeError, "must be a ColumnGraph"),
    ({"query": GOOD.query[0]}, ValueError, r"query must have a shape that fits\. Expected \[C, H"),
    ({"key": GOOD.key[:4]}, ValueError, r"key must .* Expected \[5, 2, 4\] or \[7, 5, 2, 4\]"),
    ({"memory": GOOD.memory[:4]}, ValueError, r"memory must .* Expected \[5, K\]"),
    ({"gain": -GOOD.gain}, ValueError, r"gain must be positive\. Got -"),
    ({"offset": GOOD.offset[:2]}, ValueError, "offset must have a shape"),
    ({"bias": torch.zeros(3)}, ValueError, "bias must hold one value per edge"),
    ({"query": GOOD.query * float("nan")}, ValueError, "query must be finite"),
    ({"beta": 0.0}, ValueError, r"beta must be positive and finite\. Got 0"),
    ({"epsilon": -1.0}, ValueError, "epsilon must be positive"),
    ({"memory_kind": "cosine"}, ValueError, "memory_kind must be one of"),
    ({"memory": torch.zeros(5, 0), "memory_kind": "softmax"}, ValueError, "needs patterns"),
    ({"key": GOOD.key.long()}, TypeError, r"key must be a floating tensor\. Got torch.int64"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    names = ("graph", "query", "key", "memory", "gain", "offset")
    with pytest.raises(error, match=message):
        EnergyTransformer(**({name: getattr(GOOD, name) for name in names} | change))


def test_bad_inputs():
    with pytest.raises(ValueError, match=r"inputs must .* Expected \[7, B, 5\]\. Got \[6, 3, 5\]"):
        GOOD.drive(STATES[:6])
    with pytest.raises(ValueError, match="inputs must be finite"):
        GOOD.drive(STATES / 0)
    between = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 7, 8)
    with pytest.raises(ValueError, match=r"among the columns themselves\. Expected 7 sources"):
        EnergyTransformer(between, GOOD.query, GOOD.key, GOOD.memory, GOOD.gain, GOOD.offset)
    limit = GOOD.step_limit(GOOD.drive(STATES))
    with pytest.raises(ValueError, match="dt must be below the limit of EnergyTransformer"):
        solve(GOOD, STATES, method=Euler(1.01 * limit))


def test_no_sample():
    solution = solve(GOOD, STATES[:, :0], method=Descent(0.1), max_steps=3)
    assert solution.output.shape == (7, 0, 5)
