"""A run is not resumed as another one: what differs is told, what may change is recorded."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from graphcolumns import checkpoint
from graphcolumns.data import augment
from graphcolumns.plasticity import criteria, presets
from graphcolumns.training import TERMS, train
from graphcolumns.training.describe import describe_value, differs
from graphcolumns.training.optim import learning_rate
from tests.plasticity.support.learners import SHEET, learner, rows
from tests.training.support.tiny import task, tiny

OPTIONS = {"steps": 6, "batch_size": 8, "lr": 0.01, "checkpoint_every": 3, "progress": False}


@pytest.fixture
def run(tmp_path):
    """A run of six steps."""
    train(tiny(), task(), run=tmp_path / "run", **OPTIONS)
    return tmp_path / "run"


def again(run: Path, model=None, data=None, **options):
    model, data = model or tiny(seed=9), data or task()
    return train(model, data, run=run, resume=True, **{**OPTIONS, **options})


def content(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in ("state.pt", "summary.json")
    }


def entries(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def brighter(data):
    inputs = data.train_inputs.clone()
    inputs[5] += 0.25
    return replace(data, train_inputs=inputs)


def relabelled(data):
    labels = data.train_targets.clone()
    labels[5] = (labels[5] + 1) % 3
    return replace(data, train_targets=labels)


def deeper():
    model = tiny(seed=9)
    model.dropout = 0.5
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"seed was 0, now 1 \(seed: it decides all samples"),
        ({"batch_size": 16}, "batch_size was 8, now 16"),
        ({"data": task(count=50)}, r"data.train_inputs was float32 \(60, 1, 3, 3\), now float32"),
        ({"data": brighter(task())}, "data.train_inputs.values was"),
        ({"data": relabelled(task())}, "data.train_targets.hash was"),
        ({"model": deeper()}, "model.dropout was 0.2, now 0.5"),
        ({"losses": {"activity": (0.1, TERMS["activity"])}}, "losses was"),
        ({"augmentation": partial(augment.affine, degrees=5.0)}, "augmentation was null, now"),
        ({"plasticity": presets.static}, "plasticity was null, now"),
        ({"seed": 1, "batch_size": 16}, "batch_size was 8, now 16; seed was 0, now 1"),
    ],
)
def test_another_run_is_refused_with_the_difference(run, change, message):
    before = content(run)
    with pytest.raises(ValueError, match="cannot be resumed with something else: .*" + message):
        again(run, **{"steps": 6, **change})
    assert content(run) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 9}, r"steps was 6, now 9\. .*steps=9`.*changes=\['steps'\]"),
        ({"lr": 0.001}, "lr was 0.01, now 0.001.*optimizer.lr=0.001`"),
        (
            {"weight_decay": 0.5, "clip": None},
            "weight_decay was 0.05, now 0.5; clip was 1, now nul",
        ),
    ],
)
def test_what_may_change_is_refused_in_silence(run, change, message):
    with pytest.raises(ValueError, match=message):
        again(run, **change)


def test_fewer_steps_than_are_done_are_refused(run):
    with pytest.raises(ValueError, match=r"6 steps are done.*Got steps=5; give at least 6"):
        again(run, steps=5, changes=["steps"])


def test_what_cannot_change_cannot_be_named(run):
    with pytest.raises(ValueError, match=r"can change steps, lr, .* Got seed\."):
        again(run, seed=1, changes=["seed"])


def test_a_longer_run_with_another_rate_is_recorded(run):
    before = entries(run)
    options = {"steps": 9, "lr": 0.002, "weight_decay": 0.3}
    summary = again(run, **options, changes=list(options))
    assert entries(run)[:6] == before
    rates = [entry["lr"] for entry in entries(run)[6:]]
    assert rates == [learning_rate(step, 9, 0.002, 0.1, 0.05) for step in (6, 7, 8)]
    expected = {"steps": (6, 9), "lr": (0.01, 0.002), "weight_decay": (0.05, 0.3)}
    assert checkpoint.read_changes(run) == [(6, expected)]
    told = "after step 6: steps 6 -> 9, lr 0.01 -> 0.002, weight_decay 0.05 -> 0.3"
    assert summary["changes"] == told
    state = torch.load(run / "checkpoint" / "state.pt", weights_only=True)
    assert {0.0, 0.3} == {group["weight_decay"] for group in state["optimizer"]["param_groups"]}
    # From now on this is the run.
    again(run, **options)
    with pytest.raises(ValueError, match="steps was 9, now 6"):
        again(run)
    assert len(checkpoint.read_changes(run)) == 1


def test_changed_and_killed_goes_on_as_changed(tmp_path):
    """Killed right after the change was noted, before its first checkpoint."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for path in (whole, killed):
        train(tiny(), task(), run=path, **OPTIONS)
    change = {"steps": 9, "lr": 0.002, "changes": ["steps", "lr"]}
    again(whole, **change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphcolumns.checkpoint.save", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            again(killed, **change)
    assert len(checkpoint.read_changes(killed)) == 1
    again(killed, steps=9, lr=0.002)
    assert content(killed) == content(whole)


def test_where_and_how_often_may_differ_and_is_noted(run):
    again(run, checkpoint_every=1, evaluate_every=2)
    ((step, changes),) = checkpoint.read_changes(run)
    assert step == 6
    assert changes == {"checkpoint_every": (3, 1), "evaluate_every": (None, 2)}


def test_a_run_without_a_fingerprint_can_be_resumed(run):
    (run / "checkpoint" / "about.json").unlink()
    assert again(run, steps=8)["steps"] == 8


def test_a_folder_without_a_run_is_not_resumed_into(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        again(tmp_path)


def test_a_damaged_fingerprint_is_named(run):
    (run / "checkpoint" / "about.json").write_text("{")
    with pytest.raises(ValueError, match=r"about\.json is damaged"):
        again(run)


def _as_before(run: Path) -> None:
    """The names that an earlier version gave to targets and tasks."""
    path = run / "checkpoint" / "about.json"
    about = json.loads(path.read_text())
    was = {name.replace("_targets", "_labels"): x for name, x in about["fingerprint"].items()}
    was["data.task"] = {"multi_label": "binary"}.get(was["data.task"], was["data.task"])
    path.write_text(json.dumps(about | {"fingerprint": was}))


def test_a_run_of_an_earlier_version_is_the_same_under_the_names_of_today(run):
    _as_before(run)
    assert again(run)["steps"] == 6


def test_other_targets_than_those_of_an_earlier_version_are_refused(run):
    _as_before(run)
    with pytest.raises(ValueError, match=r"data\.train_targets"):
        again(run, data=relabelled(task()))


def test_options_of_a_rule_have_their_names_of_today(tmp_path):
    """A rule with other numbers is refused, under whichever name they were noted."""
    numbers = {"every": 2, "samples": 8, "standard_errors": 1.0}
    rule = partial(presets.exact, check_samples=8, **numbers)
    train(learner(), rows(), run=tmp_path, **OPTIONS, plasticity=rule, geometry=SHEET)
    path = tmp_path / "checkpoint" / "about.json"
    about = json.loads(path.read_text())
    was = {
        name.replace("check_samples", "check").replace("standard_errors", "errors"): value
        for name, value in about["fingerprint"].items()
    }
    was["plasticity.given"] = sorted(["every", "samples", "check", "errors"])
    assert was["plasticity.check"] == 8
    path.write_text(json.dumps(about | {"fingerprint": was}))
    sheet = {"model": learner(), "data": rows(), "geometry": SHEET}
    assert again(tmp_path, **sheet, plasticity=rule)["steps"] == 6
    other = partial(presets.exact, check_samples=16, **numbers)
    with pytest.raises(ValueError, match=r"plasticity\.check_samples was 8, now 16"):
        again(tmp_path, **sheet, plasticity=other)


def test_criteria_have_their_names_of_today(tmp_path):
    """A rule of criteria that were named otherwise is the same; of other criteria it is not."""
    custom = partial(presets.custom, every=2, samples=8, check_samples=8)
    model, data = learner(), rows()
    prune = partial(criteria.fisher_taylor, curvature="labels")
    rule = partial(custom, prune=prune, grow=criteria.insertion_gain)
    options = {**OPTIONS, "geometry": SHEET}
    train(model, data, run=tmp_path, **options, plasticity=rule)
    path = tmp_path / "checkpoint" / "about.json"
    about = json.loads(path.read_text())
    was = about["fingerprint"]
    was["plasticity.grow"] = "graphcolumns.plasticity.criteria.grow.insertion"
    was["plasticity.prune"] = "graphcolumns.plasticity.criteria.prune.fisher_taylor"
    was["plasticity.prune.given"] = ["own"]
    was["plasticity.prune.own"] = was.pop("plasticity.prune.curvature") == "model"
    path.write_text(json.dumps(about))
    sheet = {"model": learner(), "data": data, "geometry": SHEET}
    assert again(tmp_path, **sheet, plasticity=rule)["steps"] == 6
    for other in ({"grow": criteria.chance}, {"prune": partial(prune, curvature="model")}):
        with pytest.raises(ValueError, match=r"plasticity\.(grow|prune)"):
            again(tmp_path, **sheet, plasticity=partial(rule, **other))


def test_a_task_that_has_another_name_today_is_the_same(tmp_path):
    data = task()
    several = replace(
        data,
        train_targets=functional.one_hot(data.train_targets),
        test_targets=functional.one_hot(data.test_targets),
        task="binary",
    )
    train(tiny(), several, run=tmp_path, **OPTIONS)
    _as_before(tmp_path)
    assert again(tmp_path, data=several)["steps"] == 6


class TestDescribe:
    def test_rounding_on_another_machine_is_no_difference(self):
        data = torch.rand(1000, 64)
        was, now = (describe_value("x", each)["x.values"] for each in (data, data * (1 + 1e-7)))
        assert not differs(was, now)

    @pytest.mark.parametrize("change", ["one sample", "order", "scale"])
    def test_other_samples_are(self, change):
        data = torch.rand(1000, 64)
        other = data.clone()
        if change == "one sample":
            other[17] = torch.rand(64)
        other = {"order": data.roll(1, 0), "scale": data * 1.01}.get(change, other)
        assert differs(
            describe_value("x", data)["x.values"], describe_value("x", other)["x.values"]
        )

    def test_a_module_of_the_library_may_move_between_versions(self):
        was, now = (
            "graphcolumns.plasticity.presets.rigl",
            "graphcolumns.plasticity.rules.presets.rigl",
        )
        assert not differs(was, now)
        assert differs(was, now.replace("rigl", "set"))
        assert differs("mine.presets.rigl", "yours.presets.rigl")

    def test_functions_and_what_they_are_given(self):
        found = describe_value("rule", partial(presets.rigl, every=5))
        assert found["rule"] == "graphcolumns.plasticity.rules.presets.published.rigl"
        assert found["rule.every"] == 5
        assert found["rule.given"] == ["every"]

    def test_a_rule_is_described_part_by_part(self):
        one, two = (describe_value("r", presets.rigl(100, every=e)) for e in (5, 6))
        assert one.keys() == two.keys()
        assert [k for k in one if one[k] != two[k]]

    def test_what_another_process_cannot_know_is_left_out(self):
        assert describe_value("f", lambda x: x) == {}

    def test_it_can_be_written(self):
        found = describe_value("rule", presets.exact(100)) | describe_value("model", tiny())
        assert json.loads(json.dumps(found)) == found
