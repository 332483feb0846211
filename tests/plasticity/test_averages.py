"""Moving averages of a model whose edges change."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import EdgeBias
from graphcolumns.plasticity import Plasticity, carry, edge_parameters, presets
from graphcolumns.training.terms import per_sample
from tests.models.support.variants import GEOMETRY, make
from tests.models.test_rewired_state import IMAGES, change

AVERAGES = {
    "swa": {},
    "swa, many at a time": {"multi_avg_fn": get_swa_multi_avg_fn()},
    "ema": {"multi_avg_fn": get_ema_multi_avg_fn(0.999)},
    "by hand": {"avg_fn": lambda mean, new, count: 0.9 * mean + 0.1 * new},
}


@pytest.fixture(params=AVERAGES.values(), ids=AVERAGES)
def options(request) -> dict:
    return request.param


def skip_integers(options: dict, buffers: bool) -> None:
    if buffers and options == AVERAGES["swa, many at a time"]:
        pytest.skip(
            "torch's mean of many tensors refuses integer buffers, of which a sheet has some"
        )


def by_ends(graph: ColumnGraph, values: torch.Tensor) -> dict[tuple[int, int], float]:
    ends = zip(*graph.edge_index.tolist(), strict=True)
    return dict(zip(ends, values.tolist(), strict=True))


@pytest.mark.parametrize("buffers", [False, True])
def test_an_average_of_scores_alone(options, buffers):
    """All of it, where the tokens that columns see are no numbers to average."""
    bias = EdgeBias(make().graph)
    average = AveragedModel(bias, use_buffers=buffers, **options)
    for value in (1.0, 1.0, 1.0):
        nn.init.constant_(bias.common, value)
        average.update_parameters(bias)
    assert torch.equal(average(), bias())
    other = EdgeBias(change(make().graph).graph)
    with pytest.raises(RuntimeError, match="models of the same edges"):
        average.update_parameters(other)


@pytest.mark.parametrize("buffers", [False, True])
@pytest.mark.parametrize("born", [3, 9])
def test_an_update_brings_averages_along(options, buffers, born):
    """What an edge averaged before is under the same edge after; a newborn starts live."""
    skip_integers(options, buffers)
    model = make(attention={"edge_bias": "edge"})
    average = AveragedModel(model, use_buffers=buffers, **options)
    for _ in range(3):
        nn.init.normal_(edge_parameters(model)[0])
        average.update_parameters(model)
    before = by_ends(average.module.graph, edge_parameters(average)[0])
    carry(change(model.graph, born), model, averages=[average])
    after = by_ends(average.module.graph, edge_parameters(average)[0])
    live = by_ends(model.graph, edge_parameters(model)[0])
    assert after == {ends: before.get(ends, live[ends]) for ends in live}
    average.update_parameters(model)
    assert average(IMAGES).prediction.shape == (5, 5)


@pytest.mark.parametrize("buffers", [False, True])
@pytest.mark.parametrize("bias", ["edge", "none"])
def test_an_average_that_was_not_brought_along_refuses_the_changed_model(options, buffers, bias):
    """With as many edges nothing else would notice; without scores the edges alone differ."""
    skip_integers(options, buffers)
    model = make(attention={"edge_bias": bias})
    average = AveragedModel(model, use_buffers=buffers, **options)
    for _ in range(2):
        average.update_parameters(model)
    average.update_parameters(copy.deepcopy(model))
    carry(change(model.graph), model)
    with pytest.raises(RuntimeError, match=r"models of the same edges.*averages=\[average\]"):
        average.update_parameters(model)
    again = AveragedModel(model, use_buffers=buffers, **options)
    again.update_parameters(model)
    again.update_parameters(model)


def test_plasticity_brings_averages_along():
    torch.manual_seed(0)
    model = make(attention={"edge_bias": "both"})
    average, copied = AveragedModel(model), copy.deepcopy(model)
    average.update_parameters(model)
    rule = presets.set_(steps=8, samples=8) if hasattr(presets, "set_") else None
    rule = rule or presets.rigl(steps=8)
    changing = Plasticity(rule, GEOMETRY)
    labels = torch.arange(rule.num_samples) % 5
    inputs = torch.randn(rule.num_samples, 1, 4, 4)
    changing.start(model)
    losses = per_sample("classification")
    update = changing.update(model, None, 2, inputs, labels, losses, averages=[average, copied])
    assert len(update.rewiring.born)
    for each in (average.module, copied):
        assert each.graph.same_topology(model.graph)
        assert [p.shape for p in each.parameters()] == [p.shape for p in model.parameters()]
    average.update_parameters(model)


def test_an_average_comes_back_from_its_state():
    model = make()
    average = AveragedModel(model)
    average.update_parameters(model)
    carry(change(model.graph, 9), model, averages=[average])
    fresh = AveragedModel(make())
    fresh.load_state_dict(average.state_dict())
    fresh.eval(), average.eval()
    assert torch.equal(fresh(IMAGES).prediction, average(IMAGES).prediction)
    fresh.update_parameters(model)


def test_ensembles_of_the_same_edges_can_be_stacked():
    models = [EdgeBias(make().graph, std=1.0) for _ in range(2)]
    parameters, buffers = torch.func.stack_module_state(models)
    base = copy.deepcopy(models[0])

    def scores(parameters, buffers):
        return torch.func.functional_call(base, (parameters, buffers), ())

    both = torch.func.vmap(scores)(parameters, buffers)
    assert torch.equal(both, torch.stack([model() for model in models]))
