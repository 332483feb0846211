"""`geometry=learned` from the command line: one override trains, and the run is read back."""

import random

import pytest
import torch

from graphcolumns import checkpoint, cli
from graphcolumns.cli import main
from graphcolumns.cli.build import build
from graphcolumns.cli.compose import compose
from graphcolumns.cli.paths import plain
from graphcolumns.cli.run_folder import read_config
from tests.cli.test_resume import SHORT, STEPS, artefacts, kill

LEARNED = ["geometry=learned", "optimizer.lr=0.05", "report=false", *SHORT]


def composed(*overrides: str) -> dict:
    return plain(compose(overrides))


def test_it_brings_the_cost_that_moves_the_columns():
    config, usual = composed("geometry=learned"), composed()
    assert config["model"]["cost"]["wiring"] == "distance"
    assert config["losses"]["wiring"] == 0.1
    assert (usual["model"]["cost"]["wiring"], usual["losses"]["wiring"]) == (None, 0.0)
    for part in ("graph", "data", "optimizer"):
        assert config[part] == usual[part]


@pytest.mark.parametrize("experiment", ["digits", "matching"])
def test_experiment_and_command_line_come_later(experiment):
    own = composed(f"experiment={experiment}")
    config = composed(
        f"experiment={experiment}",
        *("geometry=learned", "losses.wiring=0.3", "model.cost.wiring=gaussian"),
        "geometry.spacing=0.7",
    )
    assert config["losses"]["wiring"] == 0.3
    assert config["model"]["cost"]["wiring"] == "gaussian"
    assert config["geometry"]["spacing"] == 0.7
    assert (config["name"], config["degree"]) == (own["name"], own["degree"])


def test_train_and_load(tmp_path):
    run = tmp_path / "run"
    assert main(["train", *LEARNED, f"run={run}"]) == 0
    started, parts = build(read_config(run)), cli.load(run)
    geometry, start = parts.geometry, started.geometry.permute(started.permutation.argsort())
    assert start.learnable
    assert torch.equal(geometry.positions, parts.model.positions.positions())
    assert not geometry.positions.requires_grad
    assert torch.equal(geometry.positions[start.anchors], start.positions[start.anchors])
    moved = (geometry.positions != start.positions).any(1)
    assert moved.sum() > 0.9 * (geometry.num_columns - len(start.anchors))
    target, source = torch.triu_indices(geometry.num_columns, geometry.num_columns, 1)
    assert geometry.distance(target, source).min() >= 0.99 * 0.5
    # The graph, the model and the checkpoint agree on how long the edges are now.
    expected = geometry.distance(parts.graph.target, parts.graph.source)
    for graph in (parts.graph, parts.model.graph, checkpoint.read_topology(run).graph):
        assert torch.equal(graph.distance, expected)
    assert parts.model.wiring_norm == started.model.wiring_norm


def test_corners_of_the_sheets_are_the_anchors_in_the_order_of_the_user():
    parts = build(composed("geometry=learned"))
    corners = parts.geometry.positions[parts.geometry.anchors]
    assert len(corners) == 12
    assert (corners[:, 1:].abs() == 4).all()


def test_parts_of_a_fixed_geometry_are_current_as_they_are():
    parts = build(composed("geometry=sheet"))
    assert parts.current() is parts


@pytest.mark.slow
def test_killed_and_resumed_equals_never_stopped(tmp_path):
    assert main(["train", *LEARNED, f"run={tmp_path / 'whole'}"]) == 0
    run = tmp_path / "killed"
    kill(LEARNED, run, after=random.Random("learned").randint(1, STEPS - 3))
    assert not (run / "summary.json").exists()
    assert main(["resume", str(run)]) == 0
    assert artefacts(run) == artefacts(tmp_path / "whole")


@pytest.mark.parametrize("change", ["losses.wiring=0", "graph=isolated"])
def test_positions_that_nothing_moves_are_an_error(change, tmp_path, capsys):
    assert main(["train", *LEARNED, change, f"run={tmp_path / 'run'}"]) == 2
    assert "nothing that is minimised depends on them" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
