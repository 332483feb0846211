"""Training while edges die and are born: the same whether or not it was interrupted."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from graphcolumns import checkpoint
from graphcolumns.data.augment import affine
from graphcolumns.graph.keys import edge_keys
from graphcolumns.plasticity import (
    Budget,
    Constraints,
    EdgeAdamW,
    Every,
    Rule,
    criteria,
    presets,
    rule_from_options,
    samplers,
)
from graphcolumns.training import train
from graphcolumns.training.optim import adamw
from graphcolumns.training.plastic_updates import PlasticUpdates
from tests.plasticity.support.learners import SHEET, learner, rows

FEW = {"every": 2, "stop": 1.0, "samples": 8, "check_samples": 8}
MOVEMENT = rule_from_options(
    prune=criteria.movement, grow=criteria.chance, watch_movement=True, is_due=Every(3, start=3),
    samples=8, check_samples=0, grace=1, cool_down=2, reserve=0.5,
)  # fmt: skip
STORIES = {
    "movement": MOVEMENT,
    "homeostatic": partial(presets.homeostatic, rate=2.0, **FEW),
    "exact": partial(presets.exact, fraction=0.5, **FEW),
    "rigl": partial(presets.rigl, fraction=0.5, **FEW),
    "gmp": partial(presets.gmp, degree=2, initial=4, **FEW),
}
OPTIONS = {"steps": 7, "batch_size": 12, "progress": False, "lr": 1e-2, "geometry": SHEET}


def turned(inputs, generator):
    return affine(inputs, degrees=10, translate=0.1, generator=generator)


def artefacts(run: Path) -> dict[str, bytes]:
    """What must not depend on whether a run was interrupted."""
    names = ("checkpoint/model.safetensors", "checkpoint/topology.safetensors")
    return {name: (run / name).read_bytes() for name in (*names, "metrics.jsonl", "edges.jsonl")}


def state(run: Path) -> dict:
    return torch.load(run / "checkpoint" / "state.pt", weights_only=True)


def same(one, other) -> bool:
    """Nested containers of tensors and numbers, bit for bit."""
    if torch.is_tensor(one):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.fixture(scope="module", params=STORIES)
def whole(request, tmp_path_factory):
    """A run that was never stopped."""
    run = tmp_path_factory.mktemp(request.param) / "whole"
    rule = STORIES[request.param]
    train(learner(), rows(), run=run, plasticity=rule, augmentation=turned, **OPTIONS)
    return rule, run


EVERY_STEP = [("movement", stop) for stop in range(1, 8)]
SOME_STEPS = [(name, stop) for name in ("homeostatic", "exact", "rigl", "gmp") for stop in (4, 5)]


@pytest.mark.parametrize(("whole", "stop"), EVERY_STEP + SOME_STEPS, indirect=["whole"])
def test_stopped_at_any_step_and_resumed(whole, tmp_path, stop):
    rule, unbroken = whole
    run = tmp_path / "run"
    every = 1 if stop % 2 else 2  # with every=2, a step is done twice

    def interrupt(model, data):
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return 0.0

    options = {"plasticity": rule, "augmentation": turned, "checkpoint_every": every, **OPTIONS}
    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(learner(), rows(), run=run, evaluate_every=1, metrics={"stop": interrupt}, **options)
    done = state(run)["step"]
    assert done == (stop - 1) // every * every
    # Another start, another state of the global generator.
    train(learner(seed=99), rows(), run=run, resume=True, **options)
    kept = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text().splitlines()]
    assert [
        {key: entry[key] for key in other} for entry, other in zip(kept, first, strict=True)
    ] == first
    files, expected = artefacts(run), artefacts(unbroken)
    del files["metrics.jsonl"], expected["metrics.jsonl"]  # it has scores before the stop
    assert files == expected
    mine, theirs = state(run), state(unbroken)
    assert same(mine["optimizer"], theirs["optimizer"])
    assert same(mine["plasticity"], theirs["plasticity"])


def test_resumed_files_are_equal_byte_for_byte(tmp_path):
    options = {"plasticity": MOVEMENT, "checkpoint_every": 2, **OPTIONS}
    train(learner(), rows(), run=tmp_path / "whole", augmentation=turned, **options)

    def interrupt(inputs, generator):
        calls.append(len(inputs))
        if calls.count(12) == 6:
            raise KeyboardInterrupt
        return turned(inputs, generator)

    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(learner(), rows(), run=tmp_path / "run", augmentation=interrupt, **options)
    assert state(tmp_path / "run")["step"] == 4  # one step after the first update
    resumed = {"run": tmp_path / "run", "augmentation": turned, "resume": True}
    train(learner(seed=1), rows(), **resumed, **options)
    assert artefacts(tmp_path / "run") == artefacts(tmp_path / "whole")


def test_the_log_of_events_leads_to_the_last_graph(whole):
    _, run = whole
    events = checkpoint.read_history(run)
    graph = checkpoint.read_topology(run).graph
    assert events[0].update == events[0].step == 0
    assert events[0].born.shape == (2, 64)
    assert checkpoint.replay(events[:1], 16).same_topology(learner().graph)
    assert checkpoint.replay(events, 16).same_topology(graph)
    assert [event.update for event in events] == list(range(len(events)))
    born = sum(event.born.shape[1] for event in events)
    assert born - sum(event.died.shape[1] for event in events) == graph.num_edges
    entries = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        entries[entry["step"]] = entry
    for event in events[1:]:
        entry = entries[event.step]
        assert entry["edges_born"] == event.born.shape[1]
        assert entry["edges_died"] == event.died.shape[1]
        assert entry["edges"] == checkpoint.replay(events[: event.update + 1], 16).num_edges
    assert all("edges" not in entries[step] for step in entries if step not in
               {event.step for event in events})  # fmt: skip


def test_ages_and_memory_in_the_checkpoint_belong_to_the_edges(whole):
    rule, run = whole
    events, kept = checkpoint.read_history(run), state(run)["plasticity"]
    grace = (rule if isinstance(rule, Rule) else rule(steps=7)).newborns.grace
    ages: dict[tuple[int, int], int] = {}
    for event in events:
        for pair in map(tuple, event.died.t().tolist()):
            ages.pop(pair)
        ages = {pair: age + 1 for pair, age in ages.items()}
        ages |= dict.fromkeys(map(tuple, event.born.t().tolist()), 0 if event.update else grace)
    assert kept["age"].tolist() == [ages[pair] for pair in sorted(ages)]
    keys = edge_keys(checkpoint.read_topology(run).graph)
    born = events[-1].born[0] * 16 + events[-1].born[1]
    assert torch.equal(kept["past"]["newborn"], born.sort().values)
    if "movement" in kept["memory"]:
        assert kept["memory"]["movement"].shape == keys.shape
    cooling_down, died = kept["cool_down"]
    assert not torch.isin(cooling_down, keys).any()
    assert len(died) == len(cooling_down)


def test_static_is_training_without_plasticity(tmp_path):
    """Through EdgeAdamW and all: up to rounding; and without it, the optimizer is torch's."""
    models = {}
    for name, rule in (("plain", None), ("static", presets.static)):
        models[name] = learner()
        train(models[name], rows(), run=tmp_path / name, plasticity=rule, **OPTIONS)
    for a, b in zip(*(model.parameters() for model in models.values()), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert not (tmp_path / "plain" / "edges.jsonl").exists()
    assert state(tmp_path / "plain")["plasticity"] is None
    assert len(checkpoint.read_history(tmp_path / "static")) == 1


def test_groups_of_the_optimizer():
    model = learner()
    plain, plastic = (adamw(model, 0.1, 0.05, (0.9, 0.95), plastic=p) for p in (False, True))
    assert type(plain) is torch.optim.AdamW
    assert type(plastic) is EdgeAdamW
    assert all("edges" not in group for group in plain.param_groups)
    decays = {id(p): g["weight_decay"] for g in plain.param_groups for p in g["params"]}
    assert decays == {id(p): g["weight_decay"] for g in plastic.param_groups for p in g["params"]}
    edges = {id(p) for g in plastic.param_groups if g["edges"] for p in g["params"]}
    named = {id(p) for name, p in model.named_parameters() if "edge_bias" in name}
    assert edges == named
    assert edges


def test_samples_set_aside_are_never_trained_on():
    data = rows()
    updates = PlasticUpdates.begin(MOVEMENT, learner(), data, SHEET, 6, seed=3)
    fitted, scoring_set = updates.fitted, updates.scoring_set
    assert len(fitted.train_inputs) == len(scoring_set.train_inputs) == 24
    sums = [set(part.train_inputs.flatten(1).sum(1).tolist()) for part in (fitted, scoring_set)]
    assert not sums[0] & sums[1]
    assert torch.equal(fitted.test_inputs, data.test_inputs)
    (each,) = updates.graphs
    one, other = (each.samples(scoring_set, None)[0] for _ in range(2))
    assert torch.equal(one, other)
    assert len(one) == 8
    each.plasticity.updates += 1
    assert not torch.equal(one, each.samples(scoring_set, None)[0])


def rigl(**options):
    return partial(presets.rigl, **{**FEW, **options})


@pytest.mark.parametrize(
    ("change", "model", "error", "message"),
    [
        ({"plasticity": presets.rigl}, {}, ValueError, "takes 128 samples .* from 48 of 48"),
        ({"plasticity": rigl(reserve=0.2)}, {}, ValueError, "may draw from 10 of 48"),
        ({"plasticity": rigl(), "geometry": None}, {}, ValueError, "pass train.*geometry="),
        (
            {"plasticity": partial(presets.homeostatic, **FEW), "geometry": None},
            {}, ValueError, "pass train.*geometry=",
        ),
        (
            {"plasticity": rigl(magnitude="weight")}, {"attention": {"edge_bias": "none"}},
            ValueError,
            "reads the weights of edges. Expected parameters per edge",
        ),
        (
            {"plasticity": partial(presets.gmp, degree=0.5, **FEW)}, {}, ValueError,
            "16 columns of at least 1 in-edges .* need 16 edges. Got a budget of 8 at step 2",
        ),
        (
            {"plasticity": partial(presets.gmp, degree=0.5, initial=4, **FEW)}, {}, ValueError,
            "Got a budget of 15 at step 4",
        ),
        ({"plasticity": presets.gmp}, {}, ValueError, "gmp prunes to a budget"),
        (
            {"plasticity": rigl(constraints=Constraints(min_in=5))}, {}, ValueError,
            "in-edges of column 0 must be at least 5 from the start",
        ),
        ({"plasticity": rigl(fraction=1.5)}, {}, ValueError, r"fraction must be in \[0, 1\]"),
        ({"plasticity": lambda steps: 3}, {}, TypeError, "must be a Rule or a function"),
        ({"plasticity": "rigl"}, {}, TypeError, r"must be a Rule or a function .* Got 'rigl'\."),
        ({"plasticity": {"graph": None}}, {}, TypeError, r"leave out graphs that .* Got None\."),
        ({"plasticity": rigl(fracton=1.0)}, {}, ValueError, "Did you mean 'fraction'"),
    ],
)  # fmt: skip
def test_what_cannot_work_fails_before_anything_is_written(tmp_path, change, model, error, message):
    with pytest.raises(error, match=message):
        train(learner(**model), rows(), run=tmp_path / "run", **{**OPTIONS, **change})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options", [{"amp": "bfloat16"}, {"amp": "float16"}, {"grad_accumulation": 3}]
)
def test_with_other_options_of_training(tmp_path, options):
    model = learner()
    rule = partial(presets.granet, degree=2, initial=4, **FEW)
    train(model, rows(), run=tmp_path / "run", plasticity=rule, **{**OPTIONS, **options})
    assert model.graph.num_edges == 32
    assert checkpoint.replay(checkpoint.read_history(tmp_path / "run"), 16).same_topology(
        model.graph
    )


