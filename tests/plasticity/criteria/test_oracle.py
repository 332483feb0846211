"""Criteria against a loop over samples, passes, heads and edges, with heads that cancel.

In the loop every effect is found by doing it: attention with an edge less, one more, or a gate on
it, and the gradient of the loss by what the column receives.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns import connect
from graphcolumns.nn.per_edge import edge_parameters
from graphcolumns.nn.recording import AttentionRecord, LinearRecord, evaluating, recording
from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.fisher import drawn
from tests.plasticity.support.circuits import CHANNELS, Both, Circuit
from tests.plasticity.support.learners import LOSSES, SHEET, learner
from tests.plasticity.support.nets import ConvNet

IMAGES, ROWS = (3, 1, 4, 4), (3, 12, CHANNELS)
MODELS = {
    "attention, two steps": (partial(learner, attention={"edge_bias": "both"}), IMAGES),
    "attention, two layers": (partial(learner, weights={"recurrent": False}), IMAGES),
    "layers with other heads": (lambda: ConvNet(connect.nearest(SHEET, 4)), IMAGES),
    "one in-edge each": (partial(learner, degree=1), IMAGES),
    "linear, two heads": (partial(Circuit, heads=2), ROWS),
    "attention and linear": (Both, ROWS),
}
NAMES = ("mass", "deletion", "attention_gradient", "would_be", "advantage", "gate", "insertion")


class Effects(NamedTuple):
    """Effects of one pair in one head of one pass on one sample."""

    mass: Tensor
    deletion: Tensor
    attention_gradient: Tensor
    would_be: Tensor
    advantage: Tensor
    gate: Tensor
    insertion: Tensor


@pytest.fixture(params=MODELS, name="case", scope="module")
def made(request):
    """A probe, its candidates, and the effects ``[B, heads of all passes, E + P, 7]``."""
    torch.manual_seed(4)
    make, shape = MODELS[request.param]
    model = make().double()
    with torch.no_grad():
        for parameter in edge_parameters(model):
            parameter.normal_()
    batch = torch.randn(shape, dtype=torch.float64), torch.tensor([0, 2, 1])
    graph = model.graph
    is_edge = torch.zeros(graph.num_columns, graph.num_sources, dtype=torch.bool)
    is_edge[graph.target.long(), graph.source.long()] = True
    absent = (~is_edge).nonzero()[::7]
    probe = Probe(model, None, *batch, LOSSES, slice_size=2, seed=5, update=3)
    pairs = probe.candidates(*absent.T)
    return probe, pairs, by_loop(model, batch, LOSSES, probe.targets, probe.sources)


def by_loop(model: nn.Module, batch, losses, targets: Tensor, sources: Tensor) -> Tensor:
    """The effects of all pairs, sample by sample."""
    samples = []
    for x, y in zip(batch[0].split(1), batch[1].split(1), strict=True):
        with evaluating(model), recording(model, model.graph) as records:
            loss = losses(model(x), y).sum()
        grads = torch.autograd.grad(loss, [record.out for record in records])
        parts = []
        for record, grad in zip(records, grads, strict=True):
            one = attention if isinstance(record, AttentionRecord) else linear
            parts += one(record, grad.detach(), targets.tolist(), sources.tolist())
        samples.append(torch.stack(parts))
    return torch.stack(samples)


def attention(record: AttentionRecord, grad: Tensor, targets, sources) -> list[Tensor]:
    """One tensor ``[P, 7]`` per head."""
    graph, scale = record.graph, record.scale or record.q.shape[-1] ** -0.5
    edges = list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))
    bias = record.bias.detach().expand(-1, record.k.shape[2]) if record.bias.dim() == 2 else None
    bias = record.bias.detach()[:, None].expand(-1, record.k.shape[2]) if bias is None else bias
    heads = []
    for h in range(record.k.shape[2]):
        rows = []
        for i, j in zip(targets, sources, strict=True):
            inside = [e for e, (target, _) in enumerate(edges) if target == i]
            q, k, v = (x.detach()[:, 0, h] for x in (record.q, record.k, record.v))
            score = {edges[e][1]: scale * q[i] @ k[edges[e][1]] + bias[e, h] for e in inside}
            born = scale * q[i] @ k[j] + bias[inside, h].mean()
            rows.append(torch.stack(effects(grad[i, 0, h], v, score, j, born)))
        heads.append(torch.stack(rows))
    return heads


def effects(g: Tensor, v: Tensor, score: dict[int, Tensor], j: int, born: Tensor) -> Effects:
    """What attention with an edge less, one more or a gate does along the gradient ``g``."""

    def received(gate: Tensor | float, own: Tensor, others: dict[int, Tensor]) -> Tensor:
        weights = {k: s.exp() for k, s in others.items()} | {j: gate * own.exp()}
        total = sum(weights.values())
        return sum(w * v[k] for k, w in weights.items()) / total if bool(total > 0) else 0 * v[j]

    others = {k: s for k, s in score.items() if k != j}
    own, is_edge = score.get(j, born), j in score
    now = received(1.0 if is_edge else 0.0, own, others)
    gate = torch.tensor(1.0 if is_edge else 0.0, dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(g @ received(gate, own, others), gate)
    share = own.exp() / sum(s.exp() for s in (others | {j: own}).values())
    return Effects(
        mass=share,
        deletion=g @ (received(0.0, own, others) - now),
        attention_gradient=slope,
        would_be=share,
        advantage=g @ (v[j] - now),
        gate=slope,
        insertion=g @ (received(1.0, own, others) - now),
    )


def linear(record: LinearRecord, grad: Tensor, targets, sources) -> list[Tensor]:
    """One tensor ``[P, 7]`` per head, of the derivative by the head's weight."""
    graph, weight = record.graph, record.weight.detach()
    weight = weight.reshape(len(weight), -1)
    ends = zip(graph.target.tolist(), graph.source.tolist(), strict=True)
    edges = {pair: e for e, pair in enumerate(ends)}
    heads = []
    for h in range(weight.shape[1]):
        width = record.x.shape[-1] // weight.shape[1]
        own = slice(h * width, (h + 1) * width)
        rows = []
        for i, j in zip(targets, sources, strict=True):
            slope = grad[i, 0, own] @ record.x.detach()[j, 0, own]
            inside = [e for (target, _), e in edges.items() if target == i]
            w = weight[edges[i, j], h] if (i, j) in edges else weight[inside, h].mean()
            rows.append(
                torch.stack([w.abs(), -w * slope, w * slope, w.abs(), slope, slope, w * slope])
            )
        heads.append(torch.stack(rows))
    return heads


