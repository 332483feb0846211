"""Models with columns of their own, whatever the geometry, from the command line."""

import json
import math

from graphcolumns.cli import load, main

SHORT = [
    *("experiment=two_digits", "data.train_count=40", "data.test_count=20", "steps=2"),
    *("batch_size=8", "progress=false", "report=false"),
]


def test_dense_layers_need_no_geometry_of_their_size(tmp_path):
    more = ["model=top_down_layers", "model.sizes=[6]", "model.instruction=input"]
    assert main(["train", *SHORT, *more, f"run={tmp_path / 'run'}"]) == 0
    assert load(tmp_path / "run").model.graph.num_columns == 6
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    # Exchanged instructions are scored; sub-networks there are none.
    assert 0 <= summary["wrong_instruction"] <= 1
    assert math.isnan(summary["sub_network_iou"])
