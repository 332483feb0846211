"""A run folder that commit 7ce3edf wrote, killed between two checkpoints, is one of today's."""

import json
import shutil
from pathlib import Path

from graphcolumns.cli import load, main
from tests.training.support.recorded import differences, run

FORMER = Path(__file__).with_name("former_run")
RECORDED = json.loads(FORMER.with_suffix(".json").read_text())


def test_it_goes_on_as_it_would_have(tmp_path):
    today = run([str(FORMER)], tmp_path)
    assert len(today["runs"]["former_run"]["losses"].split()) == 24
    assert differences(RECORDED, today) == []


def test_it_is_read_and_scored(tmp_path, capsys):
    former = Path(shutil.copytree(FORMER, tmp_path / "run"))
    for which in ("last", "best"):
        parts = load(former, which)
        assert (parts.graph.num_columns, parts.graph.num_edges) == (25, 125)
        assert parts.model(parts.data.test_inputs[:2]).prediction.shape == (2, 25)
    assert main(["evaluate", str(former)]) == 0
    assert "validation_accuracy" in capsys.readouterr().out
