"""A model that takes a mapping of image and instruction, trained from the command line."""

import json
from pathlib import Path

import pytest

from graphcolumns.cli import load, main

GATED = """
import torch
from torch import nn

from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput


class Gated(nn.Module):
    def __init__(self, graph, image_size, num_instructions, num_outputs):
        super().__init__()
        self.graph = graph
        self.see = nn.Linear(image_size[0] * image_size[1], graph.num_columns)
        self.gate = nn.Linear(num_instructions, graph.num_columns)
        self.edges = EdgeLinear(graph)
        self.readout = nn.Linear(graph.num_columns, num_outputs)
        self.num_instructions = num_instructions

    def rewired(self, graph):
        self.graph = graph

    def forward(self, inputs):
        given = inputs["instruction"]
        if given.ndim == 1:
            given = nn.functional.one_hot(given, self.num_instructions).float()
        x = torch.relu(self.see(inputs["image"].flatten(1))) * torch.sigmoid(self.gate(given))
        x = x.t()[..., None]
        x = torch.relu(x + self.edges(x, self.graph))
        return ModelOutput(self.readout(x[..., 0].t()), state=x)
"""
WORDS = [
    *("train", "--config-dir", "mine", "experiment=null", "model=gated", "data=two_digits"),
    *("data.train_count=400", "data.test_count=100", "geometry=sheet", "graph=nearest"),
    *("degree=4", "steps=4", "progress=false", "report=false"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("gated_columns.py").write_text(GATED)
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/gated.yaml").write_text("_target_: gated_columns.Gated\n")


@pytest.mark.parametrize(
    ("more", "values", "groups"),
    [
        ((), 2, ["left", "right"]),
        (
            ("data.tasks=left_of_right_of", "data.encoding=one_hot"),
            12,
            ["left_of", "right_of"],
        ),
        (("data.instructions=[right]",), 1, ["right"]),
    ],
)
def test_it_is_trained_and_scored_per_instruction(more, values, groups):
    assert main([*WORDS, "run=out", *more]) == 0
    summary = json.loads(Path("out/summary.json").read_text())
    found = [key for key in summary if key.startswith("test_accuracy_")]
    assert found == [f"test_accuracy_{group}" for group in groups]
    assert load("out").model.num_instructions == values


def test_a_model_of_images_takes_one_instruction_and_no_mapping(capsys):
    words = [word for word in WORDS if word != "model=gated"]
    words += ["geometry.height=10", "geometry.width=12", "model.channels=4", "model.depth=1"]
    more = ["data.encoding=none", "data.instructions=[left]"]
    assert main([*words, *more, "run=plain"]) == 0
    assert "test_accuracy" in json.loads(Path("plain/summary.json").read_text())
    assert main([*words, "run=mapped"]) == 2
    assert "Got 'image', 'instruction' as a mapping; take a model" in capsys.readouterr().err
