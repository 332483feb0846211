"""Weights of loss terms that depend on the step."""

import json
from functools import partial

import pytest

from geometries import grid
from graphcolumns import connect
from graphcolumns.cli import main
from graphcolumns.data import two_formulas
from graphcolumns.models.layered_columns import LayeredColumns
from graphcolumns.training import TERMS, train
from graphcolumns.training.weight_schedule import ScheduledWeight, in_stages, weights_at


def test_stages_by_hand():
    assert [in_stages(step, 8) for step in range(8)] == [1, 1, 10, 10, 10, 10, 1, 1]
    halves = partial(in_stages, ends=[0.5], shares=[0.0, 2.0])
    assert [halves(step, 4) for step in range(4)] == [0, 0, 2, 2]


def test_a_scheduled_weight_is_a_number_at_every_step():
    losses = {
        "wiring": (ScheduledWeight(0.5, in_stages), TERMS["wiring"]),
        "a": (3, TERMS["wiring"]),
    }
    found = weights_at(losses, 2, 4)
    assert {name: weight for name, (weight, _) in found.items()} == {"wiring": 5.0, "a": 3.0}


@pytest.mark.parametrize("wrong", [{"ends": [0.5, 0.2]}, {"shares": [1.0]}])
def test_stages_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="ascending ends, and one share more"):
        in_stages(0, 4, **wrong)


def logged(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_loss_follows_the_weight(tmp_path):
    geometry = grid.rows([4, 3, 2])
    model = LayeredColumns(geometry, connect.between_areas(geometry), 2)
    losses = {"wiring": (ScheduledWeight(0.1, in_stages), TERMS["wiring"])}
    data = two_formulas(train=20, test=10)
    train(model, data, run=tmp_path / "r", losses=losses, steps=4, batch_size=5, progress=False)
    weights = [(e["loss"] - e["task"]) / e["wiring"] for e in logged(tmp_path / "r")]
    assert weights == pytest.approx([0.1, 1.0, 1.0, 0.1], rel=1e-4)


def test_a_weight_that_is_not_finite_later_is_refused_before_training(tmp_path):
    geometry = grid.rows([4, 3, 2])
    model = LayeredColumns(geometry, connect.between_areas(geometry), 2)
    losses = {"wiring": (lambda step, steps: 1.0 if step < 3 else float("nan"), TERMS["wiring"])}
    with pytest.raises(ValueError, match=r"must be finite. Got nan"):
        train(model, two_formulas(20, 10), run=tmp_path / "r", losses=losses, steps=4)
    assert not (tmp_path / "r").exists()


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = ["experiment=two_formulas", "geometry.sizes=[4,3,2]", "data.train=20", "data.test=10"]
    tiny += ["steps=4", "batch_size=5", "progress=false", "report=false", "run=r"]
    assert main(["train", *tiny, "losses.wiring.weight=0.1"]) == 0
    weights = [(e["loss"] - e["task"]) / e["wiring"] for e in logged(tmp_path / "r")]
    assert weights == pytest.approx([0.1, 1.0, 1.0, 0.1], rel=1e-4)
    assert main(["train", *tiny, "losses.wiring.factor=2"]) != 0
    assert "unknown key 'losses.wiring.factor'" in capsys.readouterr().err
