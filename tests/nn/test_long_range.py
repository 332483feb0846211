"""Edges beyond a length that only excite: rectified values in attention, weights of 0 or above."""

import copy
from functools import partial

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.data import Dataset
from graphcolumns.models.columnformer import sheet
from graphcolumns.nn import ColumnAttention, EdgeBias, EdgeLinear, clamp_long_edges, keep_topology
from graphcolumns.nn.long_range import SplitSources, is_long
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.ops import column_attention
from graphcolumns.plasticity import presets
from graphcolumns.training import TrainOptions, train
from graphcolumns.training.step import after_step

GEOMETRY = grid.sheet(4, 4)
GRAPH = connect.complete(GEOMETRY)


def two_edges():
    """Column 0 receives from column 1, one pixel away, and from column 2, five pixels away."""
    edges = torch.tensor([[1, 2], [0, 0]])
    return ColumnGraph.from_edge_index(edges, 3, distance=torch.tensor([1.0, 5.0]))


def inputs(heads=2, graph=GRAPH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (graph.num_columns, 3, heads, 4)
    return [torch.randn(shape, generator=generator, requires_grad=True) for _ in range(3)]


def test_by_hand_only_the_far_value_is_rectified():
    q = k = torch.zeros(3, 1, 1, 1)
    v = torch.tensor([0.0, -2.0, -4.0]).view(3, 1, 1, 1)
    received = [
        SplitSources(length)(q, k, v, two_edges()).out[0].item() for length in (0.5, 1.0, 5.0)
    ]
    # Both far: (0 + 0) / 2. One far: (-2 + 0) / 2. An edge of just that length is not beyond it.
    assert received == [0.0, -1.0, -3.0]
    positive = SplitSources(1.0)(q, k, -v, two_edges())
    assert positive.out[0].item() == 3.0


def test_beyond_all_edges_it_is_attention_with_every_gradient():
    bias, cost = torch.randn(GRAPH.num_edges, 2, requires_grad=True), torch.rand(GRAPH.num_edges)
    results = []
    for attend in (column_attention, SplitSources(100.0)):
        given = [*inputs(), bias]
        found = attend(*given[:3], GRAPH, bias=bias, cost=cost, scale=0.7)
        loss = found.out.square().sum() + found.cost.sum() + found.lse.sum()
        results.append([*found, *torch.autograd.grad(loss, given)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_against_a_dense_softmax():
    q, k, v = inputs(heads=1)
    bias = torch.randn(GRAPH.num_edges)
    found = SplitSources(1.5)(q, k, v, GRAPH, bias=bias)
    scores = torch.einsum("nbhd,mbhd->nmbh", q, k) * 0.5 + bias.view(16, 16)[..., None, None]
    weight = scores.softmax(1)
    far = is_long(GRAPH, 1.5).view(16, 16)[..., None, None]
    near_part = torch.einsum("nmbh,mbhd->nbhd", weight * ~far, v)
    far_part = torch.einsum("nmbh,mbhd->nbhd", weight * far, v.clamp(min=0))
    torch.testing.assert_close(found.out, near_part + far_part)
    torch.testing.assert_close(found.lse, scores.logsumexp(1))


def test_values_of_attention_on_far_edges_are_never_negative():
    layer = ColumnAttention(16, 8, 2, value="input")
    layer.excitatory_beyond = 0.0
    x = torch.randn(16, 3, 8)
    bias_of_self = torch.full((GRAPH.num_edges,), 0.0).masked_fill(GRAPH.distance == 0, -1e4)
    layer.edge_bias = EdgeBias(GRAPH)
    layer.edge_bias.common.data.copy_(bias_of_self)
    assert (layer(x, GRAPH)[0] >= 0).all()
    layer.excitatory_beyond = None
    assert (layer(x, GRAPH)[0] < 0).any()


def test_weights_that_reports_see_are_those_of_one_softmax():
    torch.manual_seed(0)
    layer = ColumnAttention(16, 8, 2)
    x, plain = torch.randn(16, 3, 8), layer.edge_weights
    before = plain(x, GRAPH)
    layer.excitatory_beyond = 1.0
    assert torch.equal(layer.edge_weights(x, GRAPH), before)


def test_a_sheet_takes_it_as_an_option():
    def make(**attention):
        torch.manual_seed(0)
        sizes = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 4, "depth": 2}
        return sheet(GEOMETRY, GRAPH, attention=attention, **sizes)

    images = torch.randn(2, 1, 4, 4)
    free, far, all_near = make(), make(excitatory_beyond=1.0), make(excitatory_beyond=9.0)
    expected = free(images).prediction
    assert not torch.allclose(far(images).prediction, expected)
    torch.testing.assert_close(all_near(images).prediction, expected)
    copied = copy.deepcopy(far)
    assert torch.equal(copied(images).prediction, far(images).prediction)


class Circuit(torch.nn.Module):
    """Values along edges with weights, read out from all columns."""

    def __init__(self):
        super().__init__()
        self.graph = connect.nearest(GEOMETRY, degree=6)
        self.synapses = EdgeLinear(self.graph, excitatory_beyond=1.0)
        self.read = torch.nn.Linear(16, 3)
        keep_topology(self)

    def rewired(self, graph):
        self.graph = graph

    def forward(self, images):
        x = self.synapses(images.flatten(1).T[..., None], self.graph)
        return ModelOutput(self.read(x.squeeze(-1).T), x)


def trained(model, rule, folder):
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(64, 1, 4, 4, generator=generator), torch.arange(64) % 3
    options = TrainOptions(steps=40, batch_size=8, lr=0.1, progress=False)
    data = Dataset(images, labels, images, labels, num_classes=3)
    before = model.graph
    train(model, data, run=folder, options=options, plasticity=rule, geometry=GEOMETRY)
    assert not model.graph.same_topology(before)


def test_weights_stay_excitatory_while_edges_are_rewired(tmp_path):
    torch.manual_seed(0)
    model = Circuit()
    trained(model, partial(presets.rigl, every=3, samples=16, check_samples=16), tmp_path / "run")
    far = is_long(model.graph, 1.0)
    assert (model.synapses.weight[far] >= 0).all()
    assert (model.synapses.weight[far] > 0).any()
    assert (model.synapses.weight[~far] < 0).any()


def make_far():
    torch.manual_seed(0)
    return sheet(
        GEOMETRY, connect.nearest(GEOMETRY, 6), image_size=4, in_channels=1, num_classes=3,
        channels=4, depth=2, attention={"excitatory_beyond": 1.0},
    )  # fmt: skip


def test_a_sheet_is_rewired_by_rules_that_read_no_record(tmp_path):
    model = make_far()
    trained(
        model,
        partial(presets.set, every=5, magnitude="weight", samples=16, check_samples=0),
        tmp_path / "run",
    )
    expected = copy.deepcopy(model)
    expected.columns[0].attention.excitatory_beyond = 1.0  # no graph of before is kept
    images = torch.randn(2, 1, 4, 4)
    assert torch.equal(model(images).prediction, expected(images).prediction)


def test_other_rules_are_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="none was recorded"):
        trained(
            make_far(),
            partial(presets.rigl, every=5, samples=16, check_samples=16),
            tmp_path / "run",
        )


def test_weights_of_long_edges_start_and_stay_at_zero_or_above():
    torch.manual_seed(0)
    layer = EdgeLinear(GRAPH, heads=2, excitatory_beyond=1.0)
    far = is_long(GRAPH, 1.0)
    assert (layer.weight[far] > 0).all()
    assert (layer.weight[~far] < 0).any()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(torch.ones(16, 1, 4), GRAPH).sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    after_step(layer)
    assert (layer.weight[far] == (before - 4 / 2)[far].clamp(min=0)).all()
    torch.testing.assert_close(layer.weight[~far], (before - 4 / 2)[~far])
    layer.weight.data.fill_(-1.0)
    layer.rewired(GRAPH)
    assert (layer.weight[far] == 0).all()


def test_the_projection_by_hand():
    weight = torch.tensor([[-1.0, 2.0], [-3.0, 4.0]])
    clamp_long_edges(weight, two_edges(), 2.0)
    assert weight.tolist() == [[-1.0, 2.0], [0.0, 4.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EdgeLinear(GRAPH, excitatory_beyond=-1.0), "must be 0 or above"),
        (lambda: clamp_long_edges(torch.ones(3), GRAPH, 1.0), "Expected 256. Got 3"),
        (lambda: SplitSources(float("nan")), "must be 0 or above"),
        (
            lambda: EdgeLinear(
                ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1), excitatory_beyond=1.0
            ),
            "call graph.remeasure",
        ),
        (
            lambda: setattr(
                ColumnAttention(16, 4, mode="linear_mixing", edge_bias=EdgeBias(GRAPH)),
                "excitatory_beyond",
                1.0,
            ),
            "Expected one of the modes attention, selection, identity. Got 'linear_mixing'",
        ),
        (
            lambda: sheet(
                GEOMETRY, GRAPH, image_size=4, in_channels=1, num_classes=3,
                attention={"excitatory_beyond": 1.0}, cost={"wiring": "communicability"},
            ),
            "Expected excitatory_beyond=None",
        ),
    ],
)  # fmt: skip
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
