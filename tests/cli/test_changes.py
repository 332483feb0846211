"""`graphcolumns resume RUN KEY=VALUE`, paths that stay where they were, and failed starts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcolumns import checkpoint, cli
from graphcolumns.cli import main
from graphcolumns.cli.paths import absolute_paths
from graphcolumns.cli.run_folder import read_config
from tests.cli.test_main import TINY


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run of four steps."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", *TINY, "run=a", "checkpoint_every=2"]) == 0
    return folder


@pytest.fixture
def run(trained):
    """A copy of the run, which each test may change."""
    return Path(shutil.copytree(trained / "a", "a"))


def entries(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_longer_run_with_another_rate(run, capsys):
    assert main(["resume", "a", "steps=6", "optimizer.lr=1e-4"]) == 0
    told = "after step 4: steps 4 -> 6, lr 0.003 -> 0.0001"
    assert f"changes             {told}\n" in capsys.readouterr().out
    assert len(entries(run)) == 6
    assert all(entry["lr"] <= 1e-4 for entry in entries(run)[4:])
    assert json.loads((run / "summary.json").read_text())["changes"] == told
    config = read_config(run)
    assert (config["steps"], config["optimizer"]["lr"]) == (6, 1e-4)
    # Said once, it need not be said again.
    assert main(["resume", "a", "report=true"]) == 0
    assert len(checkpoint.read_changes(run)) == 1
    assert told.replace(">", "&gt;") in (run / "report.html").read_text()
    assert len(cli.load("a").graph.in_degree) == 64


def test_a_change_before_the_first_checkpoint_is_how_the_run_begins(run):
    Path("b").mkdir()
    Path("b/config.yaml").write_text(Path("a/config.yaml").read_text())
    assert main(["resume", "b", "steps=6"]) == 0
    assert main(["resume", "b"]) == 0
    assert len(entries(Path("b"))) == 6
    assert read_config(Path("b"))["steps"] == 6
    assert checkpoint.read_changes(Path("b")) == []


def test_numbers_of_the_optimizer_change_while_edges_do():
    rule = ["plasticity=set", "plasticity.every=2", "plasticity.stop=1.0", "checkpoint_every=2"]
    rule += ["++plasticity.samples=8", "++plasticity.check_samples=0"]
    assert main(["train", *TINY, *rule, "run=a"]) == 0
    before = len(checkpoint.read_history("a"))
    change = ["steps=8", "optimizer.weight_decay=0.4", "optimizer.betas=[0.5,0.9]"]
    assert main(["resume", "a", *change]) == 0
    state = torch.load("a/checkpoint/state.pt", weights_only=True)["optimizer"]
    assert {group["weight_decay"] for group in state["param_groups"]} == {0.0, 0.4}
    assert all(list(group["betas"]) == [0.5, 0.9] for group in state["param_groups"])
    assert len(checkpoint.read_history("a")) > before
    assert main(["evaluate", "a"]) == 0
    assert main(["resume", "a"]) == 0


def test_more_epochs(run):
    assert main(["resume", "a", "epochs=1"]) == 0
    assert len(entries(run)) == 8  # of 60 samples, 8 at a time


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=1"], "seed cannot change when a run is resumed (it decides all samples"),
        (["batch_size=4"], "batch_size cannot change when a run is resumed (batches are cut"),
        (["data.train_size=70"], "data.train_size cannot change"),
        (["graph.degree=4"], "graph.degree cannot change when a run is resumed (the weights"),
        (["model.depth=3"], "model.depth cannot change when a run is resumed (the weights"),
        (["plasticity=rigl"], "plasticity cannot change when a run is resumed (the memory of"),
        (["losses.activity=1"], "losses.activity cannot change when a run is resumed"),
        (["run=b"], "Resume with one of steps, optimizer.lr, "),
        (["steps=2"], "4 steps are done in a. Got steps=2; give at least 4."),
        (["stepz=5"], "unknown key 'stepz'. Did you mean 'steps'?"),
        (["optimizer.lrr=5"], "unknown key 'optimizer.lrr'. Did you mean 'lr'?"),
        (["lr=5"], "unknown key 'lr'"),
        (["steps"], "write KEY=VALUE, such as steps=2000. Got 'steps'."),
        (["+steps=9"], "write KEY=VALUE"),
        (["steps=[9"], "write KEY=VALUE"),
        (["steps=many"], "steps must be a whole number or null. Got 'many'."),
        (["optimizer.lr=-1"], "lr must be above 0"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(run, capsys, overrides, message):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["resume", "a", *overrides]) == 2
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ("seed: 0\n", "seed: 5\n", "seed was 0, now 5"),
        ("batch_size: 8", "batch_size: 9", "batch_size was 8, now 9"),
        ("depth: 2", "depth: 3", "model.depth was 2, now 3"),
        ("train_size: 60", "train_size: 61", "data.train_inputs was float32 (60, 1, 8, 8), now"),
        ("lr: 0.003", "lr: 0.3", "`graphcolumns resume a optimizer.lr=0.3`"),
        ("degrees: 10.0", "degrees: 20.0", "augmentation.degrees was 10, now 20"),
    ],
)
def test_an_edited_configuration_is_noticed(run, capsys, was, now, message):
    config = Path("a/config.yaml")
    assert was in config.read_text()
    config.write_text(config.read_text().replace(was, now))
    assert main(["resume", "a"]) == 2
    assert message in capsys.readouterr().err


def digits(folder: Path, label: int = 3) -> None:
    """An image folder of two classes."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(20):
            pixels = generator.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


