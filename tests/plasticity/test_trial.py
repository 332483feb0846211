"""What a change does to the loss: on a copy, predicted and measured, and group after group."""

import copy
import gc
import math
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from graphcolumns.plasticity import (
    Budget,
    Constraints,
    Plasticity,
    Rule,
    Selection,
    criteria,
    node_mean,
    presets,
    rewire,
    rule_from_options,
)
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.plasticity.selection.groups import groups_of_swaps, groups_of_wire, joined
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.update.trial import Trial, changed_copy
from tests.plasticity.support.learners import (
    LOSSES,
    SHEET,
    batch,
    descend,
    learner,
    optimizer_of,
    rows,
)
from tests.plasticity.support.sheets import eight

NONE = torch.empty(0, dtype=torch.int64)


def choice(drop=(), born=()) -> Selection:
    pairs = torch.tensor(list(born), dtype=torch.int64).reshape(-1, 2)
    return Selection(torch.tensor(list(drop), dtype=torch.int64), pairs[:, 0], pairs[:, 1], 0)


def in_full(output, labels):
    return functional.cross_entropy(output.prediction, labels, reduction="none")


def trial_of(model, rule: Rule, dtype=torch.float32) -> Trial:
    data = rows()
    inputs, labels = data.train_inputs.to(dtype), data.train_targets
    return Trial(rule, model, SHEET, inputs[:16], inputs[16:32], labels[16:32], in_full)


def test_a_copy_shares_all_that_is_not_per_edge():
    model = learner(cost={"wiring": "distance"})
    graph, before = model.graph, copy.deepcopy(model.state_dict())
    choose = torch.tensor([1, 9]), (torch.tensor([0, 3]), torch.tensor([15, 12]))
    rewiring = rewire(graph, *choose, SHEET)
    copied = changed_copy(model, rewiring, node_mean)
    edges = {name for name, p in model.named_parameters() if "edge_bias" in name}
    assert edges
    for (name, mine), theirs in zip(model.named_parameters(), copied.parameters(), strict=True):
        assert (mine is theirs) == (name not in edges)
    assert model.graph is graph
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    inputs = rows().test_inputs
    output = model.eval()(inputs).prediction
    other = copied.eval()(inputs).prediction
    assert torch.equal(model(inputs).prediction, output)
    carry(rewiring, model)
    assert torch.equal(model(inputs).prediction, other)
    assert not torch.equal(output, other)


@pytest.mark.parametrize("share", [0.3, 0.02])
def test_newborns_get_no_more_than_their_share(share):
    model = learner(depth=1)
    descend(model, optimizer_of(model), 3)
    rule = rule_from_options(prune=criteria.chance, first_value="epsilon", epsilon_share=share)
    trial = trial_of(model, rule)
    rewiring = trial.rewiring(choice(born=[(0, 15), (5, 12), (9, 0)]))
    copied = changed_copy(model, rewiring, trial.newborn(rewiring))
    born = rewiring.born
    ends = rewiring.graph.target[born].long(), rewiring.graph.source[born].long()
    for sample in range(16):
        one = trial.scored[sample : sample + 1], torch.zeros(1, dtype=torch.int64)
        mass = trace(copied, *one, LOSSES, *ends).mass
        assert (mass <= share * (1 + 1e-5)).all()
        assert (mass > 0).all()


@pytest.mark.parametrize("start", ["epsilon", "zero", "node_mean", "death"])
def test_a_tiny_change_does_what_was_predicted(start):
    """To first order, with the score that the newborn really starts from."""
    model = learner().double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "edge_bias" in name:
                p.normal_()
            elif name.endswith("weight") and p.ndim > 1:
                p.mul_(1.5)
        bias = next(p for name, p in model.named_parameters() if name.endswith("bias.common"))
        if start == "zero":
            bias += 10.0
        elif start == "death":
            bias[6] = -10.0
    kind = "node_mean" if start == "death" else start
    trial = trial_of(
        model,
        rule_from_options(prune=criteria.chance, first_value=kind, epsilon_share=1e-4),
        dtype=torch.float64,
    )
    verdict = trial.run(choice(drop=[6]) if start == "death" else choice(born=[(5, 12)]))
    assert verdict.offered == verdict.made == 1
    assert verdict.realised != 0
    close = {"node_mean": 0.5}.get(start, 1e-2)  # an edge of full size is no tiny change
    assert verdict.predicted == pytest.approx(verdict.realised, rel=close)
    assert abs(verdict.realised) < (1 if start == "node_mean" else 1e-3)


