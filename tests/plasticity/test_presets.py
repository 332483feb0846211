"""The rules of the literature, by what their papers say."""

import math
from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import contains, edge_keys
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity import (
    Budget,
    Constraints,
    Plasticity,
    Rule,
    criteria,
    presets,
    rewire,
    rule_from_options,
    samplers,
)
from graphcolumns.plasticity.criteria.homeostasis import update_memory
from graphcolumns.plasticity.probe.edge_weights import edge_weights
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.plasticity.update.propose import propose_swaps
from graphcolumns.training.step import train_step
from tests.plasticity.support.learners import (
    LOSSES,
    SHEET,
    batch,
    descend,
    learner,
    live,
    optimizer_of,
    rows,
)
from tests.plasticity.support.stand_in import candidates

FEW = {"samples": 16, "check_samples": 0}


def trained(steps: int = 4):
    model = learner()
    optimizer = optimizer_of(model)
    descend(model, optimizer, steps)
    return model, optimizer


def scores_of(model, rule: Rule, targets=None, sources=None) -> EdgeScores:
    graph = model.graph
    targets = graph.target.long() if targets is None else targets
    sources = graph.source.long() if sources is None else sources
    inputs, labels = batch(rule)
    return trace(
        model,
        inputs[: rule.scoring.samples],
        labels[: rule.scoring.samples],
        LOSSES,
        targets,
        sources,
    )


def mass_of(scores: EdgeScores) -> torch.Tensor:
    return scores.mass / scores.samples


def lowest(values: torch.Tensor, count: int) -> set[int]:
    return set(values.argsort()[:count].tolist())


def test_set_drops_the_smallest_and_grows_by_chance():
    model, optimizer = trained()
    rule = presets.set(8, fraction=0.25, **FEW)
    mass = mass_of(scores_of(model, rule))
    rewiring = Plasticity(rule, SHEET).update(model, optimizer, 4, *batch(rule), LOSSES).rewiring
    assert set(rewiring.died.tolist()) == lowest(mass, 16)
    assert len(rewiring.born) == 16
    assert rule.fraction_at(1) == rule.fraction_at(10**6) == 0.25


def test_magnitude_may_be_that_of_the_score():
    model, optimizer = trained()
    rule = presets.set(8, fraction=0.25, magnitude="weight", **FEW)
    [bias] = edge_weights(model, model.graph)
    size = bias.centred(model.graph).abs().mean(1)
    rewiring = Plasticity(rule, SHEET).update(model, optimizer, 4, *batch(rule), LOSSES).rewiring
    assert set(rewiring.died.tolist()) == lowest(size, 16)


def _bias(model) -> nn.Module:
    return next(part for part in model.modules() if type(part).__name__ == "EdgeBias")


def test_mest_adds_the_gradient():
    """lambda |dL/db| decides where scores are equal; the share falls in a straight line."""
    model = learner()
    with torch.no_grad():
        for p in _bias(model).parameters():
            p.fill_(0.25)
    rule = presets.mest(8, every=1, stop=1.0, fraction=0.25, weight=1000.0, **FEW)
    inputs, labels = batch(rule)
    LOSSES(model(inputs), labels).mean().backward()
    gradient = _bias(model).per_head.grad.abs().mean(1)
    rewiring = Plasticity(rule, SHEET).update(model, None, 1, inputs, labels, LOSSES).rewiring
    assert set(rewiring.died.tolist()) == lowest(gradient, 16)
    assert [rule.fraction_at(step) for step in (1, 8)] == [0.25, 0.0]
    assert rule.fraction_at(4) == pytest.approx(0.25 * 4 / 7)


