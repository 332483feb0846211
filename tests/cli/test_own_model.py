"""A model of one's own, named in a configuration: trained, rewired, killed, resumed, reported."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphcolumns.checkpoint import read_step
from graphcolumns.cli import load, main

MODEL = """
import torch
from torch import nn

from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput


class Circuit(nn.Module):
    def __init__(self, graph, num_classes):
        super().__init__()
        self.graph = graph
        self.edges = EdgeLinear(graph)
        self.readout = nn.Linear(graph.num_columns, num_classes)

    def rewired(self, graph):
        self.graph = graph

    def forward(self, images):
        x = images.flatten(1).t()[..., None]
        for _ in range(3):
            x = torch.tanh(x + self.edges(x, self.graph))
        return ModelOutput(self.readout(x[..., 0].t()), state=x)
"""
WORDS = [
    *("train", "--config-dir", "mine", "experiment=null", "model=circuit", "geometry=sheet"),
    *("graph=nearest", "degree=6", "data.train_size=300", "plasticity.every=8"),
    *("plasticity.samples=32", "progress=false"),
]


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_circuit.py").write_text(MODEL)
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/circuit.yaml").write_text("_target_: my_circuit.Circuit\n")
    yield
    sys.modules.pop("my_circuit", None)


@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_it_is_rewired_and_reported(rule):
    assert main([*WORDS, f"plasticity={rule}", "steps=30", "run=a"]) == 0
    before, after = load("a").graph, load("a").model.graph
    assert before.num_edges == after.num_edges == 384
    assert Path("a/edges.jsonl").read_text().count('"born"') >= 2
    page = Path("a/report.html").read_text()
    assert "Activity on the sheet" in page
    assert "Wires on the sheet" in page


def test_killed_and_resumed_it_ends_bit_for_bit():
    words = [*WORDS, "plasticity=rigl", "steps=200", "checkpoint_every=5", "report=false"]
    assert main([*words, "run=whole"]) == 0
    command = [sys.executable, "-m", "graphcolumns.cli", *words, "run=killed"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not _begun():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert main(["resume", "killed"]) == 0
    for name in ("metrics.jsonl", "edges.jsonl", "checkpoint/model.safetensors"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes(), name


def _begun() -> bool:
    try:
        return read_step("killed") >= 10
    except (FileNotFoundError, ValueError):  # not yet, or between two renames
        return False
