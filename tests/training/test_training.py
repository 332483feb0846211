"""A training is tried before it starts, once, and the trial leaves no trace."""

import random

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import Dataset
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import Plasticity, presets
from graphcolumns.training import TERMS, TrainOptions, fit, train
from graphcolumns.training.loop import run_steps
from graphcolumns.training.training import Training
from tests.training.support.tiny import task, tiny

OPTIONS = {"steps": 6, "batch_size": 10, "progress": False, "device": "cpu"}


def generators() -> list:
    return [torch.random.get_rng_state().tolist(), random.getstate()]


def parts() -> tuple[torch.nn.Module, Dataset]:
    torch.manual_seed(0)
    geometry = grid.sheet(4, 4)
    graph = connect.nearest(geometry, 4)
    options = {"channels": 4, "depth": 2, "heads": 1, "weights": {"dropout": 0.2}}
    model = sheet(geometry, graph, image_size=4, in_channels=1, num_classes=3, **options)
    return model, task(count=90, size=4)


def rule(steps: int):
    return presets.rigl(steps=steps, every=2, samples=16)


@pytest.mark.parametrize("preset", ["rigl", "exact", "set"])
def test_the_trial_leaves_no_trace(preset):
    model, data = parts()
    made = getattr(presets, preset)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph, known = model.graph, generators()
    training = Training(
        model,
        data,
        TrainOptions(**OPTIONS),
        losses={"activity": (0.1, TERMS["activity"])},
        metrics={},
        plasticity=lambda steps: made(steps=steps, every=2, samples=16),
        geometry=grid.sheet(4, 4),
    )
    assert generators() == known
    assert model.graph.same_topology(graph)
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert not training.optimizer.state
    assert [each.plasticity.updates for each in training.plasticity.graphs] == [0]
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_trial_changes_no_loss(tmp_path, monkeypatch):
    model, data = parts()
    given = {"plasticity": rule, "geometry": grid.sheet(4, 4), **OPTIONS}
    train(model, data, run=tmp_path / "tried", **given)
    with monkeypatch.context() as patch:
        patch.setattr("graphcolumns.training.training.check_fit", lambda *_: None)
        patch.setattr(Plasticity, "dry_run", lambda *_: None)
        train(parts()[0], data, run=tmp_path / "untried", **given)
    for name in ("metrics.jsonl", "edges.jsonl", "checkpoint/model.safetensors"):
        assert (tmp_path / "tried" / name).read_bytes() == (
            tmp_path / "untried" / name
        ).read_bytes()


def test_each_part_is_tried_once(tmp_path, monkeypatch):
    tried = []
    check, dry_run = fit.check_fit, Plasticity.dry_run
    noted = lambda name, function: lambda *given: (tried.append(name), function(*given))[1]  # noqa: E731
    monkeypatch.setattr("graphcolumns.training.training.check_fit", noted("sample", check))
    monkeypatch.setattr(Plasticity, "dry_run", noted("rule", dry_run))
    model, data = parts()
    given = {"plasticity": rule, "geometry": grid.sheet(4, 4), **OPTIONS}
    train(model, data, run=tmp_path / "run", **given)
    assert tried == ["sample", "rule"]


def test_a_training_that_is_ready_runs(tmp_path):
    training = Training(tiny(), task(), TrainOptions(**OPTIONS), losses={}, metrics={})
    summary = run_steps(training, tmp_path / "a")
    expected = train(tiny(), task(), run=tmp_path / "b", **OPTIONS)
    assert summary["train_loss"] == expected["train_loss"]


def test_what_fails_is_said_before_anything_is_written(tmp_path):
    model, data = parts()
    with pytest.raises(ValueError, match="samples") as raised:
        train(
            model,
            data,
            run=tmp_path / "run",
            plasticity=lambda steps: presets.rigl(steps=steps, samples=10**6),
            geometry=grid.sheet(4, 4),
            **OPTIONS,
        )
    assert raised.value.__notes__ == ["(while starting the rule of plasticity)"]
    with pytest.raises(ValueError, match="share of lr") as raised:
        train(model, data, run=tmp_path / "run", schedule=lambda step, steps: -1.0, **OPTIONS)
    assert raised.value.__notes__ == ["(while trying optimizer and schedule)"]
    assert not (tmp_path / "run").exists()
