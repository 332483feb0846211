"""The checkpoint with the best validation score is kept, and only by validation."""

import json
from pathlib import Path

import pytest
import torch

from graphcolumns import checkpoint
from graphcolumns.data import Dataset
from graphcolumns.training import train
from graphcolumns.training.best import Criterion, best_metric, better
from tests.training.support.tiny import task, tiny

OPTIONS = {
    **{"steps": 12, "batch_size": 8, "lr": 0.05, "progress": False},
    **{"checkpoint_every": 5, "evaluate_every": 2},
}


def scored(run: Path, name: str) -> dict[int, float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {entry["step"]: entry[name] for entry in lines if name in entry}


@pytest.mark.parametrize(("name", "sign"), [("accuracy", 1), ("loss", -1)])
def test_the_best_checkpoint_is_kept(tmp_path, name, sign):
    run, data = tmp_path / "run", task().validation(0)
    summary = train(tiny(), data, run=run, best=name, **OPTIONS)
    scores = scored(run, f"validation_{name}")
    value = max(scores.values(), key=lambda score: sign * score)
    step = next(step for step in scores if scores[step] == value)
    assert (summary["best_step"], summary[f"best_validation_{name}"]) == (step, value)
    assert checkpoint.read_about(run).best == (step, f"validation_{name}", value)
    model = tiny(seed=5)
    assert checkpoint.load(run, model, which="best").step == step
    last = tiny()
    assert checkpoint.load(run, last).step == 12
    assert torch.equal(model.gain, last.gain) is (step == 12)


def test_killed_and_resumed_keeps_the_same_one(tmp_path):
    data = task().validation(0)
    train(tiny(), data, run=tmp_path / "whole", best="loss", **OPTIONS)

    class Killed(BaseException):
        pass

    real, copies = checkpoint.keep_best, []

    def dying(run):
        copies.append(1)
        if len(copies) == 3:
            raise Killed
        real(run)

    run = tmp_path / "killed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "keep_best", dying)
        with pytest.raises(Killed):
            train(tiny(), data, run=run, best="loss", **OPTIONS)
    train(tiny(seed=3), data, run=run, best="loss", resume=True, **OPTIONS)
    for name in ("checkpoint", "best"):
        for file in ("model.safetensors", "topology.safetensors", "about.json"):
            assert (run / name / file).read_bytes() == (
                tmp_path / "whole" / name / file
            ).read_bytes()


@pytest.mark.parametrize("moment", ["copied", "old renamed"])
def test_a_kill_at_any_moment_leaves_a_whole_best(tmp_path, monkeypatch, moment):
    class Killed(BaseException):
        pass

    checkpoint.save(tmp_path, tiny(seed=1), step=1)
    checkpoint.keep_best(tmp_path)
    checkpoint.save(tmp_path, tiny(seed=2), step=2)
    rename, renames = Path.rename, []

    def dying(path, target):
        if moment == "copied" or renames:
            raise Killed
        renames.append(target)
        rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        with pytest.raises(Killed):
            checkpoint.keep_best(tmp_path)
    assert checkpoint.load(tmp_path, tiny(), which="best").step == 1
    checkpoint.keep_best(tmp_path)
    assert checkpoint.load(tmp_path, tiny(), which="best").step == 2


@pytest.mark.parametrize("off", ["no validation", "never scored", "switched off"])
def test_without_validation_there_is_none(tmp_path, off):
    data = task() if off == "no validation" else task().validation(0)
    options = {**OPTIONS, **({"evaluate_every": None} if off == "never scored" else {})}
    options |= {"best": None} if off == "switched off" else {}
    summary = train(tiny(), data, run=tmp_path / "run", **options)
    assert "best_step" not in summary
    assert not (tmp_path / "run" / "best").exists()
    with pytest.raises(FileNotFoundError, match=r"no best checkpoint in .*fold=0 evaluate_every"):
        checkpoint.load(tmp_path / "run", tiny(), which="best")


ACCURACY = Criterion("validation_accuracy", "higher")
LOSS = Criterion("validation_loss", "lower")


def test_direction_and_ties():
    first = better(None, ACCURACY, {"validation_accuracy": 0.5}, 2)
    assert first == (2, "validation_accuracy", 0.5)
    assert better(first, ACCURACY, {"validation_accuracy": 0.5}, 4) is None
    assert better(first, ACCURACY, {"validation_accuracy": 0.6}, 4).step == 4
    low = better(None, LOSS, {"validation_loss": 1.0}, 2)
    assert better(low, LOSS, {"validation_loss": 1.5}, 4) is None
    assert better(low, LOSS, {"validation_loss": float("nan")}, 4) is None
    assert better(low, LOSS, {"train_loss": 0.1}, 4) is None
    # Another score from here on: the old one is no measure of it.
    assert better(first, LOSS, {"validation_loss": 2.0}, 4).value == 2.0


@pytest.mark.parametrize(
    ("name", "best", "expected"),
    [
        ("classification", "auto", ACCURACY),
        ("classification", "loss", LOSS),
        ("regression", "auto", Criterion("validation_r2", "higher")),
        ("regression", "pearson_r", Criterion("validation_pearson_r", "higher")),
        ("reconstruction", "auto", LOSS),
        ("reconstruction", "normalised_error", Criterion("validation_normalised_error", "lower")),
    ],
)
def test_the_score_follows_the_task(name, best, expected):
    images = torch.rand(10, 1, 2, 2)
    targets = {"regression": torch.rand(10, 3), "reconstruction": images}
    targets = targets.get(name, torch.arange(10) % 2)
    data = Dataset(images, targets, images, targets, 2 * (name[0] == "c"), task=name)
    assert best_metric(data.validation(0), best, 2) == expected
    assert best_metric(data, best, 2) is None


def test_an_unknown_score_is_an_error():
    message = "score of the task 'classification': 'auto', 'loss', 'accuracy'. Got 'f1'"
    with pytest.raises(ValueError, match=message):
        best_metric(task().validation(0), "f1", 2)


def test_an_unknown_checkpoint_is_an_error(tmp_path):
    checkpoint.save(tmp_path, tiny(), step=1)
    with pytest.raises(ValueError, match=r"which must be one of 'last', 'best'. Got 'first'"):
        checkpoint.load(tmp_path, tiny(), which="first")
