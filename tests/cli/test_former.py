"""Configurations of earlier versions, in the words of today."""

import re
from pathlib import Path

import pytest
import yaml

from graphcolumns.cli import load, main
from graphcolumns.cli.former import EARLIER, MOVED, OURS, renamed, upgrade
from graphcolumns.cli.targets import function_of
from graphcolumns.models.options.former import FORMER

TINY = [
    *("geometry=sheet", "geometry.height=4", "geometry.width=4", "graph=nearest", "degree=3"),
    *("model.channels=4", "model.depth=1", "model.heads=1", "model.interface.stride=2", "steps=4"),
    *("data.train_size=60", "batch_size=8", "progress=false", "report=false"),
    *("augmentation=null", "evaluate_test=false"),
]
EDGE_ADAMW = "optimizer._target_=graphcolumns.plasticity.state.edge_adamw.EdgeAdamW"
PLASTIC = [
    "plasticity=rigl",
    "plasticity.every=2",
    "plasticity.samples=16",
    "plasticity.check_samples=0",
]


@pytest.mark.parametrize("was", MOVED)
def test_what_moved_is_where_it_says(was):
    now = OURS + MOVED[was]
    parent, _, name = now.rpartition(".")
    try:
        assert callable(function_of(now))
    except Exception:  # a module, whose functions are named below it
        module = __import__(parent, fromlist=[name])
        assert hasattr(module, name)
    assert renamed(OURS + was) == now
    assert renamed(f"{OURS}{was}.below") == f"{now}.below"
    assert renamed(now) == now, "a name of today must stay"


def test_whole_names_only():
    assert renamed("graphcolumns.plasticity.rules.x") == "graphcolumns.plasticity.rules.x"
    assert renamed("mine.plasticity.rule.Rule") == "mine.plasticity.rule.Rule"


def test_upgrade_finds_every_target_and_fills_what_is_missing():
    config = {
        "model": {"_target_": "graphcolumns.models.columnformer.staged", "depths": [1]},
        "losses": {"own": [{"_target_": "graphcolumns.train.losses.squared_error"}, 2]},
    }
    upgraded = upgrade(config)
    assert upgraded == EARLIER | {
        "model": {"_target_": "graphcolumns.models.staged_columnformer.staged", "depths": [1]},
        "losses": {"own": [{"_target_": "graphcolumns.data.losses.squared_error"}, 2]},
    }
    assert upgrade(upgraded) == upgraded
    assert config["model"]["_target_"].endswith("columnformer.staged"), (
        "what is given is not changed"
    )


def test_a_function_that_is_gone_says_what_to_do():
    gone = {"_target_": "graphcolumns.plasticity.samplers.nowhere"}
    with pytest.raises(ValueError, match=r"plasticity\.sampler\._target_.*CHANGELOG.*config\.yaml"):
        upgrade({"plasticity": {"sampler": gone}})
    assert upgrade({"model": {"_target_": "mine.nowhere"}})["model"]["_target_"] == "mine.nowhere"


FLAT = {
    "_target_": "graphcolumns.models.columnformer.sheet",
    "channels": 4,
    **{"attention": "mixing", "edge_bias": "both", "weights": "lowrank", "mlp_weights": None},
    **{"patch": 3, "readout": "mean", "wiring": None, "wiring_power": 2.0, "memory": "store"},
}
GROUPED = {
    "_target_": "graphcolumns.models.columnformer.sheet",
    "channels": 4,
    "attention": {"mode": "mixing", "edge_bias": "both"},
    "weights": {"attention": "lowrank", "mlp": None},
    "interface": {"patch": 3, "readout": "mean"},
    "cost": {"wiring": None, "power": 2.0, "memory": "store"},
}


def test_options_of_a_model_are_put_in_their_groups():
    assert upgrade({"model": FLAT})["model"] == GROUPED
    assert upgrade({"model": GROUPED})["model"] == GROUPED
    mixed = GROUPED | {"weights": {"rank": 2}, "mlp_weights": "shared"}
    assert upgrade({"model": mixed})["model"]["weights"] == {"rank": 2, "mlp": "shared"}


def test_options_of_several_sheets_too_and_of_no_other_model():
    staged = {"_target_": "graphcolumns.models.columnformer.staged", "hidden": 8, "depths": [1]}
    assert upgrade({"model": staged})["model"] == {
        "_target_": "graphcolumns.models.staged_columnformer.staged",
        "weights": {"hidden": 8},
        "depths": [1],
    }
    own = {"_target_": "mine.model", "hidden": 8, "weights": "shared"}
    assert upgrade({"model": own})["model"] == own


