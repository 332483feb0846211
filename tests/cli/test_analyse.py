"""`analyse` of an experiment: functions that measure every final run."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from graphcolumns.cli import main
from graphcolumns.cli.analyse import study_run
from graphcolumns.cli.check import check_config
from graphcolumns.cli.run_folder import read_config

BASE = [
    *("experiment=digits", "geometry=sheet", "geometry.height=4", "geometry.width=4"),
    *("model.channels=4", "model.heads=1", "model.depth=1", "data.train_size=200"),
    *("model.interface.stride=2", "augmentation=null", "batch_size=8", "steps=4"),
]
TINY = {
    "claim": "more edges help",
    "falsified_if": "they do not",
    "base": BASE,
    "arms": {"far": ["graph=random", "plasticity=set", "plasticity.every=2"]},
    "baseline": "far",
    "variants": {"4": ["degree=4"]},
    "seeds": [0],
    "tuning": None,
    "analyse": [{"_target_": "mine_to_analyse.changed", "factor": 2.0}],
    "measure": {"y": "doubled_new_edges", "also": ["retrained_accuracy"]},
}
MINE = """
def edges(graph):
    return set(zip(graph.source.tolist(), graph.target.tolist()))

def changed(run, factor):
    pairs = zip(run.model.parameters(), run.untrained.parameters())
    return {
        "doubled_new_edges": factor * len(edges(run.graph) - edges(run.initial_graph)),
        "retrained_accuracy": run.retrain(run.graph).summary["test_accuracy"],
        "same_weights": all(a.equal(b) for a, b in pairs),
    }

def one_number(run):
    return 1.0

def doubled(run):
    return {"doubled_new_edges": 0.0}

def reported(run):
    return {"test_accuracy": 0.0}
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine_to_analyse.py").write_text(MINE)


def run(**changes):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | changes, sort_keys=False))
    status = main(["experiment", "tiny.yaml", "processes=0", "out=o"])
    with Path("o/rows.csv").open() as file:
        return status, list(csv.DictReader(file))


def test_what_functions_return_is_in_the_row_and_on_the_page(capsys):
    status, (row,) = run()
    assert status == 0
    assert row["status"] == "ok", row["error"]
    assert float(row["doubled_new_edges"]) > 0
    assert float(row["retrained_accuracy"]) > 0
    assert float(row["same_weights"]) == 0
    assert "doubled new edges" in Path("o/table.md").read_text()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("one_number", "must return numbers by name. Got 1.0"),
        ("doubled", "returns doubled_new_edges, which another function of analyse returned"),
        ("reported", "returns test_accuracy, which every run reports itself"),
    ],
)
def test_a_wrong_result_is_a_failed_run(function, message, capsys):
    both = [*TINY["analyse"], {"_target_": f"mine_to_analyse.{function}"}]
    _, (row,) = run(analyse=both)
    assert row["status"] == "failed"
    assert message in row["error"]


@pytest.mark.parametrize(
    ("analyse", "message"),
    [
        ([{"_target_": "mine_to_analyse.nowhere"}], "mine_to_analyse has no 'nowhere'"),
        ([{"_target_": "mine_to_analyse.changed"}], r"missing a required argument: 'factor'"),
        ([{"_target_": "mine_to_analyse.doubled", "factor": 1}], "unknown key 'analyse[0].factor'"),
        (["mine_to_analyse.doubled"], "must be a list of functions, each with _target_"),
    ],
)
def test_a_wrong_function_is_refused_before_anything_runs(analyse, message, capsys):
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | {"analyse": analyse}))
    assert main(["experiment", "tiny.yaml", "processes=0", "out=o"]) != 0
    assert message in capsys.readouterr().err
    assert not Path("o/rows.csv").exists()


def test_other_functions_are_another_definition(capsys):
    run()
    changed = [{"_target_": "mine_to_analyse.changed", "factor": 3.0}]
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | {"analyse": changed}))
    assert main(["experiment", "tiny.yaml", "processes=0", "out=o"]) != 0
    assert "another definition" in capsys.readouterr().err


def test_retrained_on_the_first_edges_without_a_rule_is_the_static_run(capsys):
    static = [*BASE, "graph=random", "degree=4", "report=false", "progress=false", "reorder=false"]
    assert main(["train", *static, "run=r"]) == 0
    studied = study_run(Path("r"), check_config(read_config(Path("r"))))
    accuracy = json.loads(Path("r/summary.json").read_text())["test_accuracy"]
    again = studied.retrain(studied.initial_graph)
    assert again.summary["test_accuracy"] == accuracy
    for ours, theirs in zip(again.model.parameters(), studied.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    other = studied.retrain(studied.initial_graph, seed=1)
    assert not torch.equal(*(next(m.model.parameters()) for m in (again, other)))