def test_rigl_takes_the_largest_gradients_dropped_edges_among_them():
    model, optimizer = trained()
    free_to_die = {"constraints": Constraints(), "sampler": samplers.everything}
    rule = presets.rigl(8, every=1, fraction=0.75, **free_to_die, **FEW)
    graph = model.graph
    mass = mass_of(scores_of(model, rule))
    dropped = torch.tensor(sorted(lowest(mass, 48)))
    every = torch.arange(16).repeat_interleave(16), torch.arange(16).repeat(16)
    new = every[0] * 16 + every[1]
    free = ~contains(edge_keys(graph), new) & (every[0] != every[1])
    targets = torch.cat([every[0][free], graph.target[dropped].long()])
    sources = torch.cat([every[1][free], graph.source[dropped].long()])
    size = criteria.gradient_size(candidates(scores=scores_of(model, rule, targets, sources)))
    best = size.argsort(descending=True)[:48]
    expected = set((targets * 16 + sources)[best].tolist())
    # What wins although it was dropped goes on as before.
    kept = [e for e in dropped.tolist() if int(edge_keys(graph)[e]) in expected]
    assert kept
    before = {
        key: [value[kept].clone() for value in (p.detach(), *optimizer.state[p].values())]
        for key, p in _bias(model).named_parameters()
    }
    rewiring = Plasticity(rule, SHEET).update(model, optimizer, 1, *batch(rule), LOSSES).rewiring
    after = edge_keys(rewiring.graph)
    survivors = edge_keys(graph)[[e for e in range(64) if e not in dropped.tolist()]]
    assert set(after.tolist()) == expected | set(survivors.tolist())
    place = torch.searchsorted(after, edge_keys(graph)[kept])
    for key, p in _bias(model).named_parameters():
        now = [value[place] for value in (p.detach(), *optimizer.state[p].values())]
        assert all(torch.equal(a, b) for a, b in zip(before[key], now, strict=True))
        assert (now[-1] != 0).any()


def test_rigl_by_half_a_cosine():
    rule = presets.rigl(1000, every=100, start=0.2, stop=0.8, fraction=0.3)
    due = [step for step in range(1001) if rule.is_due(step)]
    assert due == [200, 300, 400, 500, 600, 700, 800]
    assert rule.fraction_at(200) == 0.3
    assert rule.fraction_at(500) == pytest.approx(0.15)
    assert rule.fraction_at(350) == pytest.approx(0.15 * (1 + math.cos(math.pi / 4)))
    assert rule.fraction_at(800) == 0.0


def test_a_skipped_step_moves_no_parameter():
    model = learner()
    optimizer = optimizer_of(model)
    data, before = rows(), [p.detach().clone() for p in model.parameters()]
    terms = {"task": (1.0, lambda model, output, labels: LOSSES(output, labels).mean())}
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    batch = data.train_inputs, data.train_targets
    watched = []
    options = {"step": 1, "watch": lambda: watched.append(model.readout), "skip": True}
    values = train_step(model, batch, terms, optimizer, scaler, **options)
    assert values["gradient_norm"] > 0
    assert len(watched) == 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not optimizer.state
    train_step(model, batch, terms, optimizer, scaler, step=2)
    assert not all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("preset", [presets.gmp, presets.granet, presets.chts])
@pytest.mark.parametrize(("steps", "every", "stop"), [(1000, 100, 0.75), (97, 10, 1.0)])
def test_the_last_update_brings_what_was_asked_for(preset, steps, every, stop):
    rule = preset(steps, every=every, stop=stop, degree=2, initial=4)
    due = [step for step in range(1, steps + 1) if rule.is_due(step)]
    graph = learner().graph
    counts = [rule.budget.edges(step, graph) for step in due]
    assert counts[0] == 64
    assert counts[-1] == 32
    assert counts == sorted(counts, reverse=True)
    assert counts[-2] > 0


def test_gmp_prunes_along_a_cubic():
    """Updates at 2, 4, 6, 8: u = 0, 1/3, 2/3, 1 and 32 + 32 (1 - u)^3 edges."""
    rule = presets.gmp(8, every=2, stop=1.0, degree=2, initial=4, **FEW)
    updates = [update for *_, update in live(rule, 4)]
    assert [update.metrics["edges"] for update in updates] == [64, 41, 33, 32]
    assert all(update.metrics["edges_born"] == 0 for update in updates)


def test_granet_is_that_and_an_equal_number_is_regrown():
    rule = presets.granet(8, every=2, stop=1.0, degree=2, initial=4, fraction=0.5, **FEW)
    updates = [update for *_, update in live(rule, 4)]
    assert [update.metrics["edges"] for update in updates] == [64, 41, 33, 32]
    swaps = [math.floor(0.5 * (1 + math.cos(math.pi * n / 3)) / 2 * e + 1e-9)
             for n, e in enumerate((64, 64, 41, 33))]  # fmt: skip
    assert [update.metrics["edges_born"] for update in updates] == swaps
    shrunk = [0, 23, 8, 1]
    assert [update.metrics["edges_died"] for update in updates] == [
        a + b for a, b in zip(swaps, shrunk, strict=True)
    ]