def test_a_run_of_an_earlier_version_is_resumed_scored_and_read(tmp_path, capsys):
    run = tmp_path / "a"
    assert main(["train", *TINY, *PLASTIC, f"+{EDGE_ADAMW}", f"run={run}"]) == 0
    _as_before(run / "config.yaml")
    capsys.readouterr()
    assert main(["resume", str(run), "steps=6"]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert load(run).graph.num_columns == 16
    assert "accuracy" in capsys.readouterr().out
    assert (run / "metrics.jsonl").read_text().count("\n") == 6


def test_options_of_rules_get_their_names_of_today():
    preset = {"_target_": "graphcolumns.plasticity.presets.custom", "check": 8, "skip": True}
    before = preset | {
        "share": 0.1,
        "newborn": "zero",
        "grow": {"_target_": "graphcolumns.plasticity.grow.insertion", "errors": 2.0},
        "sampler": {"_target_": "mine.draw", "share": 0.5},
    }
    upgraded = upgrade({"plasticity": before})["plasticity"]
    assert upgraded == {
        "_target_": "graphcolumns.plasticity.presets.custom",
        "check_samples": 8,
        "skip_optimizer_step": True,
        "epsilon_share": 0.1,
        "first_value": "zero",
        "grow": {
            "_target_": "graphcolumns.plasticity.criteria.insertion_gain",
            "standard_errors": 2.0,
        },
        "sampler": {"_target_": "mine.draw", "share": 0.5},
    }
    mine = {"_target_": "mine.rule", "check": 8}
    assert upgrade({"plasticity": mine})["plasticity"] == mine, "not a function of the library"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("prune.mass", "mass"),
        ("prune.bias", "weight_size"),
        ("grow.random", "chance"),
        ("criteria.prune.taylor", "deletion_cost"),
        ("scores.rigl_abs", "gradient_size"),
        ("scores.grow.distance", "distance_kernel"),
        ("homeostasis.remember", "homeostasis.update_memory"),
    ],
)
def test_criteria_are_in_one_catalogue(was, now, capsys):
    """Read with the name of today in a run, refused with it on a command line."""
    today = f"graphcolumns.plasticity.criteria.{now}"
    node = {"_target_": f"graphcolumns.plasticity.{was}", "_partial_": True}
    assert upgrade({"plasticity": {"prune": node}})["plasticity"]["prune"]["_target_"] == today
    custom = ["plasticity=custom", f"plasticity.prune._target_=graphcolumns.plasticity.{was}"]
    assert main(["train", *TINY, *custom]) != 0
    assert f"It is now {today}." in capsys.readouterr().err


def test_values_of_options_get_their_names_of_today():
    fisher = {"_target_": "graphcolumns.plasticity.prune.fisher_taylor", "own": False}
    rigl = {"_target_": "graphcolumns.plasticity.presets.rigl", "magnitude": "bias"}
    upgraded = upgrade({"plasticity": rigl | {"prune": fisher}})["plasticity"]
    assert upgraded["magnitude"] == "weight"
    assert upgraded["prune"] == {
        "_target_": "graphcolumns.plasticity.criteria.fisher_taylor",
        "curvature": "labels",
    }
    mine = {"_target_": "mine.rule", "magnitude": "bias"}
    assert upgrade({"plasticity": mine})["plasticity"] == mine


def test_a_key_of_an_earlier_version_is_refused_with_its_name_of_today(capsys):
    for more in (["plasticity.check=8"], ["++plasticity.check=8"], ["++plasticity.when=8"]):
        assert main(["train", *TINY, "plasticity=rigl", *more]) != 0
        said = capsys.readouterr().err
        assert re.search(r"is now '?(plasticity\.)?(check_samples|is_due)", said), said


def _as_before(path: Path) -> None:
    """Write a configuration as an earlier version did, with its names."""
    config = yaml.safe_load(path.read_text())
    for key in EARLIER:
        del config[key]
    config["reorder"] = None  # what it was trained with
    config["optimizer"]["_target_"] = "graphcolumns.plasticity.edge_adamw.EdgeAdamW"
    config["plasticity"]["check"] = config["plasticity"].pop("check_samples")
    config["model"] = _flat(config["model"])
    path.write_text(yaml.safe_dump(config))


def _flat(model: dict) -> dict:
    """The options of a columnformer side by side, under their old names."""
    groups = {now.partition(".")[0] for now in FORMER.values()}
    flat = {key: value for key, value in model.items() if key not in groups}
    for was, now in FORMER.items():
        group, _, field = now.partition(".")
        if field in model[group]:
            flat[was] = model[group][field]
    return flat
