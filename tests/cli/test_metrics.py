"""Metrics of a run as arrays, and `graphcolumns.load`, which gives them beside the model."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import graphcolumns
from graphcolumns.cli import main
from graphcolumns.cli.metrics import read_metrics

TINY = [
    *("geometry=sheet", "geometry.height=4", "geometry.width=4", "graph=nearest", "degree=3"),
    *("model.channels=4", "model.depth=1", "model.heads=1", "model.interface.stride=2", "steps=5"),
    *("data.train_size=60", "batch_size=8", "progress=false", "report=false"),
    *("augmentation=null", "evaluate_every=2"),
]
WITHOUT_HYDRA = """
import sys
for name in ("hydra", "omegaconf"):
    sys.modules[name] = None
import graphcolumns
print(graphcolumns.Geometry.__name__)
try:
    graphcolumns.load
except ImportError as error:
    print(error)
"""


def test_a_row_per_step_and_nan_where_nothing_was_noted(tmp_path):
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None, "churn": 0.5}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 3, "lo')  # killed while it wrote
    table = read_metrics(tmp_path)
    assert list(table) == ["step", "loss", "churn"]
    assert table["step"].dtype == np.int64
    assert table["step"].tolist() == [1, 2]
    np.testing.assert_array_equal(table["loss"], [2.0, np.nan])
    np.testing.assert_array_equal(table["churn"], [np.nan, 0.5])


def test_no_file_no_columns(tmp_path):
    assert dict(read_metrics(tmp_path)) == {}


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("loss 2\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged"):
        read_metrics(tmp_path)


def test_load_gives_model_graph_geometry_data_and_metrics(tmp_path):
    assert main(["train", *TINY, f"run={tmp_path / 'a'}"]) == 0
    run = graphcolumns.load(tmp_path / "a")
    assert torch.equal(run.permutation, torch.arange(16)), "the order is that of the user"
    assert run.graph.num_columns == run.geometry.num_columns == 16
    assert run.model(run.data.test_inputs[:2]).prediction.shape == (2, 10)
    assert run.metrics["step"].tolist() == [1, 2, 3, 4, 5]
    assert np.isfinite(run.metrics["loss"]).all()
    assert np.isnan(run.metrics["train_loss"]).tolist() == [True, False, True, False, True]


def test_the_package_is_there_without_hydra_and_load_says_what_it_needs():
    command = [sys.executable, "-c", WITHOUT_HYDRA]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("Geometry\n")
    assert "pip install hydra-core" in done.stdout