def of(effects: Tensor, name: str) -> Tensor:
    """One kind of effect, ``[B, heads, pairs]``."""
    return effects[..., NAMES.index(name)]


def test_heads_cancel(case):
    """Else the order of sums and sizes would make no difference."""
    *_, effects = case
    for name in ("deletion", "attention_gradient", "gate"):
        values = of(effects, name)
        assert (values.sum(1).abs() < 0.5 * values.abs().sum(1)).any()


def test_criteria_of_edges(case):
    probe, _, effects = case
    edges = probe.edges()
    effects = effects[:, :, : len(edges)]
    u = of(effects, "deletion").sum(1)
    sizes = of(effects, "attention_gradient").sum(1).abs()
    expected = {
        "mass": of(effects, "mass").mean((0, 1)),
        "deletion_cost": u.mean(0),
        "attention_gradient": sizes.mean(0),
    }
    for name, values in expected.items():
        torch.testing.assert_close(getattr(criteria, name)(edges), values)
    got = criteria.fisher_taylor(edges, curvature="labels")
    torch.testing.assert_close(got, u.mean(0) + 0.5 * u.square().mean(0))


def test_criteria_of_candidates(case):
    _, pairs, effects = case
    effects = effects[:, :, -len(pairs) :]
    u = of(effects, "insertion").sum(1)
    expected = {
        "candidate_mass": of(effects, "would_be").mean((0, 1)),
        "gradient_size": of(effects, "gate").sum(1).mean(0).abs(),
        "advantage": -of(effects, "advantage").sum(1).mean(0),
        "insertion_gain": -u.mean(0),
    }
    for name, values in expected.items():
        torch.testing.assert_close(getattr(criteria, name)(pairs), values)
    got = criteria.insertion_gain(pairs, curvature="labels", standard_errors=2.0)
    error = u.std(0, correction=1) / len(u) ** 0.5
    torch.testing.assert_close(got, -u.mean(0) - 0.5 * u.square().mean(0) - 2.0 * error)


def test_curvature_under_the_labels_that_the_model_predicts(case):
    probe, _, effects = case
    edges = probe.edges()
    numbered = probe.inputs, torch.arange(3)
    losses = drawn("classes", probe.seed, probe.update)
    of_draw = by_loop(probe.model, numbered, losses, edges.targets, edges.sources)
    u = of(effects, "deletion").sum(1)[:, : len(edges)]
    curved = of(of_draw, "deletion").sum(1)
    got = criteria.fisher_taylor(edges)
    torch.testing.assert_close(got, u.mean(0) + 0.5 * curved.square().mean(0))


def test_mest_and_movement_take_heads_one_by_one(case):
    """The gradient of each weight alone, by autograd on the mean loss of the batch."""
    probe, *_ = case
    model, edges = probe.model, probe.edges()
    with evaluating(model):
        loss = F.cross_entropy(model(probe.inputs).prediction, probe.labels)
    values, gradients = [], []
    for part in model.modules():
        if isinstance(part, nn.Module) and type(part).__name__ == "EdgeBias":
            values.append(part().detach().reshape(len(edges), -1))
            finest = part.common if part.per_head is None else part.per_head
        elif type(part).__name__ == "EdgeLinear":
            values.append(part.weight.detach().reshape(len(edges), -1))
            finest = part.weight
        else:
            continue
        [gradient] = torch.autograd.grad(loss, finest, retain_graph=True)
        gradients.append(gradient.reshape(len(edges), -1))
    size, slope = torch.cat(values, 1).abs(), torch.cat(gradients, 1)
    expected = (size + 3.0 * slope.abs()).mean(1)
    torch.testing.assert_close(criteria.mest(edges, weight=3.0), expected)
