"""LCA along edges and through error nodes, against LCA with a dense dictionary."""

import pytest
import scipy.sparse
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.dynamics import (
    LCA,
    EdgeLCA,
    Euler,
    Implicit,
    TwoHopLCA,
    Unrolled,
    WeightedEdges,
    atom_edges,
    lateral_edges,
    normalized_edges,
    solve,
)
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recording import recording
from graphcolumns.plasticity import Plasticity, presets
from tests.nn.dynamics.sparse_coding.dictionaries import band, bumps, random_atoms, signals

EXACT = {"rtol": 0, "atol": 1e-13}


def columns_first(x):
    return x.T[..., None].contiguous()


def circuits(dictionary, threshold, **options):
    atoms = atom_edges(dictionary)
    return [
        EdgeLCA(lateral_edges(atoms), threshold, atoms=atoms, **options),
        TwoHopLCA(atoms, threshold, **options),
    ]


def test_a_band_has_few_edges_and_the_same_flow():
    dictionary, x = band(), signals(4, 96)
    dense = LCA(dictionary, 0.2)
    flat = dense.drive(x)
    for circuit in circuits(dictionary, 0.2):
        drive = circuit.drive(columns_first(x))
        state = signals(4, 96, seed=5)
        flow = circuit.flow(columns_first(state), drive)
        torch.testing.assert_close(flow[..., 0].T, dense.flow(state, flat), **EXACT)
    edges = circuits(dictionary, 0.2)[0].edges
    gram = dictionary @ dictionary.T
    assert edges.num_edges == int((gram != 0).sum()) - 96
    assert edges.num_edges < 96 * 96 / 6


@pytest.mark.parametrize("variant", [{}, {"nonnegative": True}, {"hard": True}])
def test_fixed_points_and_what_is_known_of_them(variant):
    dictionary, x = band(), signals(4, 96)
    dense = LCA(dictionary, 0.1, **variant)
    # Under the hard threshold, steps near the limit switch units on and off for long.
    method = Euler(0.1) if variant.get("hard") else None
    options = {"tolerance": 1e-9, "max_steps": 500, "method": method}
    theirs = solve(dense, x, **options)
    for circuit in circuits(dictionary, 0.1, **variant):
        ours = solve(circuit, columns_first(x), **options)
        torch.testing.assert_close(ours.output[..., 0].T, theirs.output, rtol=0, atol=1e-12)
        torch.testing.assert_close(ours.energy, theirs.energy)
        state = (ours.state, ours.drive)
        for name in ("residual", "active_step_limit"):
            expected = getattr(dense, name)(theirs.state, theirs.drive)
            torch.testing.assert_close(getattr(circuit, name)(*state), expected, **EXACT)
        if not variant.get("hard"):
            expected = dense.gap(theirs.state, theirs.drive)
            torch.testing.assert_close(circuit.gap(*state), expected, **EXACT)
        limit = dense.linear_step_limit(theirs.drive)
        assert circuit.linear_step_limit(ours.drive) == pytest.approx(limit, rel=1e-6)
        expected = None if variant.get("hard") else circuit.linear_step_limit(ours.drive)
        assert circuit.step_limit(ours.drive) == expected


def test_dictionaries_of_scipy_and_of_geometries():
    dictionary = band()
    ours = atom_edges(scipy.sparse.csr_array(dictionary.numpy()))
    theirs = atom_edges(dictionary)
    assert ours.graph.same_topology(theirs.graph)
    torch.testing.assert_close(ours.weight, theirs.weight)

    graph = connect.within_radius(grid.sheet(6, 6), 1.5)
    atoms = normalized_edges(graph, torch.exp(-(graph.distance.double() ** 2)))
    dense = torch.zeros(36, 36, dtype=torch.float64)
    dense[graph.target.long(), graph.source.long()] = atoms.weight
    torch.testing.assert_close(dense.norm(dim=1), torch.ones(36, dtype=torch.float64))
    x = signals(3, 36)
    ours = solve(EdgeLCA(lateral_edges(atoms), 0.1, atoms=atoms), columns_first(x), tolerance=1e-9)
    theirs = solve(LCA(dense, 0.1), x, tolerance=1e-9)
    torch.testing.assert_close(ours.output[..., 0].T, theirs.output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.05, 0.1])
