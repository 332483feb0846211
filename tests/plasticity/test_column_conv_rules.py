"""The layer people import, under rules: scored exactly, and rewired with all that it keeps."""

import pytest
import torch
from torch import nn

from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv
from graphcolumns.nn.recording import recording
from graphcolumns.ops import edge_scores
from graphcolumns.plasticity import (
    Plasticity,
    criteria,
    presets,
    rewire,
    rule_from_options,
)
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.trace import iter_slices, trace
from graphcolumns.plasticity.state.newborn import node_mean
from graphcolumns.plasticity.update.trial import changed_copy
from tests.plasticity.support.learners import LOSSES, SHEET, batch, descend, optimizer_of, rows
from tests.plasticity.support.nets import Answer, ConvNet


def net(seed: int = 0, **options) -> ConvNet:
    torch.manual_seed(seed)
    model = ConvNet(connect.nearest(SHEET, 4), **options)
    for layer in (model.first, model.second):
        if layer.edge_bias is not None:
            nn.init.normal_(layer.edge_bias.per_head)
    return model


class OneLayer(nn.Module):
    """A loss that is linear in what is heard, so that predicted effects are exact."""

    def __init__(self, graph: ColumnGraph, form: str) -> None:
        super().__init__()
        self.graph, self.form = graph, form
        scores = graph if form == "graph" else None  # plain edge indices have no edge bias
        self.conv = ColumnConv(1, 4, graph.num_columns, heads=2, edge_bias=scores)
        if form == "graph":
            nn.init.normal_(self.conv.edge_bias.per_head)

    def forward(self, images):
        edges = self.graph if self.form == "graph" else self.graph.edge_index
        return self.conv(images.flatten(1)[..., None], edges)

    def rewired(self, graph):
        self.graph = graph


def linear(output, labels):
    weight = torch.linspace(-1, 1, output[0].numel()).view_as(output[0])
    return (output * weight).sum((1, 2))


@pytest.mark.parametrize("form", ["graph", "edge index"])
def test_effects_of_deaths_and_births_are_predicted_exactly(form):
    torch.manual_seed(0)
    model = OneLayer(connect.nearest(SHEET, 4), form).double()
    data = rows()
    inputs, labels = data.train_inputs[:6].double(), data.train_targets[:6]
    graph = model.graph
    born = torch.tensor([0]), torch.tensor([15])
    pairs = torch.cat([graph.target[5:6], born[0]]), torch.cat([graph.source[5:6], born[1]])
    scores = trace(model, inputs, labels, linear, *pairs)
    before = linear(model(inputs), labels).sum()
    none = torch.empty(0, dtype=torch.int64)
    for change, predicted in [
        (rewire(graph, torch.tensor([5]), (none, none)), scores.deletion[0]),
        (rewire(graph, none, born, SHEET), scores.insertion[1]),
    ]:
        after = linear(changed_copy(model, change, node_mean)(inputs), labels).sum()
        torch.testing.assert_close(after - before, predicted)


