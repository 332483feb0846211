"""Sweeps: every combination is checked first, what is done is kept, what fails is told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from graphcolumns.cli import main
from graphcolumns.cli.compose import compose

TINY = [
    *("geometry=sheet", "geometry.height=4", "geometry.width=4", "graph=nearest", "degree=3"),
    *("model.channels=4", "model.depth=1", "model.heads=1", "model.interface.stride=2", "steps=4"),
    *("data.train_size=60", "batch_size=8", "progress=false", "report=false"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine/experiment").mkdir(parents=True)
    # What all runs share stands in a file, so that folders are named by the rest.
    write_tiny("augmentation: null")


def write_tiny(*lines: str) -> None:
    """The experiment `tiny`."""
    values: dict = {}
    groups = {}
    for key, _, text in (item.partition("=") for item in TINY):
        if key in ("geometry", "graph"):
            groups[f"override /{key}"] = text
            continue
        place = values
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(text)
    body = {"defaults": [{key: value} for key, value in groups.items()], **values, "name": "tiny"}
    text = yaml.safe_dump(body, sort_keys=False)
    Path("mine/experiment/tiny.yaml").write_text("\n".join(["# @package _global_", text, *lines]))


def sweep(*overrides: str, folder: str = "s") -> int:
    words = ["--config-dir", "mine", "experiment=tiny", f"hydra.sweep.dir={folder}"]
    return main(["train", "-m", *words, *overrides])


def folders(folder: str = "s") -> list[str]:
    found = (path.parent.name for path in Path(folder).rglob("summary.json"))
    return sorted(name.replace("experiment=tiny,", "") for name in found)


def run_of(*overrides: str) -> Path:
    return Path("s", ",".join(sorted(["experiment=tiny", *overrides])))


def test_an_option_of_the_groups_that_are_varied():
    few = ["plasticity.samples=8", "plasticity.check_samples=8"]
    assert sweep("plasticity=rigl,set", "plasticity.every=2", *few) == 0
    runs = list(Path("s").glob("*/config.yaml"))
    rules = [yaml.safe_load(path.read_text())["plasticity"] for path in runs]
    assert {rule["_target_"].rpartition(".")[2] for rule in rules} == {"rigl", "set"}
    assert [rule["every"] for rule in rules] == [2, 2]
    updates = [json.loads((path.parent / "summary.json").read_text())["updates"] for path in runs]
    assert updates == [1, 1]


# A key that some choices of a group have, with one that has it and one that has not.
LACKING = [
    ("geometry", "sheet,stack", "height=3", "geometry=stack"),
    ("graph", "random,complete", "seed=3", "graph=complete"),
    ("plasticity", "rigl,static", "every=2", "plasticity=static"),
    ("plasticity", "null,rigl", "every=2", "plasticity=null"),
    ("plasticity", "rigl,set", "per_grow=2", "plasticity=set"),
    ("data", "digits,matching", "split=halves", "data=matching"),
    ("budget", "parameters,flops", "x=1", "budget=parameters"),
]


@pytest.mark.parametrize(("group", "varied", "option", "lacking"), LACKING)
def test_a_choice_without_the_option_is_named_before_anything_runs(
    capsys, group, varied, option, lacking
):
    assert sweep(f"{group}={varied}", f"{group}.{option}", "seed=0,1") == 2
    key = option.partition("=")[0]
    error = capsys.readouterr().err
    assert f"unknown key '{group}.{key}'" in error
    assert f"(in the run experiment=tiny {lacking} {group}.{option} seed=0" in error
    assert not Path("s").exists()


def test_every_combination_is_checked_not_one_key_at_a_time(capsys):
    # Each key alone is right beside the first value of the other.
    assert sweep("plasticity=rigl,static", "+plasticity.grace=1,2") == 2
    error = capsys.readouterr().err
    assert "plasticity=static +plasticity.grace=1" in error
    assert "and in 1 more of 4" in error
    assert not Path("s").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("swept", "names"),
    [
        ("plasticity=null,static", ["plasticity=null", "plasticity=static"]),
        ("graph=glob(n*)", ["graph=nearest"]),
        ("graph=glob([is*,com*])", ["graph=complete", "graph=isolated"]),
        ("seed=range(3,5)", ["seed=3", "seed=4"]),
        ("seed=choice(5,4)", ["seed=4", "seed=5"]),
        ("seed=7,7", ["seed=7"]),
    ],
)
def test_ways_to_say_what_is_varied(swept, names):
    assert sweep(swept) == 0
    assert folders() == names


def test_adding_a_seed_runs_only_what_is_missing(capsys):
    assert sweep("seed=0,1") == 0
    assert "2 runs: 0 kept, 2 done now, 0 failed." in capsys.readouterr().out
    before = {path: path.read_bytes() for path in Path("s").rglob("*") if path.is_file()}
    times = {path: path.stat().st_mtime_ns for path in before}
    assert sweep("seed=0,1,2") == 0
    out = capsys.readouterr().out
    assert "3 runs: 2 done before and kept, 0 to continue, 1 to start." in out
    assert "3 runs: 2 kept, 1 done now, 0 failed." in out
    assert folders() == ["seed=0", "seed=1", "seed=2"]
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in before} == times
    assert sweep("seed=0,1,2") == 0
    assert "3 runs: 3 kept, 0 done now, 0 failed." in capsys.readouterr().out


def test_what_does_not_change_a_result_may_differ(capsys):
    assert sweep("seed=0") == 0
    write_tiny("augmentation: null", "tensorboard: false")
    text = Path("mine/experiment/tiny.yaml").read_text()
    Path("mine/experiment/tiny.yaml").write_text(text.replace("report: false", "report: true"))
    assert sweep("seed=0") == 0
    assert "1 runs: 1 kept" in capsys.readouterr().out


def test_a_folder_of_another_configuration_is_never_touched(capsys):
    assert sweep("seed=0") == 0
    before = Path(run_of("seed=0"), "summary.json").read_bytes()
    text = Path("mine/experiment/tiny.yaml").read_text()
    Path("mine/experiment/tiny.yaml").write_text(text.replace("steps: 4", "steps: 5"))
    capsys.readouterr()
    assert sweep("seed=0,1") == 2
    error = capsys.readouterr().err
    assert "s/experiment=tiny,seed=0 holds a run of another configuration" in error
    assert "steps is 4 there and 5 here. Choose another folder: hydra.sweep.dir=FOLDER." in error
    assert Path(run_of("seed=0"), "summary.json").read_bytes() == before
    assert folders() == ["seed=0"]  # nothing was started


def test_foreign_files_are_never_touched(capsys):
    run_of("seed=1").mkdir(parents=True)
    (run_of("seed=1") / "thesis.txt").write_text("mine")
    assert sweep("seed=0,1") == 2
    assert "seed=1 is not empty, and nothing is overwritten" in capsys.readouterr().err
    assert folders() == []


@pytest.mark.slow
def test_a_run_that_was_killed_continues(capsys):
    assert sweep("seed=0", "checkpoint_every=2", "steps=40", folder="whole") == 0
    command = [sys.executable, "-m", "graphcolumns.cli", "train", "-m", "--config-dir", "mine"]
    command += ["experiment=tiny", "hydra.sweep.dir=s", "seed=0", "checkpoint_every=2", "steps=40"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    run = run_of("seed=0", "checkpoint_every=2", "steps=40")
    metrics = run / "metrics.jsonl"
    try:
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "summary.json").exists()
    capsys.readouterr()
    assert sweep("seed=0,1", "checkpoint_every=2", "steps=40") == 0
    assert "0 done before and kept, 1 to continue, 1 to start" in capsys.readouterr().out
    for name in ("metrics.jsonl", "checkpoint/model.safetensors"):
        assert (run / name).read_bytes() == (Path("whole") / run.name / name).read_bytes()


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_a_run_that_fails_is_told_and_the_others_run(capfd, launcher):
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [f"hydra/launcher={launcher}"]
    words += ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    assert sweep("model.heads=1,3,2", *words) == 1
    captured = capfd.readouterr()
    assert folders() == ["model.heads=1", "model.heads=2"]
    assert "3 runs: 0 kept, 2 done now, 1 failed." in captured.out
    said = captured.err[captured.err.index("failed: ") :]
    assert said.startswith("failed: experiment=tiny model.heads=3\n  ValueError: ")
    assert "heads must divide channels" in said
    log = said.rpartition("  log: ")[2].strip()
    assert log == "s/experiment=tiny,model.heads=3/error.log"
    assert "Traceback (most recent call last)" in Path(log).read_text()
    # It is tried again, and it can be mended where it failed.
    assert sweep("model.heads=1,3", *words) == 1
    assert "2 runs: 1 kept, 0 done now, 1 failed." in capfd.readouterr().out
    text = Path("mine/experiment/tiny.yaml").read_text()
    Path("mine/experiment/tiny.yaml").write_text(text.replace("channels: 4", "channels: 6"))
    assert sweep("model.heads=3") == 0
    assert not Path(log).exists()


@pytest.mark.slow
def test_a_process_that_dies_is_told(capfd):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    Path("deadly.py").write_text("import os\n\ndef data(code):\n    os._exit(code)\n")
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "data._target_=deadly.data"]
    keys = [f"~data.{key}" for key in compose([])["data"] if key != "_target_"]
    assert sweep(*words, *keys, "+data.code=3", "seed=0,1") == 1
    error = capfd.readouterr().err
    assert "its process ended without a word; out of memory?" in error


def test_names_that_no_file_system_takes(capsys):
    long = "x" * 300
    Path("has space").mkdir()
    assert sweep(f"name={long}", "seed=0") == 0
    assert (
        sweep("name='a/b [c] é'", "+model.interface.blur=0", "seed=0,1") == 2
    )  # blur is there already
    assert sweep("name='a/b [c] é'", "model.interface.blur=0", "seed=0,1") == 0
    runs = [path.parent for path in Path("s").rglob("summary.json")]
    assert len(runs) == 3
    assert all(run.parent == Path("s") for run in runs)
    told = [yaml.safe_load((run / "overrides.yaml").read_text()) for run in runs]
    assert [f"name={long}" in overrides for overrides in told].count(True) == 1
    assert [yaml.safe_load((run / "config.yaml").read_text())["name"] for run in runs].count(
        "a/b [c] é"
    ) == 2
    assert sweep("name='a/b [c] é'", "model.interface.blur=0", "seed=0,1") == 0
    assert "2 runs: 2 kept" in capsys.readouterr().out


def test_a_folder_of_ones_own_name(capsys):
    own = "hydra.sweep.subdir=${degree}/${hydra.job.num}"
    assert sweep("degree=2,3", own) == 0
    assert sorted(map(str, Path("s").rglob("summary.json"))) == [
        "s/2/0/summary.json",
        "s/3/1/summary.json",
    ]
    assert sweep("seed=0,1", "hydra.sweep.subdir=${degree}", folder="o") == 2
    assert "every run of a sweep needs a folder of its own. Got o/3 for" in capsys.readouterr().err
    assert sweep("seed=0,1", f"hydra.sweep.subdir={'y' * 300}-${{seed}}", folder="o") == 2
    assert "a name in a path may have 255 bytes. Got 302 in" in capsys.readouterr().err
    assert not Path("o").exists()


def test_what_an_experiment_varies_itself(capsys):
    write_tiny("augmentation: null", "hydra: {sweeper: {params: {seed: '0,1', degree: '2,3'}}}")
    assert sweep() == 0
    assert len(folders()) == 4
    assert sweep("seed=1") == 0  # said twice: the command line counts
    assert "2 runs: 2 kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimizer.lr=interval(0,1)"], "a sweep runs every combination, so it needs a list"),
        (["geometry=null,sheet"], "geometry must be one of its choices. Got null."),
        (["plasticity=rigl,sets"], "unknown choice 'sets' for plasticity. Did you mean 'set'?"),
        (["seed=0,1.5"], "seed must be a whole number. Got 1.5."),
        (["seed=0,1", "run=x"], "say hydra.sweep.dir=FOLDER"),
        (["seed=0,1", "hydra/launcher=joblip"], "Did you mean 'joblib'?"),
    ],
)
def test_mistakes_are_told_before_anything_runs(capsys, arguments, message):
    assert sweep(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not Path("s").exists()


def test_ctrl_c(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("graphcolumns.cli.member.run_training", interrupted)
        assert sweep("seed=0,1") == 130
    assert "the same command continues" in capsys.readouterr().err
    assert sweep("seed=0,1") == 0
