"""The weights of edges and the gradient of the loss by them: against autograd and differences."""

import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from graphcolumns import connect
from graphcolumns.nn import EdgeBias, EdgeLinear
from graphcolumns.nn.per_edge import edge_parameters
from graphcolumns.plasticity import Plasticity, criteria, rule_from_options
from graphcolumns.plasticity.probe.edge_weights import edge_weights
from graphcolumns.plasticity.probe.evidence import Probe
from tests.plasticity.support.circuits import CHANNELS, Circuit, Silent
from tests.plasticity.support.learners import LOSSES, SHEET, learner
from tests.plasticity.support.nets import ConvNet

IMAGES = {"inputs": (5, 1, 4, 4), "classes": 4}
ROWS = {"inputs": (5, 12, CHANNELS), "classes": 3}
# A model, its data, and how many weights an edge has.
MODELS = {
    "bias for all heads": (partial(learner, attention={"edge_bias": "edge"}), IMAGES, 1),
    "bias per head": (partial(learner, attention={"edge_bias": "head"}), IMAGES, 2),
    "bias of both kinds": (partial(learner, attention={"edge_bias": "both"}), IMAGES, 2),
    "recomputed": (partial(learner, cost={"memory": "recompute"}), IMAGES, 2),
    "two layers": (lambda: ConvNet(connect.nearest(SHEET, 4)), IMAGES, 5),
    "linear": (Circuit, ROWS, 1),
    "linear, per head": (partial(Circuit, heads=2), ROWS, 2),
    "linear, per channel": (partial(Circuit, heads=CHANNELS), ROWS, CHANNELS),
    "a layer of one's own": (Silent, ROWS, 1),
}


@pytest.fixture(params=MODELS, name="case")
def made(request):
    """A model with random weights per edge, a batch, and the number of weights of an edge."""
    make, data, count = MODELS[request.param]
    model = make().double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in edge_parameters(model):
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    inputs = torch.randn(data["inputs"], generator=generator, dtype=torch.float64)
    labels = torch.randint(data["classes"], (len(inputs),), generator=generator)
    return model, (inputs, labels), count


def look(model, batch, **options) -> Probe:
    return Probe(model, None, *batch, LOSSES, **({"slice_size": 2} | options))


def sources(model) -> list[torch.nn.Parameter]:
    """The parameters whose gradient is that of the weights, in the order of the model."""
    found = []
    for part in model.modules():
        if isinstance(part, EdgeBias):
            found.append(part.common if part.per_head is None else part.per_head)
        elif isinstance(part, EdgeLinear | Silent):
            found.append(part.weight)
    return found


def test_the_gradient_is_that_of_the_whole_batch(case):
    model, (inputs, labels), count = case
    edges = look(model, (inputs, labels)).edges()
    assert edges.weight.shape == edges.weight_gradient.shape == (len(edges), count)
    loss = F.cross_entropy(model.eval()(inputs).prediction, labels)
    grads = torch.autograd.grad(loss, sources(model))
    expected = torch.cat([grad.reshape(len(edges), -1) for grad in grads], 1)
    torch.testing.assert_close(edges.weight_gradient, expected)


def test_the_gradient_is_what_finite_differences_say(case):
    model, (inputs, labels), _ = case
    edges = look(model, (inputs, labels)).edges()
    got, place = edges.weight_gradient, 0
    model.eval()
    for parameter in sources(model):
        flat = parameter.data.view(len(edges), -1)
        for head in range(flat.shape[1]):
            for edge in (0, 7, len(edges) - 1):
                losses, before = [], float(flat[edge, head])
                for value in (before + 1e-5, before - 1e-5):
                    flat[edge, head] = value
                    losses.append(F.cross_entropy(model(inputs).prediction, labels).detach())
                flat[edge, head] = before
                difference = float(losses[0] - losses[1]) / 2e-5
                assert float(got[edge, place]) == pytest.approx(difference, abs=1e-8)
            place += 1