def test_dropped_overlaps_change_the_weights_by_no_more_than_the_bound(epsilon):
    dictionary, x = bumps(48, 48, 2.0), 3 * signals(4, 48)
    atoms = atom_edges(dictionary)
    lateral = lateral_edges(atoms, epsilon)
    assert lateral.graph.num_edges < lateral_edges(atoms).graph.num_edges
    assert 0 < lateral.largest_dropped < epsilon
    circuit = EdgeLCA(lateral, 0.3, atoms=atoms)
    solution = solve(circuit, columns_first(x), tolerance=1e-9, max_steps=20_000)
    assert solution.converged.all()
    exact = TwoHopLCA(atoms, 0.3)
    error = exact.residual(solution.state, exact.drive(columns_first(x)))
    bound = circuit.dropped_bound(solution.state, solution.drive)
    assert (error <= bound + 1e-8).all()
    assert (error > 1e-8).any()
    assert circuit.gap(solution.state, solution.drive) is None


def test_gradients_reach_the_values_of_atoms():
    grads = []
    for gradient in (Implicit(tolerance=1e-12), Unrolled()):
        raw = band(16).requires_grad_()
        x = columns_first(signals(3, 16)).requires_grad_()
        atoms = atom_edges(torch.nn.functional.normalize(raw, dim=1))
        solution = solve(
            TwoHopLCA(atoms, 0.1), x, gradient=gradient, tolerance=1e-12, max_steps=20_000
        )
        solution.output.square().sum().backward()
        grads.append((raw.grad, x.grad))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("make", [band, lambda n: random_atoms(4, 3)])
def test_lateral_weights_have_the_gradient_of_the_gram_matrix(make):
    dictionary = make(16)
    x = signals(3, dictionary.shape[1])
    options = {"tolerance": 1e-12, "max_steps": 20_000, "gradient": Implicit(tolerance=1e-12)}
    grads = []
    for edges in (True, False):
        raw = dictionary.clone().requires_grad_()
        unit = torch.nn.functional.normalize(raw, dim=1)
        if edges:
            atoms = atom_edges(unit)
            circuit, inputs = EdgeLCA(lateral_edges(atoms), 0.1, atoms=atoms), columns_first(x)
        else:
            circuit, inputs = LCA(unit, 0.1), x
        solve(circuit, inputs, **options).output.square().sum().backward()
        grads.append(raw.grad * (dictionary != 0))
    assert grads[1].norm() > 1
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-7)


def test_a_unit_without_overlaps_and_a_single_unit():
    atoms = atom_edges(torch.eye(3))
    lateral = lateral_edges(atoms)
    assert lateral.graph.num_edges == 0
    x = torch.tensor([2.0, 0.1, -1.0]).reshape(3, 1, 1)
    for circuit in (EdgeLCA(lateral, 0.5, atoms=atoms), TwoHopLCA(atoms, 0.5)):
        output = solve(circuit, x, tolerance=1e-6).output.flatten()
        torch.testing.assert_close(output, torch.tensor([1.5, 0.0, -0.5]), rtol=0, atol=1e-5)
    one = atom_edges(torch.ones(1, 1))
    single = solve(EdgeLCA(lateral_edges(one), 0.5, atoms=one), torch.ones(1, 0, 1))
    assert single.output.shape == (1, 0, 1)


def test_correlations_as_inputs():
    dictionary, x = band(), signals(2, 96)
    atoms = atom_edges(dictionary)
    lateral = lateral_edges(atoms)
    b = columns_first(x @ dictionary.T)
    ours = solve(EdgeLCA(lateral, 0.1), b, tolerance=1e-9)
    theirs = solve(EdgeLCA(lateral, 0.1, atoms=atoms), columns_first(x), tolerance=1e-9)
    torch.testing.assert_close(ours.output, theirs.output, **EXACT)
    assert ours.energy is None
    with pytest.raises(ValueError, match="EdgeLCA has no duality gap"):
        solve(EdgeLCA(lateral, 0.1), b, stop="gap")


class Competition(torch.nn.Module):
    """A read-out of codes whose lateral edges are learned and rewired."""

    def __init__(self, graph, classes=3, gradient=None):
        super().__init__()
        torch.manual_seed(0)
        self.graph, self.synapses, self.gradient = graph, EdgeLinear(graph), gradient
        torch.nn.init.normal_(self.synapses.weight, std=0.05)
        self.read = torch.nn.Linear(graph.num_columns, classes)
        keep_topology(self)

    def forward(self, x):
        circuit = EdgeLCA(self.synapses, 0.1, graph=self.graph, symmetric=False)
        b = x.flatten(1).T[..., None]
        codes = solve(circuit, b, tolerance=1e-6, method=Euler(0.5), gradient=self.gradient).output
        return ModelOutput(self.read(codes[..., 0].T), state=codes)

    def rewired(self, graph):
        self.graph = graph