def summary_of(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text())


@pytest.mark.parametrize(
    "rule",
    [
        presets.rigl,
        partial(presets.gmp, degree=2),
        partial(presets.granet, degree=2, initial=4),
        partial(presets.wiring, budget=20.0),
        rule_from_options(prune=criteria.mass, is_due=Every(100)),
    ],
    ids=["rigl", "gmp", "granet", "wiring", "own"],
)
def test_a_run_without_an_update_is_refused_before_anything_is_written(tmp_path, rule):
    if not isinstance(rule, Rule):
        rule = partial(rule, samples=8, check_samples=8)
    else:
        rule = replace(
            rule,
            scoring=replace(rule.scoring, samples=8),
            acceptance=replace(rule.acceptance, check_samples=8),
        )
    with pytest.raises(ValueError, match=r"an update within the run of 7 steps. Got Every"):
        train(learner(), rows(), run=tmp_path / "run", plasticity=rule, **OPTIONS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["gmp", "rigl"])
def test_a_budget_that_was_reached_is_said_to_be(tmp_path, name):
    train(learner(), rows(), run=tmp_path / "run", plasticity=STORIES[name], **OPTIONS)
    summary = summary_of(tmp_path / "run")
    assert summary["edges"] == {"gmp": 32, "rigl": 64}[name]
    assert (summary["edges_missing"], summary["not_reached"]) == (0, None)