IMAGES = [
    *(argument for argument in TINY if not argument.startswith("data")),
    *("data=image_folder", "data.size=8", "data.grey=true"),
]


def test_files_are_found_from_another_folder_too(tmp_path, monkeypatch, capsys):
    digits(tmp_path / "pictures")
    assert main(["train", *IMAGES, "data.path=pictures", "run=a"]) == 0
    assert read_config(Path("a"))["data"]["path"] == str(tmp_path / "pictures")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["resume", "../a", "steps=5"]) == 0
    assert main(["evaluate", "../a"]) == 0


def test_files_that_changed_are_noticed(tmp_path, capsys):
    from PIL import Image

    digits(tmp_path / "pictures")
    assert main(["train", *IMAGES, "data.path=pictures", "run=a"]) == 0
    for name in ("one", "two"):
        for number in range(20):
            Image.new("L", (8, 8), 9).save(tmp_path / "pictures" / name / f"{number}.png")
    assert main(["resume", "a"]) == 2
    err = capsys.readouterr().err
    assert "data.train_inputs.values was" in err
    assert "scores before and after would not be of the same samples" in err


@pytest.mark.parametrize("how", ["chdir", "sweep", "home"])
def test_a_path_means_the_same_wherever_hydra_runs(tmp_path, monkeypatch, how):
    digits(tmp_path / "pictures")
    arguments = {
        "chdir": ["data.path=pictures", "+hydra.job.chdir=true", "run=a"],
        "sweep": ["data.path=./pictures", "seed=0,1", "-m", "hydra.sweep.dir=s",
                  "hydra.sweep.subdir=${seed}", "+hydra.job.chdir=true"],
        "home": ["data.path='~/pictures'", "run=a"],
    }[how]  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["train", *IMAGES, *arguments]) == 0
    for run in (tmp_path / "s/0", tmp_path / "s/1") if how == "sweep" else (tmp_path / "a",):
        assert read_config(run)["data"]["path"] == str(tmp_path / "pictures")


def test_which_texts_are_paths(tmp_path):
    Path("here.txt").touch()
    node = {
        "_target_": "graphcolumns.data.image_folder", "path": "x",
        "other": {"_target_": "builtins.dict", "path": "y", "data_file": "z.npy", "name": "n"},
        "kernel": "gaussian", "note": "here.txt", "absent": "gone.txt", "list": ["here.txt"],
    }  # fmt: skip
    found = absolute_paths(node, tmp_path)
    assert found["path"] == str(tmp_path / "x")
    assert found["other"]["path"] == str(tmp_path / "y")
    assert found["other"]["data_file"] == str(tmp_path / "z.npy")
    assert found["note"] == str(tmp_path / "here.txt")
    assert found["list"] == [str(tmp_path / "here.txt")]
    for name in ("kernel", "absent", "_target_"):
        assert found[name] == node[name]
    assert found["other"]["name"] == "n"


