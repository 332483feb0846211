"""Sheets of different size, each pooled from the one below."""

import pytest
import torch
from torch import nn

from graphcolumns import connect
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.models.staged_columnformer.cross import CrossColumn
from graphcolumns.training.losses import total_variation
from tests.models.support.variants import SHEETS, STAGED, gradients, make_staged


@pytest.fixture(params=STAGED)
def options(request) -> dict:
    return STAGED[request.param]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 1, 8, 8)


def test_shapes(images):
    model = make_staged(cost={"wiring": "distance"})
    output = model(images)
    assert output.prediction.shape == (3, 5)
    assert output.state.shape == (64 + 16 + 4, 3, 16)
    assert output.states is None
    assert output.cost.shape == (2 + 3 + 3,)
    assert model.stage_of_cost == (0, 0, 1, 1, 1, 2, 2, 2)
    sizes = [len(state) for state in model.trace(images)]
    assert sizes == [64, 64, 16, 16, 16, 4, 4, 4]


def test_state_is_the_last_of_every_stage(images):
    model = make_staged()
    trace = model.trace(images)
    assert torch.equal(model(images).state, torch.cat([trace[1], trace[4], trace[7]]))


def test_one_stage_is_a_columnformer(images):
    """The same parts in both; with one expert a stage is a shallow transformer."""
    model = make_staged(SHEETS[:1], depths=(3,), experts=(3,), cost={"wiring": "distance"})
    stage = model.stages[0]
    columns, readout = list(stage.columns), model.readout
    plain = Columnformer(stage.graph, model.embed, columns, readout, depth=3, wiring="distance")
    plain.position.data = stage.position.data[:, None]
    one, other = model(images), plain(images)
    assert torch.equal(one.prediction, other.prediction)
    assert torch.equal(one.state, other.state)
    assert torch.allclose(one.cost, other.cost.mean((1, 2, 3)), atol=1e-6)
    assert model.wiring_norm == plain.wiring_norm
    assert model.graph.same_topology(plain.graph)


def test_cross_step_is_multi_head_attention():
    graph = connect.bipartite(SHEETS[0], SHEETS[1], 64)
    cross = CrossColumn(16, 64, 12, 3, 24)
    oracle, norm = nn.MultiheadAttention(12, 3, batch_first=True), cross.norm1
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    maps = (cross.query, cross.key, cross.value)
    with torch.no_grad():
        oracle.in_proj_weight.copy_(torch.cat([linear.weight.t() for linear in maps]))
        oracle.out_proj.weight.copy_(cross.out.weight.t())
        cross.mlp.weight.zero_()  # leaves attention and its residual
    x, below = torch.randn(16, 2, 12), torch.randn(64, 2, 12)

    def normed(z: torch.Tensor) -> torch.Tensor:
        return nn.functional.layer_norm(z, (12,), norm.weight, norm.bias).transpose(0, 1)

    heard, _ = oracle(normed(x), normed(below), normed(below))
    assert torch.allclose(cross(x, below, graph)[0], x + heard.transpose(0, 1), atol=1e-5)


def test_every_parameter_learns(options, images):
    model = make_staged(**options)
    model(images).prediction.square().sum().backward()
    assert set(gradients(model)) == dict(model.named_parameters()).keys()
    silent = {name for name, grad in gradients(model).items() if not grad.any()}
    started_at_zero = {name for name in silent if name.endswith((".down", ".coefficient"))}
    assert silent == started_at_zero


def test_pooling_may_be_local(images):
    pools = [connect.bipartite(SHEETS[0], SHEETS[1], 4), connect.bipartite(*SHEETS[1:], 4)]
    model = make_staged(pools=pools)
    moved = images.clone()
    moved[:, :, 6, 6] += 10  # far from the first column of the second sheet
    model.stages[0].columns = nn.ModuleList()
    model.stages[0].depth = 0
    before, after = model.trace(images), model.trace(moved)
    assert torch.equal(before[0][0], after[0][0])  # pooled
    assert torch.equal(before[1][0], after[1][0])  # heard from below
    assert not torch.equal(before[0][-1], after[0][-1])


class TestGraph:
    def test_holds_all_edges(self):
        graph = make_staged().graph
        assert graph.num_columns == 84
        assert graph.num_edges == 64**2 + 16**2 + 4**2 + 64 * 16 + 16 * 4
        target, source = graph.target.long(), graph.source.long()
        stage = torch.repeat_interleave(torch.arange(3), torch.tensor([64, 16, 4]))
        assert set((stage[target] - stage[source]).tolist()) == {0, 1}
        between = (target == 64) & (source == 9)  # (0, 0) above, (1, 1) below
        assert float(graph.distance[between]) == pytest.approx(2**0.5)

    def test_edges_that_nobody_uses_are_not_counted(self):
        assert make_staged(depths=(1, 1, 1)).graph.num_edges == 64**2 + 64 * 16 + 16 * 4

    def test_follows_the_module(self):
        model = make_staged().to("meta")
        graphs = [model.graph, *model.mixture_graphs(), model.stages[1].pool_graph]
        assert {graph.device.type for graph in graphs} == {"meta"}


class TestCost:
    def test_uniform_attention_costs_one_on_average(self, images):
        model = make_staged(cost={"wiring": "distance", "power": 2.0})
        for name, parameter in model.named_parameters():
            if "query.weight" in name or name.endswith("pool.scale"):
                nn.init.zeros_(parameter)
        cost = model(images).cost.detach()
        assert float(cost.mean()) == pytest.approx(1, abs=1e-6)
        pooling = model.stages[1].pool_graph.distance.square().mean() / model.wiring_norm
        assert torch.allclose(cost[2:4], pooling.expand(2), atol=1e-6)  # one unit everywhere

    def test_gaussian(self, images):
        model = make_staged(cost={"wiring": "gaussian", "sigma": 3.0}, static_pool=True)
        nn.init.zeros_(model.stages[1].pool.scale)
        distance = model.stages[1].pool_graph.distance.view(16, 64)
        expected = -torch.log_softmax(-(distance**2) / 18, 1).mean()
        assert float(model(images).cost[2].detach()) == pytest.approx(float(expected), abs=1e-5)


def test_total_variation_of_expert_maps():
    model = make_staged()
    maps, graphs = model.mixture_maps(), model.mixture_graphs()
    assert [tuple(each.shape) for each in maps] == [(16, 4), (4, 16)]
    values = [total_variation(*pair) for pair in zip(maps, graphs, strict=True)]
    sum(values).backward()
    assert all(value > 0 for value in values)
    assert model.stages[1].pool.grid.grad.abs().sum() > 0