def test_layers_of_several_sizes_add_up_in_every_sample():
    """Two and three heads, widths 4: as the sum of one trace per layer, sample by sample."""
    model, data = net(), rows()
    inputs, labels = data.train_inputs[:3], data.train_targets[:3]
    graph = model.graph
    targets = torch.cat([graph.target.long(), torch.tensor([0, 9])])
    sources = torch.cat([graph.source.long(), torch.tensor([15, 2])])
    got = trace(model, inputs, labels, LOSSES, targets, sources, slice_size=2)
    expected = {"deletion": 0.0, "insertion": 0.0, "bias_gradient": 0.0, "gate": 0.0}
    squares, mass, would_be = 0.0, 0.0, 0.0
    for x, y in zip(inputs.split(1), labels.split(1), strict=True):
        with recording(model) as heard:
            loss = LOSSES(model(x), y).sum()
        grads = torch.autograd.grad(loss, [e.out for e in heard])
        parts = []
        for e, g in zip(heard, grads, strict=True):
            mean = torch.stack([e.bias[graph.target == i].mean(0) for i in (0, 9)])
            steps = [t.detach()[None] for t in (e.q, e.k, e.v, e.lse, e.out, g)]
            parts.append(edge_scores(*steps, targets, sources, bias=torch.cat([e.bias, mean])))
        for name in expected:
            expected[name] = expected[name] + sum(getattr(part, name) for part in parts)
        squares = squares + sum(part.deletion for part in parts) ** 2
        mass = mass + (2 * parts[0].mass + 3 * parts[1].mass) / 5
        would_be = would_be + (2 * parts[0].would_be + 3 * parts[1].would_be) / 5
    for name, values in expected.items():
        torch.testing.assert_close(getattr(got, name), values, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(got.deletion_squares, squares, atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(got.mass, mass)
    torch.testing.assert_close(got.would_be, would_be)
    assert float(got.mass[: graph.num_edges].sum()) == pytest.approx(3 * 16, rel=1e-5)


def test_layers_of_one_size_are_stacked_as_they_are():
    model = net()
    model.second = ColumnConv(8, 4, 16, heads=2, edge_bias=model.graph)
    [part] = iter_slices(model, rows().train_inputs[:2], rows().train_targets[:2], LOSSES)
    assert part.attention.share == 1.0
    assert part.attention.q.shape == (2, 16, 2, 2, 4)


@pytest.mark.parametrize("newborn", ["epsilon", "zero", "node_mean"])
def test_newborns_start_as_the_rule_says_in_layers_of_any_number_of_heads(newborn):
    rule = rule_from_options(
        prune=criteria.mass,
        grow=criteria.chance,
        first_value=newborn,
        epsilon_share=0.03,
        samples=16,
        check_samples=8,
    )
    model = net()
    inputs, labels = batch(rule)
    with recording(model) as heard, torch.no_grad():
        model.eval()(inputs[:16])
    update = Plasticity(rule, SHEET).update(model, None, 2, inputs, labels, LOSSES)
    born, graph = update.rewiring.born, model.graph
    assert len(born) > 4
    assert all(len(layer.edge_bias.per_head) == 64 for layer in (model.first, model.second))
    if newborn == "zero":
        assert not model.first.edge_bias.per_head[born].any()
    if newborn == "epsilon":
        targets, sources = graph.target[born].long(), graph.source[born].long()
        for layer, e in zip((model.first, model.second), heard, strict=True):
            score = (e.q[targets] * e.k[sources]).sum(-1) * e.q.shape[-1] ** -0.5
            score = score + layer.edge_bias.per_head.detach()[born][:, None]
            assert float((score - e.lse[targets]).sigmoid().max()) < 0.03 + 1e-6


def test_a_model_without_a_state_has_the_activity_of_what_it_heard_last():
    model, data = net(), rows()
    inputs = data.train_inputs[:5]
    probe = Probe(model, SHEET, inputs, data.train_targets[:5], LOSSES, slice_size=2)
    with recording(model, model.graph) as heard, torch.no_grad():
        model.eval()(inputs)
    expected = heard[-1].out.flatten(2).norm(dim=-1)
    torch.testing.assert_close(probe.activity, expected)


def test_a_model_with_neither_state_nor_record_says_so():
    class Mute(nn.Module):
        graph = connect.nearest(SHEET, 4)

        def forward(self, images):
            return Answer(images.flatten(1)[:, :4])

    probe = Probe(Mute(), SHEET, rows().train_inputs[:2], rows().train_targets[:2], LOSSES)
    with pytest.raises(ValueError, match=r"reads the activity of columns.*Mute; return a state"):
        _ = probe.activity
    with pytest.raises(ValueError, match=r"ColumnConv or EdgeLinear.*Got Mute with none"):
        _ = probe.scores


def test_a_layer_on_other_edges_is_left_alone_and_one_that_is_never_heard_is_refused():
    other = connect.nearest(SHEET, 2)

    class Two(ConvNet):
        def __init__(self, graph):
            super().__init__(graph)
            self.aside = ColumnConv(1, 1, 16, edge_bias=other)

        def forward(self, images):
            x = self.aside(images.flatten(1)[..., None], other)
            return super().forward(x.squeeze(-1))

    torch.manual_seed(0)
    model, rule = Two(connect.nearest(SHEET, 4)), presets.set(8, samples=8, check_samples=8)
    inputs, labels = batch(rule)
    Plasticity(rule, SHEET).update(model, None, 2, inputs, labels, LOSSES)
    assert len(model.aside.edge_bias.per_head) == other.num_edges
    assert model.aside.topology is other
    model.graph = connect.nearest(SHEET, 3)
    with pytest.raises(ValueError, match=r"none was recorded along.*column_id"):
        trace(net_on(model), inputs, labels, LOSSES, *torch.zeros(2, 1).long())


class Keeps(ConvNet):
    """Attends along a copy of the edges that `rewired` does not reach."""

    def __init__(self, graph, kept):
        super().__init__(graph, bias=False)
        self.kept = [kept(graph)]

    def forward(self, images):
        x = torch.relu(self.first(images.flatten(1)[..., None], self.graph))
        return Answer(self.second(x, self.kept[0]).mean(1))


@pytest.mark.parametrize("kept", [lambda g: g, lambda g: g.edge_index], ids=["graph", "edges"])
def test_a_layer_that_would_go_on_along_the_old_edges_is_refused_before_training(kept):
    rule = presets.set(8, samples=8, check_samples=8)
    model = Keeps(connect.nearest(SHEET, 4), kept)
    with pytest.raises(ValueError, match=r"Got Keeps, of which a layer goes on along the old ones"):
        Plasticity(rule, SHEET).dry_run(model, 2, *batch(rule), LOSSES)
    other = Keeps(connect.nearest(SHEET, 4), lambda graph: connect.nearest(SHEET, 3))
    Plasticity(rule, SHEET).dry_run(other, 2, *batch(rule), LOSSES)  # edges of its own


def net_on(model: nn.Module) -> nn.Module:
    """The same layers, called along edges that are not those of the model."""

    class Elsewhere(nn.Module):
        def __init__(self):
            super().__init__()
            self.graph, self.inner, self.edges = model.graph, model.aside, model.aside.topology

        def forward(self, images):
            x = self.inner(images.flatten(1)[..., None], self.edges)
            return Answer(x.squeeze(-1)[:, :4])

    return Elsewhere()


def test_training_goes_on_with_every_edge_of_both_layers():
    rule = presets.rigl(8, samples=16, check_samples=8, fraction=0.5)
    model = net()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    for number in (1, 2):
        descend(model, optimizer, 2, changing=changing)
        before = model.graph
        kept = model.first.edge_bias.per_head.detach().clone()
        update = changing.update(model, optimizer, 2 * number, *batch(rule, number), LOSSES)
        alive = update.rewiring.survived
        now = model.first.edge_bias.per_head.detach()
        assert torch.equal(now[alive], kept[update.rewiring.origin[alive]])
        assert model.first.topology is model.second.topology is model.graph
        assert len(update.rewiring.born) == len(update.rewiring.died) > 0
        assert before.num_edges == model.graph.num_edges
    descend(model, optimizer, 1)
    assert model.second.edge_bias.per_head.grad.abs().sum() > 0