class TestFailedStart:
    """A start that fails leaves nothing in the way of the next."""

    def test_interrupted_before_the_first_checkpoint(self, monkeypatch):
        with monkeypatch.context() as patch:

            def interrupted(*args, **kwargs):
                raise KeyboardInterrupt

            # The package has a function of the name of the module.
            patch.setattr(sys.modules["graphcolumns.checkpoint.save"], "save_file", interrupted)
            assert main(["train", *TINY, "run=a"]) == 130
        assert not Path("a").exists()
        assert main(["train", *TINY, "run=a"]) == 0

    def test_no_data(self, capsys):
        assert main(["train", *IMAGES, "data.path=nowhere", "run=a"]) == 2
        assert not Path("a").exists()

    def test_a_member_of_a_sweep(self, capsys):
        sweep = ["-m", "hydra.sweep.dir=s", "hydra.sweep.subdir=${graph.degree}"]
        base = [argument for argument in TINY if not argument.startswith("graph.degree")]
        for _ in range(2):
            assert main(["train", *base, "graph.degree=3,100", *sweep]) != 0
            assert "degree must be in [1, 64]" in capsys.readouterr().err
            checkpoint.check_free(Path("s/100"))

    def test_killed_while_it_wrote_the_first_checkpoint(self):
        for name in ("checkpoint.tmp", "checkpoint.tmp/deeper"):
            Path("a", name).mkdir(parents=True)
        Path("a/checkpoint.tmp/model.safetensors").write_bytes(b"half")
        Path("a/config.yaml").write_text("half")
        assert main(["train", *TINY, "run=a"]) == 0
        assert {path.name for path in Path("a").iterdir()} == {
            *("checkpoint", "config.yaml", "metrics.jsonl", "summary.json")
        }

    def test_a_run_is_never_forgotten(self, run, capsys):
        before = sorted(run.rglob("*"))
        assert main(["train", *TINY, "run=a"]) == 2
        assert "is not empty" in capsys.readouterr().err
        assert sorted(run.rglob("*")) == before

    def test_a_failed_step_leaves_a_run_that_can_be_resumed(self, monkeypatch, capsys):
        def diverged(*args, **kwargs):
            raise FloatingPointError("loss is not finite")

        with monkeypatch.context() as patch:
            patch.setattr("graphcolumns.training.training.train_step", diverged)
            assert main(["train", *TINY, "run=a"]) == 2
        assert main(["train", *TINY, "run=a"]) == 2
        assert "`graphcolumns resume a`" in capsys.readouterr().err
        assert main(["resume", "a"]) == 0


def test_the_best_checkpoint_from_the_command_line(capsys):
    fold = ["fold=0", "data.train_size=null", "evaluate_every=1", "optimizer.lr=0.05", "best=loss"]
    assert main(["train", *TINY, *fold, "run=a"]) == 0
    summary = json.loads(Path("a/summary.json").read_text())
    assert f"best_step           {summary['best_step']}\n" in capsys.readouterr().out
    assert main(["evaluate", "a", "--which", "best"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["validation_loss"] == pytest.approx(summary["best_validation_loss"], rel=1e-5)
    assert cli.load("a", which="best").graph.same_topology(cli.load("a").graph)


def test_there_is_no_best_without_a_fold(run, capsys):
    assert main(["evaluate", "a", "--which", "best"]) == 2
    assert "there is no best checkpoint in a" in capsys.readouterr().err


@pytest.mark.slow
def test_the_change_survives_a_kill(tmp_path):
    """SIGKILL after the change: a plain resume goes on with it, bit for bit."""
    arguments = [*TINY, "checkpoint_every=1"]
    for run in ("whole", "killed"):
        assert main(["train", *arguments, f"run={run}"]) == 0
    change = ["steps=200", "optimizer.lr=1e-3"]
    command = [sys.executable, "-m", "graphcolumns.cli", "resume", "killed", *change]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while len(entries(Path("killed"))) < 8:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert main(["resume", "killed"]) == 0
    assert main(["resume", "whole", *change]) == 0
    for name in ("checkpoint/model.safetensors", "metrics.jsonl", "changes.jsonl"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes()