def three() -> Probe:
    """Four columns, three edges into column 0."""
    edges = torch.tensor([[1, 2, 3], [0, 0, 0]])

    class Model(nn.Module):
        graph = ColumnGraph.from_edge_index(edges, 4)

    nothing = torch.empty(0)
    return Probe(Model(), None, nothing, nothing, LOSSES)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_chts_keeps_by_a_power_of_the_score(temperature):
    """Two of three are kept, drawn one after the other by w = score ** T."""
    values = torch.tensor([0.5, 0.3, 0.2])
    rule = rule_from_options(
        prune=lambda edges: values, temperature=temperature, budget=Budget(2), fraction=0.0
    )
    dropped: Counter[int] = Counter()
    for seed in range(3000):
        probe = three()
        probe.seed = seed
        dropped[int(propose_swaps(rule, probe).drop)] += 1
    w = (values.double() ** temperature / (values.double() ** temperature).sum()).tolist()
    kept = [(0, 1), (0, 2), (1, 2)]
    chance = [w[a] * w[b] / (1 - w[a]) + w[b] * w[a] / (1 - w[b]) for a, b in kept]
    seen = [dropped[3 - a - b] for a, b in kept]
    assert chisquare(seen, [3000 * c for c in chance]).pvalue > 1e-3


def test_chts_warms_up_and_scores_by_topology():
    rule = presets.chts(9, every=2, stop=1.0)
    assert [rule.scoring.temperature_at(step) for step in (2, 5, 8)] == [1.0, 5.0, 9.0]
    model = learner()
    probe = Probe(model, SHEET, *batch(presets.set(8, **FEW)), LOSSES)
    edges = probe.edges()
    pairs = probe.candidates(torch.tensor([0, 15]), torch.tensor([10, 3]))
    assert torch.equal(rule.scoring.prune(edges), criteria.relative_importance(edges))
    assert torch.equal(rule.scoring.grow(pairs), criteria.ch2_l3n(pairs))


class Loud(nn.Module):
    """Columns whose activity is given."""

    def __init__(self, activity: list[float]) -> None:
        super().__init__()
        self.activity = torch.tensor(activity)
        self.graph = learner().graph

    def forward(self, inputs):
        state = self.activity[:, None, None].expand(16, len(inputs), 1)
        return type("Output", (), {"state": state})


def test_homeostasis_by_hand():
    """Silent columns grow ends, loud ones retract them; nobody gets more edges than ends."""
    activity = [0.0] * 4 + [1.0] * 8 + [2.0] * 4
    model = Loud(activity)
    rule = presets.homeostatic(
        8, rate=2.0, activity=1.0, samples=2, check_samples=0, per_grow=100.0
    )
    probe = Probe(model, SHEET, torch.zeros(2, 1), torch.zeros(2), LOSSES)
    memory = rule.scoring.update_memory(probe.edges())
    probe.memory = memory
    graph = model.graph
    into, out = graph.in_degree.double(), graph.out_degree.double()
    change = torch.tensor([2.0] * 4 + [0.0] * 8 + [-2.0] * 4).double()
    assert torch.equal(memory["synaptic_elements_in"], into + change)
    assert torch.equal(memory["synaptic_elements_out"], (out + change).clamp(min=0))
    assert memory["set_point"].tolist() == [1.0]
    chosen = propose_swaps(rule, probe)
    after = rewire(graph, chosen.drop, (chosen.targets, chosen.sources), SHEET).graph
    assert (after.in_degree[12:] < graph.in_degree[12:]).all()
    assert (after.in_degree <= memory["synaptic_elements_in"]).all()
    over = (
        after.out_degree > memory["synaptic_elements_out"]
    )  # the last in-edge of a listener stays
    assert not over[chosen.sources].any()
    assert int(after.in_degree.min()) >= 1
    born = torch.bincount(chosen.targets, minlength=16)
    assert born[:4].sum() > 0
    assert (born <= (memory["synaptic_elements_in"] - (graph.in_degree - 4)).clamp(min=0)).all()
    # Calcium is a moving average.
    model.activity = torch.ones(16) * 3
    later = update_memory(Probe(model, SHEET, torch.zeros(2, 1), torch.zeros(2), LOSSES,
                            memory=memory).edges(), rate=2.0, decay=0.75)  # fmt: skip
    assert torch.equal(
        later["calcium"], 0.75 * torch.tensor(activity).double() + 0.25 * 3 * torch.ones(16)
    )


