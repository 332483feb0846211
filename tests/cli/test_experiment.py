"""`graphcolumns experiment`: arms x seeds, resumed from its own rows, tuned, compared."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from graphcolumns.cli import main
from graphcolumns.cli.compose import compose
from graphcolumns.cli.experiment import _check
from graphcolumns.cli.help import choices
from graphcolumns.cli.script import Script
from graphcolumns.cli.suite import SUITE, read, script
from graphcolumns.cli.workers import Workers

BASE = [
    *("experiment=digits", "geometry=sheet", "geometry.height=4", "geometry.width=4"),
    *("model.channels=4", "model.heads=1", "model.depth=1", "data.train_size=60"),
    *("model.interface.stride=2", "augmentation=null", "batch_size=8", "steps=2"),
]
TINY = {
    "claim": "more edges help",
    "falsified_if": "they do not",
    "base": BASE,
    "arms": {"near": ["graph=nearest"], "far": ["graph=random"]},
    "baseline": "near",
    "variants": {"2": ["degree=2"], "4": ["degree=4"]},
    "seeds": [0, 1],
    "tuning": None,
    "measure": {"x": "edges"},
}
RUN = ["experiment", "tiny.yaml", "processes=0"]  # in this process, where a start costs nothing


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write()


def write(**changes):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | changes, sort_keys=False))


def rows(out="runs/experiments/tiny"):
    with Path(out, "rows.csv").open() as file:
        return list(csv.DictReader(file))


def test_arms_by_variants_by_seeds(capsys):
    assert main([*RUN, "out=o"]) == 0
    out, found = capsys.readouterr().out, rows("o")
    assert len(found) == 2 * 2 * 2
    assert {row["status"] for row in found} == {"ok"}
    assert {(row["variant"], row["edges"]) for row in found} == {("2", "32"), ("4", "64")}
    assert all(float(row["test_accuracy"]) >= 0 for row in found)
    assert len({row["wiring_length"] for row in found if row["arm"] == "far"}) > 2  # a graph a seed
    assert "| far | 4 | " in out
    assert out.endswith("o/rows.csv\no/table.md\no/figure.png\n")
    assert Path("o/table.md").read_text() in out
    assert Path("o/figure.png").read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in Path("o").rglob("*") if path.is_file()}
    locks = {"rows.csv.lock", "seed0.lock", "seed1.lock"}
    assert names == locks | {"rows.csv", "table.md", "figure.png", "definition.yaml"}


def test_a_row_that_is_there_is_never_run_again(capsys):
    assert main([*RUN, "--seeds", "0", "--variants", "2", "--only", "far", "keep_runs=true"]) == 0
    (first,) = rows()
    (kept,) = Path("runs/experiments/tiny/runs").rglob("summary.json")
    kept.unlink()
    assert main([*RUN, "--only", "far"]) == 0
    assert rows()[0] == first  # also its seconds
    assert not kept.exists()
    assert [(row["arm"], row["variant"], row["seed"]) for row in rows()] == [
        ("far", variant, seed) for variant, seed in (("2", "0"), ("4", "0"), ("2", "1"), ("4", "1"))
    ]


def test_as_graphcolumns_train_does(capsys):
    assert main([*RUN, "--seeds", "1", "--variants", "4", "--only", "far"]) == 0
    assert main(["experiment", "tiny.yaml", "--dry-run", "--only", "far"]) == 0
    (row,) = rows()
    overrides = [*BASE, "graph=random", "degree=4", "seed=1", "run=t", "report=false"]
    assert main(["train", *overrides, "progress=false"]) == 0
    summary = yaml.safe_load(Path("t/summary.json").read_text())
    for name in ("test_accuracy", "test_loss", "train_loss", "wiring_length"):
        assert float(row[name]) == summary[name]


@pytest.mark.slow
def test_a_failed_arm_is_a_row(capsys):
    write(arms=TINY["arms"] | {"odd": ["model.heads=3"]})
    assert main(RUN) == 0
    out = capsys.readouterr().out
    failed = [row for row in rows() if row["status"] == "failed"]
    assert {(row["arm"], row["edges"]) for row in failed} == {("odd", "")}
    assert len(failed) == 4
    assert len(rows()) == 12
    assert failed[0]["error"].startswith("ValueError: ")
    assert "4 runs failed:" in out
    assert main(RUN) == 0
    assert len(rows()) == 12
    write(arms=TINY["arms"] | {"odd": ["model.heads=2"]})
    assert main([*RUN, "--retry"]) == 2  # what is asked for now is something else
    assert "another definition" in capsys.readouterr().err


def test_retry_runs_again_what_failed(monkeypatch):
    def no_space(*_):
        raise OSError("no space left")

    filters = ["--seeds", "0", "--variants", "2"]
    assert main([*RUN, *filters, "--only", "far"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr("graphcolumns.cli.workers.run_training", no_space)
        assert main([*RUN, *filters]) == 0
    assert main([*RUN, *filters]) == 0
    good, failed = rows()
    assert failed["error"] == "OSError: no space left"
    assert main([*RUN, *filters, "--retry"]) == 0
    assert rows()[0] == good
    assert [(row["arm"], row["status"]) for row in rows()] == [("far", "ok"), ("near", "ok")]


@pytest.mark.slow
def test_tuning_picks_the_better(capsys):
    tuning = {"trials": 2, "seed": 100, "fold": 0, "tuned_on": "4", "grid": {"steps": [1, 40]}}
    write(tuning=tuning, base=[*BASE, "optimizer.lr=0.01"], seeds=[0])
    assert main([*RUN, "--only", "near"]) == 0
    trials = [row for row in rows() if row["kind"] == "tune"]
    final = [row for row in rows() if row["kind"] == "final"]
    assert [(row["variant"], row["seed"], row["trial"]) for row in trials] == [
        ("4", "100", "0"), ("4", "100", "1")
    ]  # fmt: skip
    scores = [float(row["validation_accuracy"]) for row in trials]
    assert scores[0] < scores[1]
    assert {row["test_accuracy"] for row in trials} == {""}  # nobody looked
    assert [(row["tuned"], row["steps"], row["variant"]) for row in final] == [
        ("steps=40", "40", "2"), ("steps=40", "40", "4")
    ]  # fmt: skip
    assert "| near | 4 | `steps=40` |" in capsys.readouterr().out
    assert main([*RUN, "tuning=null", "out=o", "--only", "near"]) == 0
    assert {(row["kind"], row["steps"]) for row in rows("o")} == {("final", "2")}


def test_what_would_run(capsys):
    assert main([*RUN, "--dry-run", "--only", "far"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("4 runs: 0 to tune, 4 to report; 0 are done.\n")
    command = out.splitlines()[-1].split()
    assert command[:2] == ["graphcolumns", "train"]
    assert compose(command[2:])["graph"]["degree"] == 2
    assert not Path("runs").exists()


def test_a_foreign_csv_is_refused(capsys):
    assert main([*RUN, "--seeds", "0", "--only", "near"]) == 0
    before = Path("runs/experiments/tiny/rows.csv").read_bytes()
    capsys.readouterr()
    assert main([*RUN, "steps=3"]) == 2
    assert "written by another definition of this experiment" in capsys.readouterr().err
    assert Path("runs/experiments/tiny/rows.csv").read_bytes() == before
    assert main([*RUN, "steps=3", "out=o", "--seeds", "0", "--only", "near"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment", "bugdet"], "unknown experiment 'bugdet'. Did you mean 'budget'?"),
        (["experiment", "no.yaml"], "there is no experiment no.yaml"),
        ([*RUN, "stpes=3"], "unknown key 'stpes'. Did you mean 'steps'?"),
        ([*RUN, "steps"], "write KEY=VALUE"),
        ([*RUN, "processes=-1"], "processes must be a whole number, 0 or more. Got '-1'"),
        ([*RUN, "keep_runs=3"], "keep_runs must be true or false"),
        ([*RUN, "tuning=3"], "tuning can only be switched off"),
        ([*RUN, "--only", "nobody"], "there is no arm 'nobody'"),
    ],
)
def test_slips(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_without_a_name_there_is_a_list(capsys):
    assert main(["experiment"]) == 0
    out = capsys.readouterr().out
    for name in choices(SUITE):
        assert f"\n  {name}\n    " in out


SCRIPTS = [name for name in choices(SUITE) if script(name) is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in choices(SUITE) if name not in SCRIPTS])
def test_every_shipped_experiment_composes(name):
    definition = read(name)
    if definition.tuning is None:  # the definition says why
        text = (files("graphcolumns.configs") / SUITE / f"{name}.yaml").read_text()
        assert re.search(r"^tuning: null # \w+", text, re.MULTILINE)
    assert len(definition.seeds) == 5
    _check(definition, None)


@pytest.mark.slow
def test_killed_it_loses_only_what_was_in_flight():
    write(seeds=list(range(8)))
    command = [sys.executable, "-m", "graphcolumns.cli", "experiment", "tiny.yaml", "processes=1"]
    csv_file = Path("runs/experiments/tiny/rows.csv")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (csv_file.exists() and csv_file.read_bytes().count(b"\n") > 2):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = rows()
    assert 2 <= len(before) < 32
    assert main(RUN) == 0
    assert rows()[: len(before)] == before
    keys = [(row["arm"], row["variant"], row["seed"]) for row in rows()]
    assert len(set(keys)) == len(keys) == 32


@pytest.mark.slow
def test_a_process_that_dies_is_a_failed_run():
    with Workers(1, eval) as workers:
        found = dict(workers.execute(["6 * 7", "__import__('os')._exit(1)"]))
    assert found[0] == 42
    assert found[1] == {"status": "failed", "error": "its process died twice; out of memory?"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_would_run(capsys, name):
    assert main(["experiment", name, "--dry-run", "out=somewhere"]) == 0
    words = capsys.readouterr().out.split()
    assert words[0] == sys.executable
    assert not any("{out}" in word for word in words)
    # of the tests' own tree: an installed wheel has none
    tree = Path(__file__).parents[2]
    assert all((tree / word).exists() for word in words if word.startswith("tests/"))
    assert not Path("somewhere").exists()


@pytest.mark.parametrize("given", [["steps=3"], ["processes=4"], ["--seeds", "0"], ["--retry"]])
def test_a_script_takes_no_options_of_arms(capsys, given):
    assert main(["experiment", "scores", *given]) == 2
    message = capsys.readouterr().err
    assert f"only out=FOLDER and --dry-run can be given. Got {given[0]}" in message


def test_a_script_is_run_after_its_claim(capfd):
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('done'); sys.exit(3)"
    command = ("python", "-c", write, "{out}/result")
    status = Script("mine", "it runs", "it does not", command).run(Path("there"))
    assert status == 3
    assert Path("there/result").read_text() == "done"
    assert capfd.readouterr().out.startswith("Claim. it runs\n\nIt would be false if. it does not")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"claim": "c", "command": ["python"]}, "has the keys claim, command, falsified_if"),
        ({"claim": "c", "falsified_if": "f", "command": "python x"}, "must be a list of words"),
    ],
)
def test_a_script_that_is_none(content, message):
    with pytest.raises(ValueError, match=message):
        Script.of("mine", content)


def test_a_script_of_the_repository_elsewhere():
    command = Script("mine", "c", "f", ("python", "tests/nowhere.py"))
    with pytest.raises(FileNotFoundError, match="run it in a clone of the repository"):
        command.run(Path("there"))
    assert not Path("there").exists()
