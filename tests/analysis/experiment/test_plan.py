"""Which runs there are, in which order, with which overrides; and which trial wins."""

import pytest

from graphcolumns.analysis.experiment import read_experiment
from graphcolumns.analysis.experiment.plan import (
    Filter,
    arm_fingerprint,
    best_trial,
    final_runs,
    grid_overrides,
    tuning_runs,
)
from tests.analysis.experiment.support.definitions import TINY, scored, written


@pytest.fixture
def experiment(tmp_path):
    return read_experiment(written(tmp_path))


def trials(experiment, **scores):
    """Rows of all trials; `scores` are validation accuracies of an arm, one per trial."""
    return [
        scored(run, validation_accuracy=scores.get(run.arm, [0.5] * 4)[run.trial])
        for run in tuning_runs(experiment)
    ]


def test_every_arm_gets_the_same_trials_once(experiment):
    runs = tuning_runs(experiment)
    assert [(r.arm, r.variant) for r in runs[::4]] == [
        ("plain", "2%"), ("rich", "2%"), ("whole", "all")
    ]  # fmt: skip
    assert len(runs) == len({run.key for run in runs}) == 12
    assert runs[1].overrides == ("a=1", "e=2", "lr=0.2", "seed=100", "fold=0")
    assert {run.seed for run in runs} == {100}


def test_combinations(experiment):
    assert grid_overrides(experiment, "rich") == [
        ("c=1", "d=true"), ("c=1", "d=null"), ("c=2", "d=true"), ("c=2", "d=null")
    ]  # fmt: skip


def test_the_best_trial_is_reported(experiment):
    rows = trials(experiment, plain=[0.1, 0.2, 0.9, 0.3], rich=[0.6, 0.5, 0.4, 0.3])
    runs = final_runs(experiment, rows)
    assert len(runs) == 5 * 3
    assert [run.arm for run in runs[:5]] == ["plain", "plain", "rich", "rich", "whole"]
    assert runs[0].overrides == ("a=1", "e=1", "lr=0.3", "seed=0")
    assert runs[7].overrides == ("a=1", "b=2", "e=1", "c=1", "d=true", "seed=1")
    assert not any("fold" in override for run in runs for override in run.overrides)


def test_ties_go_to_the_lower_loss_and_failures_do_not_count(experiment):
    rows = trials(experiment, plain=[0.5, 0.8, 0.8, 0.9])
    for row, loss in zip(rows, (0.0, 2.0, 1.0, 0.0), strict=False):
        row["validation_loss"] = loss
    rows[3]["status"] = "failed"
    assert best_trial(experiment, rows, "plain", "1%") == ("lr=0.3",)
    losses_only = [row | {"validation_accuracy": None} for row in rows]
    assert best_trial(experiment, losses_only, "plain", "1%") == ("lr=0.1",)


MATCHED = {
    "arms": {
        "plain": [],
        "paid": {"overrides": ["b=2"], "grid": {"strength": [1, 10, 2, 5]}},
    },
    "tuning": TINY["tuning"] | {"choose": {"largest": "strength", "within": 0.1}},
}


@pytest.mark.parametrize(
    ("paid", "strength"),
    [
        ([0.9, 0.7, 0.8, 0.7], 2),  # .8 is just within .1 of .9, the best of the baseline
        ([0.9, 0.8, 0.8, 0.8], 10),
        ([0.5, 0.4, 0.7, 0.6], 2),  # none is: the most accurate
        ([1.0, 0.5, 0.9, 1.0], 5),  # strength counts, not accuracy
    ],
)
def test_the_strongest_at_matched_accuracy(tmp_path, paid, strength):
    matched = read_experiment(written(tmp_path, **MATCHED))
    rows = trials(matched, plain=[0.3, 0.9, 0.8, 0.1], paid=paid)
    assert best_trial(matched, rows, "paid", "1%") == (f"strength={strength}",)
    # The baseline has no strength: its most accurate trial.
    assert best_trial(matched, rows, "plain", "1%") == ("lr=0.2",)