def test_groups_by_hand():
    all_of = choice(range(5), [(0, 1), (1, 2), (2, 3)])
    parts = list(groups_of_swaps(all_of, 2, by_target=False))
    assert [part.drop.tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    assert [part.targets.tolist() for part in parts] == [[], [0, 1], [2]]
    # More births than deaths: those without a counterpart come first.
    parts = list(groups_of_swaps(choice([7], [(0, 1), (1, 2), (2, 3)]), 9, by_target=False))
    assert [part.drop.tolist() for part in parts] == [[], [7]]
    assert [part.targets.tolist() for part in parts] == [[0, 1], [2]]
    assert [len(part.drop) for part in groups_of_swaps(choice(), 4, by_target=True)] == [0]


def test_groups_of_wire_by_hand():
    """The edges of `eight` are 0 1 1 1 1 0 1 3 long, 8 in all."""
    graph = eight()
    # One unit too long; the edge of length 3 then pays for two births and leaves one over.
    all_of = choice([1, 7, 2], [(0, 2), (1, 3), (3, 1)])
    parts = list(groups_of_wire(all_of, 3, graph, torch.tensor([1.0, 1.0, 2.0]), 7.0))
    assert [part.drop.tolist() for part in parts] == [[1], [7], [], [2]]
    assert [part.sources.tolist() for part in parts] == [[], [2], [3], [1]]
    # Deaths that make room for nothing are a group of their own.
    parts = list(groups_of_wire(choice([1, 2]), 3, graph, torch.empty(0), 8.0))
    assert [part.drop.tolist() for part in parts] == [[], [1, 2]]


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 5), st.floats(5.0, 12.0))
def test_groups_are_all_of_the_choice_in_its_order(deaths, births, groups, length):
    all_of = choice(range(min(deaths, 8)), [(0, n) for n in range(births)])
    born = torch.arange(births) % 3 / 2
    for parts in (
        list(groups_of_swaps(all_of, groups, by_target=False)),
        list(groups_of_wire(all_of, groups, eight(), born, length)),
    ):
        total = choice()
        for part in parts:
            total = joined(total, part)
        assert all(torch.equal(a, b) for a, b in zip(total[:3], all_of[:3], strict=True))
        assert len(parts) <= groups + 2


def limited(tolerance, **options) -> Rule:
    usual = {
        "fraction": 0.3,
        "groups": 1 if tolerance is None else 3,
        "samples": 8,
        "check_samples": 8,
    }
    scores = {"prune": criteria.chance, "grow": criteria.chance}
    return rule_from_options(tolerance=tolerance, **{**usual, **scores, **options})


@pytest.mark.parametrize(
    ("tolerance", "died", "born"), [(-1e9, 4, 0), (1e9, 23, 19), (None, 23, 19)]
)
def test_what_the_budget_demands_is_made_whatever_it_costs(tolerance, died, born):
    rule = limited(tolerance, budget=Budget(60))
    model = learner()
    update = Plasticity(rule, SHEET).update(model, None, 1, *batch(rule), LOSSES)
    assert (len(update.rewiring.died), len(update.rewiring.born)) == (died, born)
    assert update.metrics["accepted"] == pytest.approx((died + born) / 42)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("length", [None, 52.0, 38.0])
def test_rules_hold_whichever_groups_are_made(monkeypatch, length, seed):
    """Losses drawn by lot: a part of the swaps keeps to what all of them keep to."""
    generator = torch.Generator().manual_seed(seed)
    monkeypatch.setattr(Trial, "loss", lambda *_: float(torch.rand((), generator=generator)))
    limits = Constraints(min_in=2, max_in=8, min_out=1)
    wire = {} if length is None else {"budget": Budget(length, "length"), "overhead": 1.0}
    rule = limited(0.0, accept="net_gain", margin=-1.0, constraints=limits, **wire)
    model, changing, happened = learner(), Plasticity(rule, SHEET, seed), 0
    for step in range(1, 5):
        rewiring = changing.update(model, None, step, *batch(rule), LOSSES).rewiring
        happened += len(rewiring.born)
        limits.check(model.graph)
        if length is None:
            assert model.graph.num_edges == 64
        else:
            assert float(model.graph.distance.double().sum()) <= length * (1 + 1e-9)
    assert happened