def test_a_layer_of_lateral_weights_is_recorded_where_a_gradient_passes():
    model = Competition(connect.nearest(grid.sheet(4, 4), 4), gradient=Implicit(tolerance=1e-5))
    x = torch.rand(6, 16, generator=torch.Generator().manual_seed(1))
    with recording(model) as records:
        loss = model(x).prediction.square().sum()
    assert len(records) == 1
    (pull,) = torch.autograd.grad(loss, records[0].out, retain_graph=True)
    (expected,) = torch.autograd.grad(loss, model.synapses.weight)
    graph, codes = records[0].graph, records[0].x
    # What a score of an edge is made of: gradient of the target times activity of the source.
    got = (pull[graph.target.long()] * codes[graph.source.long()]).sum((1, 2))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad(), recording(model) as records:
        model(x)
    assert records == []


def test_lateral_edges_are_scored_and_rewired_by_a_rule():
    geometry = grid.sheet(4, 4)
    model = Competition(connect.nearest(geometry, 4))
    rule = presets.rigl(steps=100, every=10, samples=24, check_samples=8)
    generator = torch.Generator().manual_seed(1)
    x, labels = torch.rand(32, 16, generator=generator), torch.arange(32) % 3

    def losses(output, labels):
        return torch.nn.functional.cross_entropy(output.prediction, labels, reduction="none")

    update = Plasticity(rule, geometry).update(model, None, 10, x, labels, losses)
    assert len(update.rewiring.born) > 0
    assert model.graph.num_edges == 64
    assert model(x).prediction.isfinite().all()


def test_limits_without_symmetry():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 2]]), 3)
    b = torch.ones(3, 1, 1)
    weak = EdgeLCA(WeightedEdges(graph, torch.tensor([0.5, -0.25])), 0.1, symmetric=False)
    assert weak.step_limit(weak.drive(b)) == pytest.approx(2 / 1.5)
    strong = EdgeLCA(WeightedEdges(graph, torch.tensor([2.0, 0.0])), 0.1, symmetric=False)
    assert strong.step_limit(strong.drive(b)) is None
    assert solve(weak, b, tolerance=1e-6).converged.all()
    hard = EdgeLCA(weak.lateral, 0.1, hard=True, symmetric=False)
    assert hard.step_limit(hard.drive(b)) is None
    assert weak.energy(b, weak.drive(b)) is None


ONE_WAY = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 0, 1]]), 3)
PAIR = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: EdgeLCA(WeightedEdges(ONE_WAY, torch.zeros(3)), 0.1),
            ValueError,
            "from 2 to 1; build them with lateral_edges, or pass symmetric=False",
        ),
        (
            lambda: solve(
                EdgeLCA(WeightedEdges(PAIR, torch.tensor([0.5, 0.25])), 0.1), torch.ones(2, 1, 1)
            ),
            ValueError,
            "difference of 0.25 at",
        ),
        (
            lambda: solve(
                EdgeLCA(WeightedEdges(PAIR, torch.full((2,), float("nan"))), 0.1),
                torch.ones(2, 1, 1),
            ),
            ValueError,
            "lateral weights must be finite",
        ),
        (
            lambda: EdgeLCA(WeightedEdges(atom_edges(torch.eye(2, 3)).graph, torch.ones(2)), 0.1),
            ValueError,
            "lateral edges must join units with units",
        ),
        (
            lambda: EdgeLCA(
                WeightedEdges(PAIR, torch.zeros(2)), 0.1, atoms=atom_edges(torch.eye(3))
            ),
            ValueError,
            "Expected 2. Got 3",
        ),
        (lambda: EdgeLCA(EdgeLinear(PAIR), 0.1), ValueError, "graph must be given with an"),
        (lambda: EdgeLCA(EdgeLinear(PAIR, 2), 0.1, graph=PAIR), ValueError, "heads=1"),
        (lambda: TwoHopLCA(atom_edges(torch.eye(2)), 0.0), ValueError, "threshold must be"),
        (
            lambda: solve(TwoHopLCA(atom_edges(torch.eye(2)), 0.1), torch.ones(3, 1, 1)),
            ValueError,
            r"\[2, B, 1\], columns first",
        ),
        (
            lambda: solve(TwoHopLCA(atom_edges(torch.eye(2)), 0.1), torch.ones(2, 1)),
            ValueError,
            r"Got \[2, 1\]",
        ),
        (lambda: atom_edges(2 * torch.eye(2)), ValueError, "atoms must have unit norm"),
        (lambda: atom_edges(torch.ones(2)), ValueError, r"\[n, m\]"),
        (lambda: atom_edges([[1.0]]), TypeError, "scipy sparse matrix"),
        (lambda: lateral_edges(atom_edges(random_atoms(4, 4)), -1.0), ValueError, "epsilon must"),
        (lambda: normalized_edges(PAIR, torch.zeros(2)), ValueError, "Got none for unit 0"),
        (lambda: normalized_edges(PAIR, torch.ones(3)), ValueError, "one per edge"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