def test_homeostasis_leaves_every_column_an_edge():
    model = Loud([50.0] * 16)
    rule = presets.homeostatic(8, rate=5.0, activity=1.0, samples=2, check_samples=0)
    samples = torch.zeros(2, 1), torch.zeros(2)
    probe = Probe(model, SHEET, *samples, LOSSES)
    probe.memory = rule.scoring.update_memory(probe.edges())
    chosen = propose_swaps(rule, probe)
    assert len(chosen.drop) == 48
    assert model.graph.target[chosen.drop].bincount().tolist() == [3] * 16


def test_exact_swaps_only_what_gains_on_both_halves():
    model, _ = trained(12)
    rule = presets.exact(100, every=10, fraction=0.5, margin=1e-5, samples=32, check_samples=0,
                         tolerance=None, groups=1)  # fmt: skip
    inputs, labels = batch(rule)
    old = torch.ones(64, dtype=torch.int64)
    looks = [
        Probe(model, SHEET, inputs[part], labels[part], LOSSES, step=10, age=old)
        for part in (slice(0, 16), slice(16, 32))
    ]
    alone = propose_swaps(
        rule, Probe(model, SHEET, inputs[:16], labels[:16], LOSSES, step=10, age=old)
    )
    chosen = propose_swaps(rule, looks[0], second=looks[1])
    assert 0 < len(chosen.drop) == len(chosen.targets) < len(alone.drop)
    assert set(chosen.drop.tolist()) <= set(alone.drop.tolist())
    assert chosen.missing == 0
    # k-th against k-th on the second half, both in units of loss.
    second = Probe(model, SHEET, inputs[16:], labels[16:], LOSSES, step=10, age=old)
    edges, pairs = second.edges(), second.candidates(chosen.targets, chosen.sources)
    cost, gain = rule.scoring.prune(edges)[chosen.drop], rule.scoring.grow(pairs)
    assert (cost.diff() >= 0).all()
    assert (gain.diff() <= 0).all()
    assert (gain > cost + 1e-5).all()


@pytest.mark.parametrize("budget", [30.0, 45.0, 70.0])
def test_wire_never_exceeds_its_budget(budget):
    rule = presets.wiring(8, budget, every=2, stop=1.0, fraction=0.5, samples=16, check_samples=16)
    lengths = [float(model.graph.distance.double().sum()) for model, *_ in live(rule, 4, seed=1)]
    assert max(lengths) <= budget
    assert lengths[0] > 0.8 * min(budget, 49.0)  # no more is cut than has to be


def test_static_asks_for_nothing():
    for rule in (presets.static(100), presets.sernn(100)):
        assert not any(rule.is_due(step) for step in range(101))
        assert rule.num_samples == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: presets.gmp(100), "gmp prunes to a budget. Got degree=None"),
        (lambda: presets.granet(100, initial=4), "Got initial=4 and degree=None"),
        (lambda: presets.custom(100, criteria.mass, initial=4), "Got initial=4, budget=None"),
        (lambda: presets.custom(9, criteria.mass, budget=4, degree=2), "keeps to one budget"),
        (lambda: presets.wiring(100), "wiring keeps to a budget of wire"),
        (lambda: presets.wiring(100, 30.0, degree=4), "and no degree"),
        (lambda: presets.set(100, start=0.5, stop=0.2), "start=0.5 and stop=0.2"),
        (lambda: presets.set(100, magnitude="bias"), "Got 'bias'. It is now 'weight'"),
        (lambda: presets.set(100, every=0), "every and steps must be at least 1. Got 0 and 100"),
        (lambda: presets.homeostatic(9, activity=0.0), "a set point above 0. Got .*activity=0.0"),
        (lambda: presets.homeostatic(9, rate=-1.0), "rate > 0"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_criteria_for_growing_see_the_candidates():
    """Every one, through a probe, is its formula on scores of the same pairs alone."""
    model, _ = trained()
    rule = presets.set(8, **FEW)
    targets, sources = torch.tensor([0, 3, 9]), torch.tensor([15, 12, 1])
    probe = Probe(model, SHEET, *batch(rule), LOSSES)
    pairs = probe.candidates(targets, sources)
    alone = candidates(scores=scores_of(model, rule, targets, sources))
    for name in ("gradient_size", "advantage", "candidate_mass", "insertion_gain"):
        criterion = getattr(criteria, name)
        torch.testing.assert_close(criterion(pairs), criterion(alone))
    expected = -SHEET.distance(targets, sources) / 2
    torch.testing.assert_close(criteria.distance_kernel(pairs, length=2.0), expected)
    with pytest.raises(ValueError, match="candidates must be added once"):
        probe.candidates(targets, sources)
