"""Models of one's own, named in a configuration: trained, rewired, killed, resumed, reported.

Each is a file of at most 30 lines outside the package: of classes, of a regression with gaps, of a
reconstruction, and with two graphs.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphcolumns.checkpoint import read_histories, read_step, replay
from graphcolumns.cli import load, main

CIRCUIT = """
import torch
from torch import nn

from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput


class Circuit(nn.Module):
    def __init__(self, graph, num_outputs):
        super().__init__()
        self.graph = graph
        self.edges = EdgeLinear(graph)
        self.readout = nn.Linear(graph.num_columns, num_outputs)

    def rewired(self, graph):
        self.graph = graph

    def forward(self, images):
        x = images.flatten(1).t()[..., None]
        for _ in range(3):
            x = torch.tanh(x + self.edges(x, self.graph))
        return ModelOutput(self.readout(x[..., 0].t()), state=x)
"""
DENOISER = """
import torch
from torch import nn

from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput


class Denoiser(nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.edges = EdgeLinear(graph)

    def rewired(self, graph):
        self.graph = graph

    def forward(self, images):
        x = images.flatten(1).t()[..., None]
        x = x + self.edges(torch.tanh(x), self.graph)
        return ModelOutput(x[..., 0].t().reshape(images.shape), state=x)
"""
TWO = """
import torch
from torch import nn

from graphcolumns import connect
from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput


class Two(nn.Module):
    def __init__(self, graph, geometry, num_classes):
        super().__init__()
        self.graphs = {"lateral": graph, "feedback": connect.random(geometry, degree=3, seed=1)}
        self.lateral = EdgeLinear(graph)
        self.feedback = EdgeLinear(self.graphs["feedback"])
        self.readout = nn.Linear(graph.num_columns, num_classes)

    def rewired(self, graph, name):
        self.graphs[name] = graph

    def forward(self, images):
        x = seen = images.flatten(1).t()[..., None]
        for _ in range(2):
            x = torch.tanh(seen + self.lateral(x, self.graphs["lateral"]))
            x = torch.tanh(seen + self.feedback(x, self.graphs["feedback"]))
        return ModelOutput(self.readout(x[..., 0].t()), state=x)
"""
# Source, class, words, and the first row of the report.
MODELS = {
    "classes": (CIRCUIT, "Circuit", ["data.train_size=300"], "accuracy, test half"),
    "regression": (CIRCUIT, "Circuit", ["data=responses", "data.units=6"], "r2 (higher is better)"),
    "reconstruction": (
        *(DENOISER, "Denoiser", ["data=natural_patches", "data.count=600"]),
        "normalised error (lower is better)",
    ),
    "two": (TWO, "Two", ["data.train_size=300"], "accuracy, test half"),
}
WORDS = [
    *("train", "--config-dir", "mine", "experiment=null", "model=mine", "geometry=sheet"),
    *("graph=nearest", "degree=6", "progress=false"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_model", None)


def words(kind: str, rule: str) -> list[str]:
    """What is said to the command line, after the files of the user are written."""
    source, name, more, _ = MODELS[kind]
    assert len(source.strip().splitlines()) <= 30
    Path("my_model.py").write_text(source)
    for group in ("model", "plasticity"):
        Path("mine", group).mkdir(parents=True, exist_ok=True)
    Path("mine/model/mine.yaml").write_text(f"_target_: my_model.{name}\n")
    options = "every=8", "samples=32"
    if kind != "two":
        chosen = [f"plasticity={rule}", *(f"plasticity.{option}" for option in options)]
    else:
        both = f"# A rule for each graph.\ndefaults:\n  - {rule}@lateral\n  - {rule}@feedback\n"
        Path("mine/plasticity/both.yaml").write_text(both)
        chosen = ["plasticity=both", "plasticity.feedback.every=6", "plasticity.lateral.every=8"]
        chosen += [f"plasticity.{graph}.samples=32" for graph in ("lateral", "feedback")]
    return [*WORDS, *more, *chosen]


# The other rule is that of the runs that are killed.
@pytest.mark.parametrize("rule", ["set", pytest.param("rigl", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", MODELS)
def test_it_is_rewired_and_reported(kind, rule):
    assert main([*words(kind, rule), "steps=30", "run=a"]) == 0
    run, logs = load("a"), read_histories("a")
    graphs = run.model.graphs if kind == "two" else {None: run.model.graph}
    assert set(logs) == set(graphs)
    for name, graph in graphs.items():
        events = logs[name]
        assert sum(event.born.shape[1] for event in events[1:]) > 0
        assert replay(events, 64).same_topology(graph)
    page = Path("a/report.html").read_text()
    assert "Activity on the sheet" in page
    assert page.count("<h2>Wires on the sheet") == len(graphs)
    first = page.partition('class="first"')[2].partition("</tr>")[0]
    assert MODELS[kind][3] in first


# Gaps in the targets, and two graphs; the default run leaves the simpler two to the slow one.
@pytest.mark.parametrize(
    "kind",
    [
        *("regression", "two"),
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("classes", "reconstruction")),
    ],
)
def test_killed_and_resumed_it_ends_bit_for_bit(kind):
    said = [*words(kind, "rigl"), "steps=80", "checkpoint_every=5", "report=false"]
    assert main([*said, "run=whole"]) == 0
    command = [sys.executable, "-m", "graphcolumns.cli", *said, "run=killed"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not _begun():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert main(["resume", "killed"]) == 0
    for name in ("metrics.jsonl", "edges.jsonl", "checkpoint/model.safetensors"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes(), name


def test_a_rule_for_a_graph_that_is_not_there_is_refused_before_training(capsys):
    said = [*words("two", "set"), "+plasticity.wide=${plasticity.lateral}", "run=a"]
    assert main(said) != 0
    assert (
        "plasticity must name graphs of the model. Expected 'lateral', 'feedback'. Got 'wide'"
        in (capsys.readouterr().err)
    )
    assert not Path("a").exists()


def test_null_for_the_rule_of_a_graph_says_how_it_is_left_out(capsys):
    said = [*words("two", "set")[:-4], "plasticity=both", "run=a"]
    assert main([*said, "plasticity.lateral=null"]) == 2
    assert "left out. Got null; write ~plasticity.lateral." in capsys.readouterr().err
    out = ["~plasticity.lateral", "plasticity.feedback.every=6", "plasticity.feedback.samples=32"]
    assert main([*said, *out, "steps=8", "report=false"]) == 0
    assert list(read_histories("a")) == ["feedback"]


def test_an_option_of_a_rule_of_a_graph_is_checked(capsys):
    assert main([*words("two", "set"), "+plasticity.lateral.evry=3", "run=a"]) != 0
    assert "plasticity.lateral.evry" in capsys.readouterr().err


def _begun() -> bool:
    try:
        return read_step("killed") >= 10
    except (FileNotFoundError, ValueError):  # not yet, or between two renames
        return False