def test_nothing_is_kept(case):
    model, batch, _ = case
    model.train()
    frozen = sources(model)[0].requires_grad_(False)
    before = look(model, batch).edges().weight_gradient
    assert before.abs().max() > 0, "parameters that are not trained have a gradient, too"
    assert not frozen.requires_grad
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert torch.equal(look(model, batch).edges().weight_gradient, before)
    assert all(bool((parameter.grad == 1).all()) for parameter in model.parameters())


def test_slices_add_up(case):
    model, batch, _ = case
    parts = [look(model, batch, slice_size=n).edges().weight_gradient for n in (1, 3, 5)]
    for part in parts[1:]:
        torch.testing.assert_close(part, parts[0])


def test_a_bias_of_both_kinds_is_a_sum():
    model = learner(attention={"edge_bias": "both"})
    [bias] = [part for part in model.modules() if isinstance(part, EdgeBias)]
    with torch.no_grad():
        bias.common.normal_()
        bias.per_head.normal_()
    [weight] = edge_weights(model, model.graph)
    assert torch.equal(weight.values, bias.per_head + bias.common[:, None])
    assert weight.is_score
    mean = torch.stack([weight.values[model.graph.target == n].mean(0) for n in range(16)])
    expected = weight.values - mean[model.graph.target.long()]
    torch.testing.assert_close(weight.centred(model.graph), expected)


def test_a_bias_that_mixes_linearly_is_a_weight():
    """There is no softmax, so a constant per column counts."""
    for mode, is_score in (("mixing", True), ("linear_mixing", False)):
        model = learner(attention={"edge_bias": "edge", "mode": mode})
        with torch.no_grad():
            edge_parameters(model)[0].normal_()
        [weight] = edge_weights(model, model.graph)
        assert weight.is_score is is_score
        assert torch.equal(weight.centred(model.graph), weight.values) is not is_score


@pytest.mark.parametrize("kind", ["edge", "head", "both"])
def test_closed_edges(kind):
    """They have no size, no gradient, and are dropped first."""
    model = learner(attention={"edge_bias": kind})
    [bias] = [part for part in model.modules() if isinstance(part, EdgeBias)]
    with torch.no_grad():
        for parameter in bias.parameters():
            parameter.normal_()
            parameter[[3, 20]] = -math.inf
    batch = torch.rand(4, 1, 4, 4), torch.arange(4)
    edges = look(model, batch).edges()
    assert edges.weight_gradient.isfinite().all()
    assert not edges.weight_gradient[[3, 20]].any()
    for criterion in (criteria.weight_size, criteria.mest):
        worth = criterion(edges)
        assert worth.isfinite().all()
        assert sorted(worth.argsort()[:2].tolist()) == [3, 20]


def test_movement_is_that_of_all_weights(case):
    """Also of closed edges and of weights that are no bias: -sum w dL/dw over the steps."""
    model, (inputs, labels), _ = case
    rule = rule_from_options(
        prune=criteria.movement, watch_movement=True, samples=4, check_samples=0
    )
    changing, expected = Plasticity(rule), torch.zeros(model.graph.num_edges).double()
    with torch.no_grad():
        for parameter in edge_parameters(model):
            if not isinstance(model, Circuit):
                parameter[5] = -math.inf
    for _ in range(2):
        model.zero_grad()
        F.cross_entropy(model(inputs).prediction, labels).backward()
        changing.watch(model)
        for parameter in edge_parameters(model):
            values = parameter.detach().nan_to_num(neginf=0.0)
            expected -= (values * parameter.grad).reshape(len(expected), -1).sum(1)
    torch.testing.assert_close(changing.memory["movement"], expected)


def test_candidates_and_models_without_weights():
    probe = look(learner(), (torch.rand(4, 1, 4, 4), torch.arange(4)))
    pairs = probe.candidates(torch.tensor([0]), torch.tensor([15]))
    with pytest.raises(ValueError, match=r"weights are those of edges. Expected .* Got candidates"):
        _ = pairs.weight
    bare = look(learner(attention={"edge_bias": "none"}), (torch.rand(4, 1, 4, 4), torch.arange(4)))
    with pytest.raises(ValueError, match="Expected parameters per edge"):
        _ = bare.edges().weight
