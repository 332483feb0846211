"""Scores of edges of linear layers: against autograd on a dense matrix with zeros, in float64."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from graphcolumns import edge_linear
from graphcolumns.graph.keys import edge_ids
from graphcolumns.nn import ColumnAttention
from graphcolumns.plasticity import Constraints, Plasticity, edge_parameters, presets
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.pair_bias import mean_of_open
from graphcolumns.plasticity.probe.trace import trace
from tests.plasticity.support.circuits import (
    CHANNELS,
    GRAPH,
    SHEET,
    Both,
    Circuit,
    Own,
    Silent,
    losses,
)

EVERY = tuple(ids.flatten() for ids in torch.meshgrid(*[torch.arange(12)] * 2, indexing="ij"))


class Dense(nn.Module):
    """The same with a matrix ``[N, N, H]`` of weights, 0 where there is no edge."""

    def __init__(self, circuit: Circuit) -> None:
        super().__init__()
        self.circuit, graph = copy.deepcopy(circuit), circuit.graph
        weight = self.circuit.linear.weight.detach()
        self.matrix = torch.zeros(12, 12, circuit.linear.heads, dtype=weight.dtype)
        self.matrix[graph.target.long(), graph.source.long()] = weight.reshape(len(weight), -1)
        self.circuit.mix = self.mix

    def mix(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (self.matrix.shape[-1], -1))
        return torch.einsum("ijh,jbhd->ibhd", self.matrix, heads).flatten(2)

    def gradients(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Of the loss of every sample by every weight, ``[B, N, N, H]``."""
        self.matrix.requires_grad_()
        each = losses(self.circuit(inputs), labels)
        return torch.stack(
            [torch.autograd.grad(one, self.matrix, retain_graph=True)[0] for one in each]
        )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 12, CHANNELS, dtype=torch.float64), torch.randint(3, (5,))


@pytest.mark.parametrize("heads", [1, 2, CHANNELS])
@pytest.mark.parametrize("steps", [1, 3])
def test_of_all_pairs_are_those_of_a_dense_matrix(heads, steps, batch):
    model = Circuit(heads=heads, steps=steps)
    dense = Dense(model)
    gradient = dense.gradients(*batch)
    got = trace(model, *batch, losses, *EVERY, slice_size=2, chunk=50)

    weight = model.linear.weight.detach()
    matrix = dense.matrix.detach()
    born = mean_of_open(weight, GRAPH).reshape(12, 1, -1).expand(12, 12, -1)
    is_edge = (edge_ids(GRAPH, *EVERY) >= 0).view(12, 12)
    start = torch.where(is_edge[..., None], matrix, born)
    effect = (gradient * start).sum(-1).flatten(1)
    shared = gradient.sum(-1).flatten(1).sum(0)
    for name in ("bias_gradient", "advantage", "gate"):
        torch.testing.assert_close(getattr(got, name), shared)
    torch.testing.assert_close(got.insertion, effect.sum(0))
    torch.testing.assert_close(got.deletion, -effect.sum(0))
    torch.testing.assert_close(got.deletion_squares, effect.square().sum(0))
    torch.testing.assert_close(got.attention_gradient, effect.abs().sum(0))
    torch.testing.assert_close(got.mass / 5, start.abs().mean(-1).flatten())
    assert got.samples == 5


def test_a_small_weight_that_is_inserted_does_what_was_foreseen(batch):
    model, start = Circuit(), 1e-5
    dense = Dense(model)
    pair = next((i, j) for i in range(12) for j in range(12) if not dense.matrix[i, j])
    with torch.no_grad():
        before = losses(dense.circuit(batch[0]), batch[1])
        dense.matrix[pair] = start
        change = losses(dense.circuit(batch[0]), batch[1]) - before
    ends = torch.tensor([pair[0]]), torch.tensor([pair[1]])
    weight = torch.tensor([start], dtype=torch.float64)
    got = trace(model, *batch, losses, *ends, newborn_weight=weight)
    assert float(got.insertion) == pytest.approx(float(change.sum()), rel=1e-3)
    assert float(got.insertion_squares) == pytest.approx(float(change.square().sum()), rel=1e-3)


def test_a_layer_of_ones_own_that_records_is_scored_alike(batch):
    torch.manual_seed(1)
    model = Circuit()
    torch.manual_seed(1)
    own = Own()
    own.load_state_dict(model.state_dict() | {"weight": model.linear.weight}, strict=False)
    expected, got = (trace(each, *batch, losses, *EVERY) for each in (model, own))
    assert torch.equal(expected.sums(), got.sums())


class OnlyAttention(Both):
    """The same, but only attention records."""

    def mix(self, x: Tensor) -> Tensor:
        linear = edge_linear(x, self.linear.weight, self.graph)
        return linear + self.attention(x, self.graph)[0]


class OnlyLinear(Both):
    """The same, but only the linear layer records."""

    def mix(self, x: Tensor) -> Tensor:
        silent = ColumnAttention(12, CHANNELS, 2, edge_bias=self.attention.edge_bias).double()
        silent.load_state_dict(self.attention.state_dict())
        return self.linear(x, self.graph) + silent(x, self.graph)[0]


def test_effects_add_up_over_attention_and_linear_layers(batch):
    runs = []
    for kind in (Both, OnlyAttention, OnlyLinear):
        torch.manual_seed(2)
        runs.append(trace(kind(), *batch, losses, *EVERY, slice_size=3))
    both, attention, linear = runs
    for name in ("deletion", "insertion", "advantage", "gate", "bias_gradient"):
        torch.testing.assert_close(
            getattr(both, name), getattr(attention, name) + getattr(linear, name)
        )
    # Two steps with two heads of attention and one weight each.
    torch.testing.assert_close(both.mass, (2 * attention.mass + linear.mass) / 3)
    torch.testing.assert_close(both.would_be, (2 * attention.would_be + linear.would_be) / 3)
    # Within each sample, before squares are formed.
    torch.manual_seed(2)
    model = Both()
    each = [trace(model, x[None], y[None], losses, *EVERY) for x, y in zip(*batch, strict=True)]
    for name in ("deletion", "insertion"):
        squares = torch.stack([getattr(one, name).square() for one in each]).sum(0)
        torch.testing.assert_close(getattr(both, f"{name}_squares"), squares)


