"""A sheet that codes images: against dense LCA, rewired by rules, from the command line."""

import pytest
import torch
from torch.nn.functional import mse_loss

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.cli import main
from graphcolumns.connect import field_edges
from graphcolumns.data import Dataset
from graphcolumns.models.neurodynamics import SparseSheet, sparsity
from graphcolumns.models.neurodynamics.sparse_metrics import (
    active_share,
    final_residual,
    mean_energy,
    mean_iterations,
)
from graphcolumns.nn import keep_topology
from graphcolumns.nn.dynamics import LCA, solve
from graphcolumns.nn.dynamics.sparse_coding.overlaps import overlaps
from graphcolumns.plasticity import Plasticity, presets

SHEET = grid.sheet(6, 6)


def sheet(graph=None, seed=0, size=8, **options):
    torch.manual_seed(seed)
    graph = connect.within_radius(SHEET, 2.0) if graph is None else graph
    return SparseSheet(SHEET, graph, size, **{"threshold": 0.8, "field": 3, **options})


def images(count=4, size=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, size, size, generator=generator)


def test_on_all_overlaps_it_is_lca():
    model = sheet(connect.complete(SHEET), tolerance=1e-6, max_steps=20_000).double()
    x = images().double()
    output = model(x)
    dense = solve(LCA(model.atom_images(), 0.8), x.flatten(1), tolerance=1e-7, max_steps=20_000)
    torch.testing.assert_close(output.state[..., 0].T, dense.output, atol=1e-3, rtol=0)
    torch.testing.assert_close(output.energy, dense.energy, rtol=1e-5, atol=0)
    back = (dense.output @ model.atom_images()).reshape_as(x)
    torch.testing.assert_close(output.prediction, back, atol=2e-3, rtol=0)


def test_fields_by_hand():
    fields = field_edges(grid.sheet(2, 2), (4, 5), 1, 3)
    # The corners of the image, moved inside.
    corners = [[0, 0], [0, 2], [1, 0], [1, 2]]
    for column, (y, x) in enumerate(corners):
        expected = [(y + i) * 5 + x + j for i in range(3) for j in range(3)]
        assert fields.source[9 * column : 9 * column + 9].tolist() == expected
    colour = field_edges(grid.sheet(2, 2), (4, 5), 2, 1)
    assert colour.source.tolist() == [0, 20, 4, 24, 15, 35, 19, 39]


def test_overlaps_are_the_gram_matrix():
    model = sheet()
    graph, images_of = model.graphs["lateral"], model.atom_images()
    gram = images_of @ images_of.T
    edge, first, second = overlaps(graph, model.graphs["field"])
    products = (model.atoms[first] * model.atoms[second]).detach()
    found = torch.zeros(graph.num_edges).index_add(0, edge, products)
    torch.testing.assert_close(found, gram[graph.target.long(), graph.source.long()])


