"""Every rule, update after update, on a sheet that trains."""

import copy
import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys
from graphcolumns.plasticity import (
    Budget,
    Constraints,
    Plasticity,
    Rule,
    criteria,
    presets,
    rule_from_options,
)
from tests.conftest import RULES
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

FEW = {"samples": 16, "check_samples": 8}
FREE = ("homeostatic", "wiring")  # whose number of edges nobody sets


class Chapter(NamedTuple):
    """One update."""

    step: int
    before: ColumnGraph
    after: ColumnGraph
    metrics: dict[str, float]
    born: int
    died: int


def told(rule: Rule, updates: int = 4, seed: int = 0) -> list[Chapter]:
    return [
        Chapter(
            2 * update.number,
            update.rewiring.before,
            update.rewiring.graph,
            update.metrics,
            len(update.rewiring.born),
            len(update.rewiring.died),
        )
        for _, _, update in live(rule, updates, seed=seed)
    ]


@pytest.fixture(scope="module")
def story(rule) -> list[Chapter]:
    torch.manual_seed(0)
    return told(rule)


def digest(graph: ColumnGraph) -> str:
    return hashlib.sha256(edge_keys(graph).numpy().tobytes()).hexdigest()[:12]


def test_budgets_are_kept_exactly(rule, story):
    for step, before, after, metrics, born, died in story:
        budget = rule.budget
        if budget is not None and budget.unit == "length":
            assert float(after.distance.double().sum()) <= budget.length(step) * (1 + 1e-12)
        elif budget is not None:
            assert after.num_edges == budget.edges(step, before)
        elif rule.choose is None:
            assert after.num_edges == before.num_edges
        assert (
            born - died
            == after.num_edges - before.num_edges
            == metrics["edges"] - (before.num_edges)
        )


def test_edge_sets_are_sound(story):
    first = story[0].before
    own = set(first.source[first.source == first.target].tolist())
    for chapter in story:
        graph = chapter.after
        assert (edge_keys(graph).diff() > 0).all()  # sorted, no duplicates
        assert set(graph.source[graph.source == graph.target].tolist()) <= own
        assert int(graph.in_degree.min()) >= 1
        expected = SHEET.distance(graph.target.long(), graph.source.long())
        assert torch.equal(graph.distance, expected)


def test_something_happens(rule, story):
    happened = sum(chapter.born + chapter.died for chapter in story)
    assert bool(happened) == (rule.grows or rule.budget is not None)


def test_the_same_seed_gives_the_same_graphs_at_any_number_of_threads(rule, story):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        again = told(rule, updates=2)
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(story[:2], again, strict=True):
        assert one.after.same_topology(other.after)
        assert one.metrics == pytest.approx(other.metrics, abs=1e-6)


def test_another_seed_gives_other_graphs():
    one, other = (
        told(presets.set(8, samples=16, check_samples=0), 1, seed)[0].after for seed in (0, 1)
    )
    assert not one.same_topology(other)


SCRIPT = """
import torch
from tests.conftest import RULES
from tests.plasticity.test_plasticity import digest, told
torch.set_num_threads(1)
for param in RULES:
    print(digest(told(param.values[0](steps=8), 2)[-1].after))
"""


@pytest.mark.slow
def test_salted_hashes_of_strings_change_nothing():
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    here = [digest(told(param.values[0](steps=8), 2)[-1].after) for param in RULES]
    assert done.stdout.split() == here


def state_of(model, optimizer) -> list[torch.Tensor]:
    states = [state for p in model.parameters() for state in optimizer.state[p].values()]
    return [*(p.detach() for p in model.parameters()), *states, edge_keys(model.graph)]


