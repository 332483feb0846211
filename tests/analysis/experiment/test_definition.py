"""Reading an experiment: shorthands, defaults, and what is refused."""

import pytest

from graphcolumns.analysis.experiment import read_experiment
from graphcolumns.analysis.experiment.definition import Choose
from tests.analysis.experiment.support.definitions import TINY, written


def test_read(tmp_path):
    found = read_experiment(written(tmp_path), ("z=3",))
    assert found.name == "tiny"
    assert found.base == ("a=1", "z=3")
    plain, rich, whole = found.arms.values()
    assert plain.overrides == ()
    assert plain.variants == {"1%": ("e=1",), "2%": ("e=2",)} == rich.variants
    assert plain.grid == {"lr": (0.1, 0.2, 0.3, 0.4)}
    assert rich.grid == {"c": (1, 2), "d": (True, None)}
    assert whole.variants == {"all": ("e=9",)}
    assert (plain.tuned_on("1%"), whole.tuned_on("all")) == ("2%", "all")
    assert found.seeds == (0, 1, 2)
    assert (found.measure.x, found.measure.also) == ("edges", ("churn",))


def test_each_variant_can_be_tuned_on_its_own(tmp_path):
    arms = TINY["arms"] | {"plain": {"overrides": [], "tuned_on": None}}
    found = read_experiment(written(tmp_path, arms=arms))
    assert found.arms["plain"].tuned_on("1%") == "1%"


def test_without_tuning_grids_do_not_matter(tmp_path):
    arms = {"plain": [], "rich": {"overrides": [], "grid": {"c": [1]}}}
    for found in (
        read_experiment(written(tmp_path, arms=arms, tuning=None)),
        read_experiment(written(tmp_path, arms=arms), tune=False),
    ):
        assert found.tuning is None
        assert found.arms["rich"].grid == {}


def _choosing(**choose):
    return {"tuning": TINY["tuning"] | {"choose": choose}}


def test_how_a_trial_is_chosen(tmp_path):
    assert read_experiment(written(tmp_path)).tuning.choose is None
    found = read_experiment(written(tmp_path, **_choosing(largest="c", within=0)))
    assert found.tuning.choose == Choose("c", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [0]}, "has the unknown key sedes. Keys: claim, falsified_if, base"),
        ({"baseline": "poor"}, "baseline must be one of the arms plain, rich, whole. Got 'poor'"),
        ({"seeds": [0, 0]}, "seeds must be different whole numbers"),
        ({"seeds": []}, "seeds must be different whole numbers"),
        ({"base": ["a"]}, r"base must be a list of KEY=VALUE"),
        ({"arms": ["plain"]}, "arms must be keys with values"),
        ({"measure": {"z": "edges"}}, "measure has the unknown key z"),
        ({"tuning": TINY["tuning"] | {"seed": 1}}, "tuning.seed must not be one of the seeds"),
        (
            {"tuning": TINY["tuning"] | {"grid": {"lr": [1, 2, 3]}}},
            "every arm gets the same tuning budget: the grid of plain must have "
            "tuning.trials=4 combinations. Got 3",
        ),
        (
            {"tuning": TINY["tuning"] | {"tuned_on": "3%"}},
            "arm plain is to be tuned on '3%' and has no such variant",
        ),
        (_choosing(within=0.1), "tuning.choose lacks largest"),
        (_choosing(largest="strength", within=0.1), "must be in a grid. Got 'strength'"),
        (_choosing(largest="c", within=1), "within must be a share from 0 to 1. Got 1"),
        (_choosing(largest="d", within=0), r"needs numbers to compare. Got d = \[True, None\]"),
        (
            _choosing(largest="lr", within=0.1),
            "compares with the baseline in the same variant. Got all of whole, which plain lacks",
        ),
    ],
)
def test_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_experiment(written(tmp_path, **changes))


def test_a_falsifier_must_be_said(tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("falsified_if", "hope"))
    with pytest.raises(ValueError, match="lacks falsified_if and has the unknown key hope"):
        read_experiment(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no experiment"):
        read_experiment(tmp_path / "no.yaml")
    (tmp_path / "no.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="is no YAML"):
        read_experiment(tmp_path / "no.yaml")