@pytest.mark.parametrize("lateral", ["gram", "learned"])
def test_training_lowers_the_energy(lateral):
    model, x = sheet(lateral=lateral), images(32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    energies = []
    for _ in range(12):
        output = model(x)
        loss = mse_loss(output.prediction, x) + sparsity(model, output, x)
        torch.testing.assert_close(loss, 2 * output.energy.mean() / 64)
        energies.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_step()
    assert energies[-1] < 0.95 * energies[0]
    torch.testing.assert_close(model.atom_images().norm(dim=1), torch.ones(36))


def test_the_gradient_of_learned_weights_is_that_of_finite_differences():
    model = sheet(lateral="learned", tolerance=1e-9, max_steps=20_000).double()
    x = images().double()
    model(x).prediction.square().sum().backward()
    gradient = model.lateral.weight.grad.clone()
    direction = torch.randn(len(gradient), generator=torch.Generator().manual_seed(0)).double()
    weight, values = model.lateral.weight.detach().clone(), []
    for step in (1e-6, -1e-6):
        model.lateral.weight.data = weight + step * direction
        values.append(model(x).prediction.square().sum().item())
    expected = (values[0] - values[1]) / 2e-6
    assert (gradient @ direction).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("graph", [None, connect.nearest(SHEET, degree=5)])
def test_the_gradient_of_atoms_passes_through_weights_that_follow_them(graph):
    model = sheet(graph, field=4, tolerance=1e-9, max_steps=20_000).double()
    x = images().double()
    model(x).prediction.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["atoms"]
    gradient = model.atoms.grad.clone()
    direction = torch.randn(len(gradient), generator=torch.Generator().manual_seed(0)).double()
    atoms, values = model.atoms.detach().clone(), []
    for step in (1e-6, -1e-6):
        model.atoms.data = atoms + step * direction
        values.append(model(x).prediction.square().sum().item())
    expected = (values[0] - values[1]) / 2e-6
    assert (gradient @ direction).item() == pytest.approx(expected, rel=1e-4)


def test_weights_that_turn_in_a_circle_converge():
    model = sheet(lateral="learned", tolerance=1e-5)
    graph = model.graphs["lateral"]
    model.lateral.weight.data = 0.3 * (graph.source - graph.target).sign().float()
    assert model._in_sums(model.lateral.weight.detach()).max() > 3
    model.after_step()
    assert model._in_sums(model.lateral.weight.detach()).max() <= 0.95 + 1e-6
    assert model(images()).iterations.max() < 500


def test_weights_never_lose_the_fixed_point():
    # Minus the Gram matrix on few of its edges alone would diverge here.
    few = sheet(connect.nearest(SHEET, degree=5), field=6)
    assert few(images()).iterations.max() < 2_000
    wild = sheet(lateral="learned")
    wild.lateral.weight.data += 3
    wild.after_step()
    assert wild(images()).state.isfinite().all()
    graph, weight = wild.graphs["lateral"], wild.lateral.weight.detach()
    assert (weight[graph.source == graph.target] == 0).all()
    dense = torch.zeros(36, 36)
    dense[graph.target.long(), graph.source.long()] = weight
    assert torch.linalg.matrix_norm(dense, float("inf")) <= 0.95 + 1e-6
    # Symmetric ones keep the eigenvalue below 1, whatever their sums.
    both = sheet(field=6)
    graph, weight = both.graphs["lateral"], both.lateral.weight.detach()
    dense = torch.zeros(36, 36)
    dense[graph.target.long(), graph.source.long()] = weight
    assert torch.linalg.matrix_norm(dense, float("inf")) > 1
    assert torch.linalg.eigvalsh(dense)[-1] < 1.01


@pytest.mark.parametrize("lateral", ["gram", "learned"])
@pytest.mark.parametrize("preset", [presets.set, presets.rigl])
def test_rules_prune_and_grow(preset, lateral):
    model, x = sheet(lateral=lateral), images(24)
    before = model.graphs["lateral"]
    rule = preset(steps=100, every=10, samples=16, check_samples=8)
    update = Plasticity(rule, SHEET).update(model, None, 10, x, x, squared_errors)
    assert len(update.rewiring.born) > 0
    assert model.graphs["lateral"].num_edges == before.num_edges
    assert not model.graphs["lateral"].same_topology(before)
    assert model(x).prediction.isfinite().all()
    if lateral == "gram":
        gram = model.atom_images() @ model.atom_images().T
        graph = model.graphs["lateral"]
        expected = -gram[graph.target.long(), graph.source.long()]
        expected[graph.source == graph.target] = 0
        assert (model.scale > 0.1).all()
        expected = model.scale[graph.target] * expected
        torch.testing.assert_close(model.lateral.weight.detach(), expected)


def squared_errors(output, targets):
    return (output.prediction - targets).square().flatten(1).mean(1)


@pytest.mark.parametrize("lateral", ["gram", "learned"])
def test_a_state_dict_brings_its_edges(lateral):
    model = sheet(lateral=lateral)
    other = sheet(connect.nearest(SHEET, degree=4), lateral=lateral, seed=1)
    keep_topology(other)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(images()).state, model(images()).state)


@pytest.mark.slow
def test_the_command_line_trains_rewires_and_reports(tmp_path):
    words = f"""
        train experiment=sparse_coding plasticity=set plasticity.every=2 plasticity.samples=8
        plasticity.check_samples=8 steps=4 batch_size=8 progress=false run={tmp_path / "run"}
        geometry.height=6 geometry.width=6 data.size=8 data.count=400 data.whitened=false
        model.field=3 degree=9
    """.split()
    main(words)
    page = (tmp_path / "run/report.html").read_text()
    assert "36 columns with receptive fields of 3 x 3 pixels" in page
    pictures = {path.stem for path in (tmp_path / "run/report").glob("*.png")}
    assert {"activity", "relaxation", "receptive_fields"} <= pictures


def test_metrics_are_means_over_held_out_samples():
    x = images(6)
    data = Dataset(x[:2], x[:2], x[2:], x[2:], task="reconstruction")
    model = sheet()
    output = model.eval()(x[2:])
    assert mean_energy(model, data) == pytest.approx(output.energy.mean().item())
    assert mean_iterations(model, data) == output.iterations.double().mean().item()
    assert active_share(model, data) == (output.state != 0).double().mean().item()
    assert 0 <= final_residual(model, data) < 1e-2


def test_odd_sizes_and_no_edges():
    itself = ColumnGraph.from_edge_index(torch.zeros(2, 1, dtype=torch.int64), 1)
    alone = SparseSheet(grid.sheet(1, 1), itself, 1, field=1)
    assert alone(torch.ones(1, 1, 1, 1)).prediction.shape == (1, 1, 1, 1)
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 36)
    assert sheet(empty)(images(1)).state.shape == (36, 1, 1)
    wide = sheet(size=(8, 10), in_channels=2)
    assert wide(torch.randn(2, 2, 8, 10)).prediction.shape == (2, 2, 8, 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sheet(threshold=-1.0), "threshold must be positive"),
        (lambda: sheet(field=9), "Expected 1 to 8. Got 9"),
        (lambda: sheet(lateral="hebbian"), "lateral must be"),
        (lambda: sheet(connect.nearest(grid.sheet(5, 5), 4)), "25"),
        (lambda: sheet()(torch.zeros(2, 1, 7, 7)), r"images of 64 values each. Got \[2, 49\]"),
        (lambda: sheet()(torch.full((1, 1, 8, 8), torch.nan)), "inputs must be finite"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_autocast_changes_nothing():
    model, x = sheet(), images()
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(x)
    assert torch.equal(output.iterations, expected.iterations)
    torch.testing.assert_close(output.prediction, expected.prediction, rtol=0, atol=0)