@pytest.mark.parametrize("name", ["movement", "homeostatic", "exact", "chts"])
def test_taken_up_again_between_updates(name):
    """Within the window of a score too: parameters, moments and edges bit for bit."""
    rule = presets.set(8, every=3, samples=16, check_samples=16)
    if name == "movement":
        rule = rule_from_options(
            prune=criteria.movement,
            grow=criteria.chance,
            watch_movement=True,
            samples=2,
            check_samples=0,
            grace=2,
        )
    elif name == "homeostatic":
        rule = presets.homeostatic(8, samples=16, check_samples=0, rate=3.0)
    elif name == "exact":
        rule = presets.exact(8, samples=16, check_samples=16, fraction=0.5, cool_down=2)
    elif name == "chts":
        rule = presets.chts(8, samples=16, check_samples=0)

    def run(model, optimizer, changing, first, last):
        for step in range(first, last):
            descend(model, optimizer, 1, changing=changing)
            if (step + 1) % 2 == 0:
                samples = batch(rule, step)
                changing.update(model, optimizer, step + 1, *samples, LOSSES)

    model = learner()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    for step in range(6):
        run(model, optimizer, changing, step, step + 1)
        if step in (2, 3):  # within a window, and right after an update
            other, state = copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())
            resumed, back = optimizer_of(other), Plasticity(rule, SHEET)
            resumed.load_state_dict(state)
            back.load_state_dict(copy.deepcopy(changing.state_dict()))
            run(other, resumed, back, step + 1, 6)
            if step == 2:
                early = state_of(other, resumed)
    for one in (early, state_of(other, resumed)):
        pairs = zip(one, state_of(model, optimizer), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_movement_is_summed_over_the_steps_since_the_last_update():

    rule = rule_from_options(
        prune=criteria.movement, watch_movement=True, fraction=0.0, samples=2, check_samples=0
    )
    model, changing = learner(), Plasticity(rule, SHEET)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    biases = [p for name, p in model.named_parameters() if "edge_bias" in name]
    with torch.no_grad():
        for p in biases:
            p.normal_()
    expected = torch.zeros(64)
    for _ in range(3):
        before = [p.detach().clone() for p in biases]
        descend(model, optimizer, 1, changing=changing)
        for p, old in zip(biases, before, strict=True):
            expected -= (old * p.grad).reshape(64, -1).sum(1)
    torch.testing.assert_close(changing.memory["movement"], expected)
    changing.update(model, optimizer, 3, *batch(rule), LOSSES)
    assert "movement" not in changing.memory


def test_ages_by_hand():
    """First edges are no newborns, whatever the grace; newborns wait for it."""

    rule = rule_from_options(
        prune=criteria.chance,
        grow=criteria.chance,
        grace=2,
        samples=2,
        check_samples=0,
        fraction=0.5,
    )
    model, changing = learner(), Plasticity(rule, SHEET)
    first = changing.update(model, None, 1, *batch(rule), LOSSES).rewiring
    assert len(first.died) == 32
    second = changing.update(model, None, 2, *batch(rule), LOSSES).rewiring
    assert len(second.died) == 16  # half of those that may die
    assert not torch.isin(first.born, second.died).any()
    assert sorted(set(changing.age.tolist())) == [0, 1, 4]


def test_what_an_update_leaves_alone():
    """Parameters that are not per edge, their moments, gradients' absence, the mode, the loss."""
    rule = presets.set(8, samples=16, check_samples=16)
    model = learner()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    descend(model, optimizer, 2)
    edges = {id(p) for p in optimizer.param_groups[1]["params"]}
    others = [p for p in model.parameters() if id(p) not in edges]
    before = [p.detach().clone() for p in others]
    moments = [copy.deepcopy(optimizer.state[p]) for p in others]
    random = torch.get_rng_state()
    changing.update(model, optimizer, 2, *batch(rule), LOSSES)
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, others, strict=True))
    for old, p in zip(moments, others, strict=True):
        assert all(torch.equal(old[key], optimizer.state[p][key]) for key in old)
    for p in optimizer.param_groups[1]["params"]:
        assert all(len(value) == 64 for value in optimizer.state[p].values())


def test_columns_that_no_answer_depends_on_are_dead():
    """Sixteen columns that hear themselves alone: all are alive while all are read."""
    rule = rule_from_options(prune=criteria.chance, fraction=0.0, samples=2, check_samples=0)
    model, dead = learner(degree=1), []
    for columns in (None, torch.tensor([5, 6])):
        model.readout.columns = columns
        update = Plasticity(rule, SHEET).update(model, None, 2, *batch(rule), LOSSES)
        dead.append(update.metrics["dead_columns"])
    assert dead == [0, 14]


def test_too_few_samples():
    rule = presets.set(8)
    with pytest.raises(ValueError, match=r"takes 128 samples\. Got 48"):
        Plasticity(rule, SHEET).update(
            learner(), None, 1, rows().train_inputs, rows().train_targets, LOSSES
        )


def test_a_rehearsal_changes_nothing():
    rule = presets.homeostatic(8, samples=16, check_samples=16)
    model, changing = learner(), Plasticity(rule, SHEET)
    before = copy.deepcopy(model.state_dict())
    graph = model.graph
    changing.dry_run(model, 2, *batch(rule), LOSSES)
    assert changing.updates == 0
    assert changing.memory == {}
    assert model.graph is graph
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("bias", ["edge", "head", "both", "none"])
@pytest.mark.parametrize("newborn", ["zero", "epsilon", "node_mean"])
def test_newborns_start_on_every_kind_of_bias(bias, newborn):
    rule = presets.rigl(8, every=2, samples=16, check_samples=8, first_value=newborn)
    *_, (_, _, update) = live(rule, model=learner(attention={"edge_bias": bias}))
    assert update.metrics["edges_born"] >= 0
    assert math.isfinite(update.metrics["predicted_change"])


@pytest.mark.parametrize("newborn", ["zero", "epsilon"])
def test_edges_die_and_none_are_born(newborn):
    rule = presets.gmp(8, every=2, stop=1.0, degree=2, initial=4, first_value=newborn, **FEW)
    *_, (model, _, _) = live(rule)
    assert model.graph.num_edges == 32


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        (lambda pairs: torch.full((len(pairs),), torch.nan), ValueError, "grow score .* Got NaN"),
        (lambda pairs: [0.0] * len(pairs), TypeError, "must be a tensor. Got list"),
    ],
)
def test_a_score_that_is_no_number(score, error, message):
    rule = rule_from_options(prune=criteria.mass, grow=score, **FEW)
    with pytest.raises(error, match=message):
        list(live(rule))


def test_a_rule_that_chooses_keeps_no_budget():
    with pytest.raises(ValueError, match="takes no budget"):
        presets.homeostatic(10, constraints=Constraints(max_in=5))
    with pytest.raises(ValueError, match="takes no budget"):
        presets.homeostatic(10, budget=Budget(64))


def test_what_a_budget_lacks_is_said():
    rule = rule_from_options(
        prune=criteria.mass, grow=criteria.chance, budget=Budget(6, "mean_degree"), per_grow=1,
        constraints=Constraints(max_new=1), fraction=0.0, **FEW,
    )  # fmt: skip
    (_, _, update), *_ = live(rule)
    assert update.metrics["edges_missing"] == 96 - update.metrics["edges"] > 0
