"""Brain encoders from the command line: sizes come from the data, edges are rewired by a rule."""

import pytest

from graphcolumns.cli import load
from graphcolumns.cli.main import main

QUICK = [
    "data=routed_responses",
    "data.train_count=100",
    "data.test_count=40",
    "steps=8",
    "report=false",
    "progress=false",
    "augmentation=null",
]
DECODER = ["model.decoder.heads=4", "model.decoder.hidden=16"]
MODELS = {
    "brain_encoder": DECODER,
    "cross_attention_encoder": ["model.heads=4"],
    "spatial_feature_encoder": [],
    "linear_encoder": ["model.channels=8"],
}


@pytest.mark.parametrize("model", list(MODELS))
def test_a_variant_trains_and_is_read_back(model, tmp_path):
    run = tmp_path / "run"
    assert main(["train", *QUICK, f"model={model}", *MODELS[model], f"run={run}"]) == 0
    parts = load(run)
    assert parts.model(parts.data.test_inputs).prediction.shape == (40, parts.data.num_classes)


def test_edges_to_queries_are_rewired(tmp_path):
    run = tmp_path / "run"
    rule = ["plasticity=rigl", "plasticity.every=2", "plasticity.samples=16"]
    families = ["model.queries=[content,mixed]", "model.edges=12"]
    given = ["train", *QUICK, "model=brain_encoder", *DECODER, *families, *rule, f"run={run}"]
    assert main([*given, "plasticity.check_samples=8"]) == 0
    graph = load(run).graph
    assert (graph.num_columns, graph.num_edges) == (6, 72)


def test_what_cannot_be_turned_is_said(tmp_path, capsys):
    quick = [option for option in QUICK if option != "augmentation=null"]
    run = f"run={tmp_path / 'run'}"
    assert main(["train", *quick, "model=brain_encoder", *DECODER, run]) == 2
    assert "Got 'features'; pass augmentation=None (augmentation=null)" in capsys.readouterr().err
