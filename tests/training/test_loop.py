import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns.data.augment import affine
from graphcolumns.nn.held_out import reads_held_out
from graphcolumns.training import TERMS, train
from tests.training.support.tiny import task, tiny

OPTIONS = {"steps": 12, "batch_size": 10, "checkpoint_every": 5, "progress": False, "lr": 1e-2}
LOSSES = {name: (0.1, term) for name, term in TERMS.items()}


def turned(inputs, generator):
    return affine(inputs, degrees=10, translate=0.1, generator=generator)


def options(**changes):
    return {**OPTIONS, "losses": LOSSES, "augmentation": turned, "evaluate_every": 4, **changes}


def entries(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def artefacts(run: Path) -> dict[str, bytes]:
    """What must not depend on whether a run was interrupted."""
    names = ("model.safetensors", "topology.safetensors")
    files = {name: (run / "checkpoint" / name).read_bytes() for name in names}
    return {**files, "metrics": (run / "metrics.jsonl").read_bytes()}


def test_it_learns_and_writes_the_run_folder(tmp_path):
    run = tmp_path / "new" / "run"
    summary = train(tiny(), task(), run=run, **{**OPTIONS, "steps": 100})
    assert summary["test_accuracy"] > 0.9
    assert summary == json.loads((run / "summary.json").read_text())
    assert {path.name for path in run.iterdir()} == {"checkpoint", "metrics.jsonl", "summary.json"}
    assert [entry["step"] for entry in entries(run)] == list(range(1, 101))
    assert entries(run)[-1]["task"] < 0.5 * entries(run)[0]["task"]


def test_summary_is_flat_and_complete(tmp_path):
    model = tiny()
    summary = train(
        model, task(), run=tmp_path / "run", geometry=grid.sheet(3, 3), seed=3, **OPTIONS
    )
    assert not any(isinstance(value, dict | list) for value in summary.values())
    known = {
        "edges": 17,
        "density": 17 / 81,
        "wiring_length": 8.0,
        "wiring_length_unit": "pixel",
        "parameters": 36 + 36 + 17 + (36 * 3 + 3) + (18 + 9),
        "seed": 3,
        "steps": 12,
        "version_torch": torch.__version__,
    }
    assert {key: summary[key] for key in known} == known
    assert summary["train_seconds"] > 0
    assert summary["peak_memory_mb"] > 10
    names = ("train_accuracy", "version_numpy", "version_torch_geometric", "version_graphcolumns")
    assert summary.keys() >= set(names)


def test_the_test_half_is_scored_once_and_only_at_the_end(tmp_path):
    summary = train(tiny(), task(), run=tmp_path / "a", **options())
    assert not any("test" in key for entry in entries(tmp_path / "a") for key in entry)
    assert [entry["step"] for entry in entries(tmp_path / "a") if "train_loss" in entry] == [
        4,
        8,
        12,
    ]
    assert summary["test_accuracy"] is not None
    summary = train(tiny(), task(), run=tmp_path / "b", evaluate_test=False, **options())
    assert summary["test_accuracy"] is None
    assert "test_loss" not in summary


def test_a_validation_fold_is_never_called_test(tmp_path):
    summary = train(tiny(), task().validation(0), run=tmp_path / "run", **options())
    assert summary["test_accuracy"] is None
    assert "validation_accuracy" in summary
    assert "validation_accuracy" in entries(tmp_path / "run")[3]


def test_metrics_are_logged_and_summarised(tmp_path):
    metrics = {"gain": lambda model, data: model.gain.detach().abs().mean()}
    summary = train(tiny(), task(), run=tmp_path / "run", metrics=metrics, **options())
    assert summary["gain"] == entries(tmp_path / "run")[-1]["gain"]


@pytest.mark.parametrize("amp", [None, "bfloat16", "float16"])
def test_stopped_and_resumed_equals_never_stopped(tmp_path, amp):
    train(tiny(), task(), run=tmp_path / "whole", **options(amp=amp))

    def stop(inputs, generator):
        calls.append(1)
        if len(calls) == 1 + 8:  # the first call is the trial before anything is written
            raise KeyboardInterrupt
        return turned(inputs, generator)

    # Step 8 is past the checkpoint of step 5: two steps are done again.
    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), task(), run=tmp_path / "broken", **options(amp=amp, augmentation=stop))
    assert len(entries(tmp_path / "broken")) == 7
    # A resumed model starts from other weights, and another state of the global generator.
    train(tiny(seed=99), task(), run=tmp_path / "broken", resume=True, **options(amp=amp))
    assert artefacts(tmp_path / "broken") == artefacts(tmp_path / "whole")


SCRIPT = """
import sys
from tests.training.test_loop import options, task, tiny, train
train(tiny(), task(), run=sys.argv[1], resume=True, **options(steps=200))
"""


