"""Edges of models of two streams are scored by Counter-Hebbian products, absent pairs too."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import connect
from graphcolumns.graph.keys import edge_ids
from graphcolumns.learning import counter_hebb
from graphcolumns.learning.counter_hebb import error_of
from graphcolumns.models.bottom_up_top_down import top_down_sheet
from graphcolumns.nn.top_down import top_down_gradients
from graphcolumns.plasticity import (
    EdgeAdamW,
    Plasticity,
    criteria,
    edge_parameters,
    presets,
    samplers,
)
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.plasticity.rewiring.rewiring import rewire
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.state.newborn import node_mean, zero_weight
from tests.plasticity.support.two_streams import SHEET, losses, samples, two_streams

EVERY = tuple(ids.flatten() for ids in torch.meshgrid(*[torch.arange(12)] * 2, indexing="ij"))
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def sheet_of(model):
    return next(
        layer
        for layer in model.network.layers
        if getattr(layer, "graph", None) is not None and layer.graph.name == "sheet"
    )


def scored(model, **options):
    return trace(model, *samples(), losses, *EVERY, graph=model.graphs["sheet"], **options)


def dense_gradient(model):
    """The gradient by a dense matrix with zeros in the place of the edges, by plain torch."""
    inputs, labels = samples()
    gates, layer = model.gates(inputs), sheet_of(model)
    matrix = torch.zeros(12, 12, dtype=torch.float64)
    matrix[layer.graph.target.long(), layer.graph.source.long()] = layer.weight.detach()
    matrix.requires_grad_()
    ends = {p.target: p.layer for p in model.network.projections if p.source == "input"}
    ends |= {p.target: p.layer for p in model.network.projections if p.target == "prediction"}
    first, last = ends["step0"], ends["prediction"]
    x = F.linear(inputs["image"], first.weight.view(12, -1), first.bias).relu()
    x = x * gates["step0"][..., 0].T
    x = (x @ matrix.T + layer.bias).relu() * gates["step1"][..., 0].T
    x = (x @ matrix.T + layer.bias + x).relu() * gates["step2"][..., 0].T
    loss = F.cross_entropy(F.linear(x, last.weight.view(-1, 12), last.bias), labels)
    return torch.autograd.grad(loss, matrix)[0]


@torch.no_grad()
def products(model):
    """The products on all pairs, summed over the steps, from the error pass of the model."""
    inputs, labels = samples()
    neurons = model.neurons(inputs)
    _, error = error_of(model, neurons, inputs, labels, TERMS)
    counters = model.network.top_down({"prediction": error}, neurons, until=("input",))
    layer, total = sheet_of(model), 0.0
    for source, target, other in model.network.projections:
        if other is layer:
            total = total + torch.einsum("ibc,jbc->ij", counters[target], neurons[source])
    return total


@pytest.mark.parametrize("slice_size", [2, 6])
def test_growth_scores_are_the_gradient_of_a_dense_matrix(slice_size):
    model = two_streams().double()
    got = scored(model, slice_size=slice_size).gate.view(12, 12) / 6
    expected = dense_gradient(model)
    assert int((expected != 0).sum()) > 60
    torch.testing.assert_close(got, expected, **EXACT)
    torch.testing.assert_close(got, products(model), **EXACT)
    by_backprop = scored(two_streams(scored_by="backprop").double(), slice_size=slice_size)
    torch.testing.assert_close(got, by_backprop.gate.view(12, 12) / 6, **EXACT)


@pytest.mark.parametrize("feedback", ["tied", "independent"])
def test_in_several_sweeps_the_last_one_is_scored(feedback):
    model = two_streams(feedback, seed=3, sweeps=3).double()
    got = scored(model).gate.view(12, 12) / 6
    assert got.any()
    torch.testing.assert_close(got, products(model), **EXACT)


def test_columns_that_passes_leave_out_are_scored_all_the_same():
    """Also closed columns have products, which are 0, and pairs of open ones are scored."""
    model = two_streams("independent", skip_closed=True).double()
    got = scored(model).sums()
    model.skip_closed = False
    assert torch.equal(got, scored(model).sums())


@pytest.mark.parametrize("feedback", ["independent", "sign"])
def test_with_own_top_down_weights_they_are_the_products_and_not_backpropagation(feedback):
    model = two_streams(feedback).double()
    got = scored(model).gate.view(12, 12) / 6
    torch.testing.assert_close(got, products(model), **EXACT)
    model.scored_by = "backprop"
    by_backprop = scored(model).gate.view(12, 12) / 6
    torch.testing.assert_close(by_backprop, dense_gradient(model), **EXACT)
    assert float(F.cosine_similarity(got.flatten(), by_backprop.flatten(), dim=0)) < 0.9


@pytest.mark.parametrize("feedback", ["tied", "independent"])
@pytest.mark.parametrize("layer", ["edges", "attention"])
def test_gradients_of_columns_of_several_channels_are_those_of_the_learning_rule(layer, feedback):
    torch.manual_seed(0)
    options = {"image_size": (2, 3), "channels": 4, "steps": 2, "task_embedding": 8}
    graph = connect.nearest(SHEET, degree=4)
    model = top_down_sheet(graph, 4, 2, layer=layer, feedback=feedback, **options).double()
    counter_hebb(model, samples(), TERMS, scaler=GradScaler(enabled=False))
    learned = [
        p for n, p in model.named_parameters() if p.grad is not None and "top_down_weight" not in n
    ]
    inputs, labels = samples()
    with model.own_gradients():
        loss = losses(model(inputs), labels).mean()
        found = torch.autograd.grad(loss, learned)
    assert sum(bool(gradient.any()) for gradient in found) > 5
    for parameter, gradient in zip(learned, found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, **EXACT)


@pytest.mark.parametrize("layer", ["edges", "attention"])
def test_columns_of_several_channels_are_scored_alike_with_tied_weights(layer):
    torch.manual_seed(0)
    options = {"image_size": (2, 3), "channels": 4, "steps": 2, "task_embedding": 8}
    model = top_down_sheet(connect.nearest(SHEET, degree=4), 4, 2, layer=layer, **options).double()
    found = []
    for model.scored_by in ("counter_hebb", "backprop"):
        scores = trace(model, *samples(), losses, *EVERY, graph=model.graph)
        found.append(scores.sums())
    assert found[0].any()
    torch.testing.assert_close(*found, **EXACT)


def test_edges_are_scored_by_what_the_learning_rule_gives_them():
    model = two_streams("independent").double()
    counter_hebb(model, samples(), TERMS, scaler=GradScaler(enabled=False))
    graph, layer = model.graphs["sheet"], sheet_of(model)
    got = scored(model).gate / 6
    ids = edge_ids(graph, *EVERY)
    torch.testing.assert_close(got[ids >= 0], layer.weight.grad, **EXACT)
    edges = Probe(model, None, *samples(), losses, name="sheet").edges()
    torch.testing.assert_close(edges.weight_gradient[:, 0], layer.weight.grad, **EXACT)
    assert not edges.weight_gradient[:, 1].any()


def test_nothing_is_left_of_the_context():
    model = two_streams("independent").double()
    inputs, _ = samples()
    before = [p.clone() for p in model.parameters()]
    scored(model)
    assert not any(x._forward_hooks or x._forward_pre_hooks for x in model.modules())
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))
    outside = model(inputs).prediction
    with top_down_gradients(model.network):
        assert torch.equal(model(inputs).prediction, outside)


def test_an_unknown_choice_of_gradients_is_named():
    with pytest.raises(ValueError, match=r"scored_by must be .*counter_hebb.*Got 'mirrored'"):
        two_streams(scored_by="mirrored")
    with pytest.raises(ValueError, match="sweeps"):
        two_streams(sweeps=0)


@pytest.mark.parametrize("feedback", ["tied", "independent"])
def test_rigl_grows_the_absent_pairs_of_the_largest_products(feedback):
    model = two_streams(feedback).double()
    layer, before = sheet_of(model), model.graphs["sheet"]
    expected = products(model).abs()
    weight = by_pair(before, layer.weight)
    own = layer.top_down_weight
    back = None if own is None else by_pair(before, own)
    rule = presets.rigl(
        10, fraction=0.25, every=1, samples=6, sampler=samplers.everything, check_samples=0
    )
    optimizer = EdgeAdamW([{"params": edge_parameters(model)}], lr=0.01)
    plasticity = Plasticity(rule, SHEET, graph="sheet")
    plasticity.start(model)
    update = plasticity.update(model, optimizer, 1, *samples(), losses)
    after, born = model.graphs["sheet"], update.rewiring.born
    assert len(born) > 3
    assert after is layer.graph or after.same_graph(layer.graph)
    grown = expected[after.target[born].long(), after.source[born].long()]
    absent = torch.ones(12, 12, dtype=torch.bool)
    absent[before.target.long(), before.source.long()] = False
    absent.fill_diagonal_(False)
    absent[after.target[born].long(), after.source[born].long()] = False
    assert grown.min().item() >= expected[absent].max().item()
    # An edge takes both its weights along; a newborn has none in either direction.
    for key, value in by_pair(after, layer.weight).items():
        assert value == weight.get(key, 0.0)
    if back is not None:
        for key, value in by_pair(after, own).items():
            assert value == back.get(key, 0.0)


def by_pair(graph, values):
    ends = zip(graph.target.tolist(), graph.source.tolist(), strict=True)
    return dict(zip(ends, values.tolist(), strict=True))


def grown_by_one(model, newborn):
    graph = model.graphs["sheet"]
    absent = (edge_ids(graph, *EVERY) < 0) & (EVERY[0] != EVERY[1])
    # The pair that learns most.
    best = (products(model).abs().flatten() * absent).argmax()[None]
    pair = tuple(ids[best] for ids in EVERY)
    rewiring = rewire(graph, torch.empty(0, dtype=torch.int64), pair, SHEET)
    carry(rewiring, model, newborn=newborn)
    return rewiring.born, sheet_of(model)


def test_a_newborn_that_starts_at_zero_stays_tied_under_mirrored_updates():
    model = two_streams("independent").double()
    born, layer = grown_by_one(model, zero_weight)
    for _ in range(3):
        model.zero_grad()
        counter_hebb(model, samples(), TERMS, scaler=GradScaler(enabled=False))
        with torch.no_grad():
            for parameter in (layer.weight, layer.top_down_weight):
                parameter -= 0.1 * parameter.grad
    apart = (layer.weight - layer.top_down_weight).abs()
    assert torch.equal(layer.weight[born], layer.top_down_weight[born])
    assert layer.weight[born].item() != 0
    assert apart.max().item() > 0.1


def test_a_newborn_at_the_mean_takes_the_mean_of_each_direction():
    model = two_streams("independent").double()
    born, layer = grown_by_one(model, node_mean)
    target = layer.graph.target[born]
    others = (layer.graph.target == target).nonzero()[:, 0]
    others = others[others != born]
    for weight in (layer.weight, layer.top_down_weight):
        assert weight[born].item() == pytest.approx(weight[others].mean().item(), rel=1e-12)


def test_the_size_of_an_edge_is_that_of_its_bottom_up_weight():
    model = two_streams("independent").double()
    edges = Probe(model, None, *samples(), losses, name="sheet").edges()
    torch.testing.assert_close(criteria.mass(edges), sheet_of(model).weight.abs().detach())


def test_weights_of_both_directions_are_weights_of_an_edge():
    model = two_streams("independent").double()
    edges, layer = Probe(model, None, *samples(), losses, name="sheet").edges(), sheet_of(model)
    both = torch.stack([layer.weight, layer.top_down_weight], 1).detach()
    assert torch.equal(edges.weight, both)
    torch.testing.assert_close(criteria.weight_size(edges), both.abs().mean(1))