EXACT = {"accept": "net_gain", "standard_errors": 0.0, "tolerance": None}


BY_WEIGHT = {"magnitude": "weight"}


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("set", {}), ("set", BY_WEIGHT), ("rigl", {}), ("chts", BY_WEIGHT), ("mest", {}),
        ("exact", EXACT),
    ],
)  # fmt: skip
def test_rules_rewire_a_circuit(rule, options, batch):
    model = Circuit()
    made = getattr(presets, rule)(100, every=1, samples=3, check_samples=2, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.graph
    update = Plasticity(made, SHEET).update(model, optimizer, 1, *batch, losses)
    assert update.metrics["edges"] == model.graph.num_edges == before.num_edges
    assert len(model.linear.weight) == model.graph.num_edges
    assert not model.graph.same_topology(before)
    model(batch[0]).prediction.sum().backward()


@pytest.mark.parametrize("kind", [Circuit, Silent])
def test_the_smallest_weights_are_pruned(kind, batch):
    """With records of the edges and without."""
    model = kind()
    [weight] = edge_parameters(model)
    size = weight.detach().abs()
    rule = presets.gmp(100, degree=3.0, every=1, samples=3, check_samples=0, **BY_WEIGHT)
    rule = replace(rule, constraints=Constraints())
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch, losses)
    pruned = update.rewiring.died
    assert 0 < len(pruned) == GRAPH.num_edges - model.graph.num_edges
    assert set(pruned.tolist()) == set(size.argsort()[: len(pruned)].tolist())


def test_the_loss_changes_as_a_rule_predicts(batch):
    model = Circuit()
    with torch.no_grad():
        model.linear.weight.mul_(1e-3)
    rule = presets.rigl(
        100, every=1, samples=3, check_samples=2, first_value="node_mean", regrow=False
    )
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch, losses)
    predicted, realised = (update.metrics[f"{name}_change"] for name in ("predicted", "realised"))
    assert predicted == pytest.approx(realised, rel=0.05)
    assert predicted != 0


def test_newborns_at_zero_change_nothing_but_the_deletions(batch):
    model = Circuit()
    with torch.no_grad():
        model.linear.weight.mul_(1e-3)
    rule = presets.rigl(100, every=1, samples=3, check_samples=2, first_value="zero", regrow=False)
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch, losses)
    predicted, realised = (update.metrics[f"{name}_change"] for name in ("predicted", "realised"))
    assert not model.linear.weight[update.rewiring.born].any()
    assert predicted == pytest.approx(realised, rel=0.05)


@pytest.mark.parametrize("rule", ["rigl", "granet", "mest"])
def test_newborns_start_with_a_weight_of_zero_as_in_the_papers(rule, batch):
    model = Circuit()
    before = model.linear.weight.detach().clone()
    made = getattr(presets, rule)(100, every=1, samples=3, check_samples=2)
    rewiring = Plasticity(made, SHEET).update(model, None, 1, *batch, losses).rewiring
    assert len(rewiring.born)
    assert not model.linear.weight[rewiring.born].any()
    kept = rewiring.survived
    assert torch.equal(model.linear.weight[kept], before[rewiring.origin[kept]])


def test_newborns_of_set_start_at_the_mean_of_their_column(batch):
    model = Circuit()
    mean = mean_of_open(model.linear.weight.detach(), GRAPH)
    made = presets.set(100, every=1, samples=3, check_samples=0)
    born = Plasticity(made, SHEET).update(model, None, 1, *batch, losses).rewiring.born
    assert len(born)
    assert torch.equal(model.linear.weight[born], mean[model.graph.target[born].long()])


def test_the_loss_changes_as_predicted_with_newborns_of_weight_zero(batch):
    model = Circuit()
    with torch.no_grad():
        model.linear.weight.mul_(1e-3)
    rule = presets.rigl(100, every=1, samples=3, check_samples=2, regrow=False)
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch, losses)
    predicted, realised = (update.metrics[f"{name}_change"] for name in ("predicted", "realised"))
    assert predicted == pytest.approx(realised, rel=0.05)
    assert predicted != 0


def test_the_size_of_weights_needs_no_record(batch):
    model = Silent()
    size = model.weight.detach().abs()
    torch.testing.assert_close(Probe(model, SHEET, *batch, losses).edges().mass, size)
    rule = presets.set(100, samples=3, check_samples=0)
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch, losses)
    died = update.rewiring.died
    assert 0 < len(died) <= int(0.3 * GRAPH.num_edges)
    assert float(size[died].median()) < float(size.median())


def test_rigl_on_a_model_without_records_says_before_training_what_to_do(batch):
    rule = presets.rigl(100, samples=3, check_samples=2)
    with pytest.raises(ValueError, match=r"scores of edges need records.*Got Silent with none"):
        Plasticity(rule, SHEET).dry_run(Silent(), 1, *batch, losses)


@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_epsilon_needs_attention(rule, batch):
    made = getattr(presets, rule)(100, samples=3, check_samples=2, first_value="epsilon")
    with pytest.raises(ValueError, match="linear layers only; start newborns with first_value="):
        Plasticity(made, SHEET).dry_run(Circuit(), 1, *batch, losses)