@pytest.mark.parametrize("after", [1, pytest.param(83, marks=pytest.mark.slow)])
def test_killed_and_resumed_equals_never_stopped(tmp_path, after):
    train(tiny(), task(), run=tmp_path / "whole", **options(steps=200))
    root, run = Path(__file__).parents[2], tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(run)], cwd=root)
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= after):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (run / "summary.json").exists()
    train(tiny(seed=99), task(), run=run, resume=True, **options(steps=200))
    assert artefacts(run) == artefacts(tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = train(tiny(), task(), run=tmp_path / "run", **options())
    before = artefacts(tmp_path / "run")
    again = train(tiny(), task(), run=tmp_path / "run", resume=True, **options())
    assert artefacts(tmp_path / "run") == before
    assert again["test_accuracy"] == first["test_accuracy"]
    assert again["train_seconds"] >= first["train_seconds"]


def test_the_seed_decides_the_run(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tiny(), task(), run=tmp_path / name, seed=seed, **options())
    assert artefacts(tmp_path / "a") == artefacts(tmp_path / "b")
    assert artefacts(tmp_path / "a") != artefacts(tmp_path / "c")


def test_nothing_is_overwritten(tmp_path):
    train(tiny(), task(), run=tmp_path, **OPTIONS)
    with pytest.raises(FileExistsError, match="resume=True"):
        train(tiny(), task(), run=tmp_path, **OPTIONS)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    def poison(model, output, labels):
        calls.append(1)
        return output.prediction.sum() * (float("nan") if len(calls) == 1 + 8 else 0.0)

    calls: list[int] = []
    with pytest.raises(FloatingPointError, match=r"step 8 got loss=nan, .*lower lr"):
        train(tiny(), task(), run=tmp_path / "run", **options(losses={"poison": (1.0, poison)}))
    state = torch.load(tmp_path / "run/checkpoint/state.pt", weights_only=True)
    assert state["step"] == 5


def test_compile_gives_the_same_losses(tmp_path):
    train(tiny(dropout=0), task(), run=tmp_path / "eager", **options())
    backend = torch.compile

    def light(model):  # inductor needs a compiler
        return backend(model, backend="aot_eager")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", light)
        train(tiny(dropout=0), task(), run=tmp_path / "compiled", **options(compile=True))
    for eager, compiled in zip(
        entries(tmp_path / "eager"), entries(tmp_path / "compiled"), strict=True
    ):
        assert compiled["loss"] == pytest.approx(eager["loss"], rel=1e-5)


def test_tensorboard_is_optional(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    train(tiny(), task(), run=tmp_path / "run", tensorboard=True, **OPTIONS)
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"graphcolumns\[log\]"):
        train(tiny(), task(), run=tmp_path / "other", tensorboard=True, **OPTIONS)


def test_a_denoiser_has_no_accuracy(tmp_path):
    data = task()
    from graphcolumns.data import Dataset

    noisy = Dataset(
        data.train_inputs, data.train_inputs, data.test_inputs, data.test_inputs, 9, "denoising"
    )
    summary = train(tiny(classes=9), noisy, run=tmp_path / "run", **OPTIONS)
    assert summary["test_accuracy"] is None
    assert 0 < summary["test_loss"] < 10


class NoGraph(nn.Linear):
    graph = None


def test_a_model_without_graph_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"model\.graph must be a ColumnGraph"):
        train(NoGraph(9, 3), task(), run=tmp_path / "run", **OPTIONS)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": None}, ValueError, "either steps or epochs"),
        ({"epochs": 2}, ValueError, "either steps or epochs"),
        ({"steps": -3}, ValueError, "steps must be at least 1. Got -3"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number. Got 2.5"),
        ({"steps": None, "epochs": 0}, ValueError, "epochs must be above 0. Got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"grad_accumulation": 11}, ValueError, "cannot exceed batch_size. Got 11 > 10"),
        ({"lr": float("nan")}, ValueError, "lr must be above 0. Got nan"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0. Got -1"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas must be two numbers in \[0, 1\)"),
        ({"warmup": 1.5}, ValueError, r"warmup is a share and must be in \[0, 1\]. Got 1.5"),
        ({"min_lr": -0.1}, ValueError, r"min_lr is a share and must be in \[0, 1\]"),
        ({"clip": 0}, ValueError, "clip must be above 0. Got 0"),
        ({"amp": "half"}, ValueError, "amp must be None .* 'bfloat16' or 'float16'. Got 'half'"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be at least 1"),
        ({"device": "tpu"}, ValueError, "device must be 'cpu', 'cuda'"),
    ],
)
def test_wrong_options(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        train(tiny(), task(), run=tmp_path / "run", **{**OPTIONS, **change})
    assert not (tmp_path / "run").exists()


def test_metrics_that_look_at_held_out_samples_leave_the_test_half_alone(tmp_path):
    @reads_held_out
    def peek(model, data, scale):
        return scale * len(data.test_inputs)

    metrics = {"peek": partial(peek, scale=2), "own": lambda model, data: 1.0}
    more = options(evaluate_every=2, steps=4)
    hidden = train(
        tiny(), task(), run=tmp_path / "hidden", metrics=metrics, evaluate_test=False, **more
    )
    assert "peek" not in hidden
    assert hidden["own"] == 1.0
    shown = train(tiny(), task(), run=tmp_path / "shown", metrics=metrics, **more)
    assert shown["peek"] == 2 * len(task().test_inputs)
    for run in ("hidden", "shown"):
        lines = entries(tmp_path / run)
        assert not any("peek" in line for line in lines)
        assert any("own" in line for line in lines)