def test_within_tolerance_the_loss_never_rises():
    rule = presets.exact(8, samples=16, check_samples=32, fraction=1.0, margin=-1.0, groups=6)
    model = learner()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    shares = []
    for step in range(1, 4):
        descend(model, optimizer, 4)
        samples = batch(rule, step)
        aside = samples[0][16:], samples[1][16:]
        with torch.no_grad():
            before = float(LOSSES(model.eval()(aside[0]), aside[1]).double().mean())
        update = changing.update(model, optimizer, step, *samples, LOSSES)
        with torch.no_grad():
            after = float(LOSSES(model.eval()(aside[0]), aside[1]).double().mean())
        assert after <= before + 1e-7
        assert update.metrics["realised_change"] == pytest.approx(after - before, abs=1e-6)
        shares.append(update.metrics["accepted"])
    assert min(shares) < 1  # some swaps that promised to gain were refused


def test_without_samples_everything_is_made():
    rule = rule_from_options(
        prune=criteria.chance, grow=criteria.chance, samples=8, check_samples=0
    )
    update = Plasticity(rule, SHEET).update(learner(), None, 1, *batch(rule), LOSSES)
    assert len(update.rewiring.born) == math.floor(0.3 * 64)
    assert "realised_change" not in update.metrics


def test_the_prediction_is_that_of_the_swaps_that_were_made():
    """Looked at together with those that were refused, on the model before the change."""
    model = learner()
    descend(model, optimizer_of(model), 4)
    rule = limited(0.0, groups=4)
    all_of = choice([3, 17, 29, 40], [(0, 15), (5, 12), (9, 0), (14, 2)])
    trial = trial_of(model, rule)
    verdict = trial.run(all_of)
    assert 0 < verdict.made < verdict.offered
    gone, born = verdict.rewiring.died, verdict.rewiring.born
    before, after = verdict.rewiring.before, verdict.rewiring.graph
    deaths, births = (
        trace(
            model, trial.inputs, trial.labels, in_full, graph.target[ids].long(),
            graph.source[ids].long(),
        )
        for graph, ids in ((before, gone), (after, born))
    )  # fmt: skip
    expected = (deaths.deletion.sum() + births.insertion.sum()) / 16
    assert verdict.predicted == pytest.approx(float(expected), rel=1e-4, abs=1e-7)


def test_where_nothing_was_chosen_nothing_is_computed(monkeypatch):
    model = learner()
    trial = trial_of(model, limited(0.0))
    monkeypatch.setattr(type(model), "forward", lambda *_: pytest.fail("the model ran"))
    verdict = trial.run(choice())
    assert (verdict.predicted, verdict.realised, verdict.offered, verdict.made) == (0.0, 0.0, 0, 0)


def test_what_regrows_is_in_no_group():
    with pytest.raises(ValueError, match="set groups to 1"):
        limited(0.0, regrow=True)


def test_what_regrows_is_neither_death_nor_birth():
    """Edge 3 is dropped and grows again; the budget wants one edge less, and that is edge 9."""
    model = learner()
    trial = trial_of(model, limited(-1e9, groups=1, regrow=True))
    again = int(model.graph.target[3]), int(model.graph.source[3])
    verdict = trial.run(choice(drop=[3, 9], born=[again]))
    assert verdict.rewiring.died.tolist() == [9]
    assert (verdict.offered, verdict.made) == (1, 1)
    alone = trial.run(choice(drop=[9]))
    assert verdict.predicted == pytest.approx(alone.predicted)
    assert verdict.predicted != 0


@pytest.mark.slow
def test_a_look_keeps_nothing_of_earlier_slices():
    marks: list[weakref.ref] = []
    held: list[int] = []

    class Mark:
        """As long-lived as the activations of a slice."""

    class Marked(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark = Mark()
            marks.append(weakref.ref(ctx.mark))
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad

    def losses(output, labels):
        gc.collect()
        held.append(sum(mark() is not None for mark in marks))
        return Marked.apply(in_full(output, labels))

    trial = trial_of(learner(), limited(None))
    trial = Trial(
        trial.rule, trial.model, SHEET, trial.scored, trial.inputs, trial.labels, losses,
        slice_size=4,
    )  # fmt: skip
    foresight = trial._predict(trial.rewiring(choice([3], [(0, 15)])))
    assert held == [0, 0, 0, 0]
    assert foresight.loss == trial.loss(trial.model)