def test_accuracies_that_are_missing_are_not_equal(tmp_path):
    matched = read_experiment(written(tmp_path, **MATCHED))
    rows = [row | {"validation_accuracy": None} for row in trials(matched)]
    with pytest.raises(ValueError, match="Got none in trial 0 of 'plain'"):
        final_runs(matched, rows)


def test_matching_needs_the_trials_of_the_baseline(tmp_path):
    matched = read_experiment(written(tmp_path, **MATCHED))
    runs = tuning_runs(matched, Filter(["paid"], ["1%"]))
    assert {(run.arm, run.variant) for run in runs} == {("paid", "2%"), ("plain", "2%")}
    assert len(runs) == 8
    rows = trials(matched)
    assert len(final_runs(matched, rows, Filter(["paid"]))) == 6
    for row in rows:
        if row["arm"] == "plain":
            row["status"] = "failed"
    assert final_runs(matched, rows) == []


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"arms": MATCHED["arms"] | {"third": ["b=7"]}}, True),
        ({"arms": MATCHED["arms"] | {"plain": ["b=7"]}}, False),  # what is matched
        ({"tuning": MATCHED["tuning"] | {"choose": {"largest": "strength", "within": 0.2}}}, False),
        ({"tuning": TINY["tuning"]}, False),
    ],
)
def test_a_fingerprint_changes_with_what_is_matched(tmp_path, changes, same):
    both = (
        read_experiment(written(tmp_path, **MATCHED)),
        read_experiment(written(tmp_path, "other", **(MATCHED | changes))),
    )
    assert (len({arm_fingerprint(e, "paid", "1%") for e in both}) == 1) is same


def test_an_arm_whose_trials_all_failed_is_not_reported(experiment):
    rows = trials(experiment)
    for row in rows:
        if row["arm"] == "rich":
            row["status"] = "failed"
    assert {run.arm for run in final_runs(experiment, rows)} == {"plain", "whole"}
    assert final_runs(experiment, []) == []


def test_filters(experiment):
    chosen = Filter(["plain", "whole"], ["1%"], [2])
    rows = trials(experiment)
    # What is tuned on another variant is tuned there.
    assert {(r.arm, r.variant) for r in tuning_runs(experiment, chosen)} == {("plain", "2%")}
    (only,) = final_runs(experiment, rows, chosen)
    assert only.key == ("final", "plain", "1%", 2, None)
    for wrong in (Filter(["none"]), Filter(None, ["3%"]), Filter(None, None, [9])):
        with pytest.raises(ValueError, match="in this experiment; it has "):
            final_runs(experiment, rows, wrong) or tuning_runs(experiment, wrong)
    with pytest.raises(ValueError, match="nothing to run"):
        tuning_runs(experiment, Filter(["whole"], ["1%"]))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"seeds": [0, 1, 2, 3]}, True),
        ({"claim": "other"}, True),
        ({"variants": TINY["variants"] | {"5%": ["e=5"]}}, True),
        ({"arms": TINY["arms"] | {"rich": ["b=7"]}}, True),
        ({"base": ["a=2"]}, False),
        ({"variants": {"1%": ["e=7"], "2%": ["e=2"]}}, False),
        ({"variants": {"1%": ["e=1"], "2%": ["e=7"]}}, False),  # where it is tuned
        ({"arms": TINY["arms"] | {"plain": ["b=7"]}}, False),
        ({"tuning": None}, False),
        ({"tuning": TINY["tuning"] | {"fold": 1}}, False),
        ({"tuning": TINY["tuning"] | {"grid": {"lr": [0.1, 0.2, 0.3, 0.5]}}}, False),
    ],
)
def test_a_fingerprint_changes_with_what_decides_a_run(tmp_path, experiment, changes, same):
    other = read_experiment(written(tmp_path, "other", **changes))
    marks = (arm_fingerprint(e, "plain", "1%") for e in (experiment, other))
    assert (len(set(marks)) == 1) is same