def test_births_that_promise_nothing_leave_a_budget_unreached_and_the_summary_says_so(tmp_path):
    """Nothing gains enough: the same words whether or not the run was stopped."""
    rule = rule_from_options(
        prune=criteria.mass, grow=lambda pairs: torch.full((len(pairs),), -torch.inf),
        is_due=Every(2, 2, 5), fraction=0.0, budget=Budget(6, "mean_degree"), samples=8,
        check_samples=0,
    )  # fmt: skip

    def interrupt(model, data):
        raise RuntimeError("killed")

    train(learner(), rows(), run=tmp_path / "whole", plasticity=rule, **OPTIONS)
    options = {**OPTIONS, "checkpoint_every": 6, "evaluate_every": 7, "plasticity": rule}
    with pytest.raises(RuntimeError, match="killed"):
        train(learner(), rows(), run=tmp_path / "run", metrics={"never": interrupt}, **options)
    train(learner(), rows(), run=tmp_path / "run", resume=True, **options)  # no update is left
    for run in ("whole", "run"):
        summary = summary_of(tmp_path / run)
        assert summary["edges_missing"] == 32
        assert summary["not_reached"].startswith(
            "96 edges, the budget at the end of the run: there are 64, 32 too few; 0 of "
        )
        assert "no predicted gain" in summary["not_reached"]
    whole, run = (summary_of(tmp_path / name)["not_reached"] for name in ("whole", "run"))
    assert whole == run


def test_too_few_candidates_are_a_reason(tmp_path):
    """Two hops from self-edges lead nowhere."""
    rule = rule_from_options(
        prune=criteria.mass, grow=criteria.chance, sampler=samplers.two_hop, is_due=Every(2, 2),
        budget=Budget(2, "mean_degree"), samples=8, check_samples=0,
    )  # fmt: skip
    train(learner(degree=1), rows(), run=tmp_path / "run", plasticity=rule, **OPTIONS)
    assert "only 0 candidates were found for" in summary_of(tmp_path / "run")["not_reached"]


def test_a_budget_that_moves_on_after_the_last_update_is_in_the_summary(tmp_path):
    rule = rule_from_options(
        prune=criteria.mass, is_due=Every(3, 3), fraction=0.0,
        budget=Budget(lambda step: 64 - step), samples=8, check_samples=0,
    )  # fmt: skip
    train(learner(), rows(), run=tmp_path / "run", plasticity=rule, **OPTIONS)
    assert summary_of(tmp_path / "run")["edges_missing"] == -1
    assert summary_of(tmp_path / "run")["not_reached"] == (
        "57 edges, the budget at the end of the run: there are 58, 1 too many; the budget changed "
        "after the last update, at step 6"
    )
