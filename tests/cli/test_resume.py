"""A run that is killed and resumed ends bit for bit like one that was never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphcolumns.checkpoint import read_history, replay
from graphcolumns.cli import load, main
from graphcolumns.cli.help import choices

STEPS = 12
# Experiments on files that are not here.
BY_PATH = ("algonauts2023", "celeba", "cifar10", "mnist", "multi_mnist")
SHORT = [
    *(f"steps={STEPS}", "batch_size=2", "checkpoint_every=3", "evaluate_test=false"),
    *("progress=false", "report=false", "losses.activity=0.01"),
]


def artefacts(run: Path) -> dict[str, bytes]:
    """Weights, topology and metrics."""
    names = ("model.safetensors", "topology.safetensors")
    files = {name: (run / "checkpoint" / name).read_bytes() for name in names}
    return {**files, "metrics": (run / "metrics.jsonl").read_bytes()}


def kill(arguments: list[str], run: Path, after: int) -> None:
    """Start a run in another process and SIGKILL it once `after` steps are in its metrics."""
    command = [sys.executable, "-m", "graphcolumns.cli", "train", *arguments, f"run={run}"]
    process = subprocess.Popen(command, cwd=run.parent)
    metrics = run / "metrics.jsonl"
    try:
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= after):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [c for c in choices("experiment") if c not in BY_PATH])
def test_killed_and_resumed_equals_never_stopped(tmp_path, experiment):
    arguments = [f"experiment={experiment}", *SHORT]
    if experiment in ("predictive_columns", "two_digits"):
        # Their learning rules descend the energy of the model, or a loss of the prediction alone.
        arguments.remove("losses.activity=0.01")
    assert main(["train", *arguments, f"run={tmp_path / 'whole'}"]) == 0
    run = tmp_path / "killed"
    kill(arguments, run, after=random.Random(experiment).randint(1, STEPS - 3))
    assert not (run / "summary.json").exists()
    assert main(["resume", str(run)]) == 0
    assert artefacts(run) == artefacts(tmp_path / "whole")


def test_killed_before_the_first_checkpoint(tmp_path):
    arguments = ["experiment=digits", *SHORT, "steps=3"]
    assert main(["train", *arguments, f"run={tmp_path / 'whole'}"]) == 0
    run = tmp_path / "killed"
    run.mkdir()
    config = (tmp_path / "whole" / "config.yaml").read_text()
    (run / "config.yaml").write_text(config)
    assert main(["resume", str(run)]) == 0
    assert artefacts(run) == artefacts(tmp_path / "whole")


def test_killed_while_edges_change(tmp_path):
    rule = ["plasticity=exact", "plasticity.every=4", "plasticity.stop=1.0", "steps=12"]
    arguments = ["experiment=planted", *SHORT, *rule, "plasticity.tolerance=0.1"]
    assert main(["train", *arguments, f"run={tmp_path / 'whole'}"]) == 0
    run = tmp_path / "killed"
    kill(arguments, run, after=7)
    assert main(["resume", str(run)]) == 0
    assert artefacts(run) == artefacts(tmp_path / "whole")
    assert (run / "edges.jsonl").read_bytes() == (tmp_path / "whole/edges.jsonl").read_bytes()
    events, parts = read_history(run), load(run)
    assert [event.step for event in events] == [0, 4, 8, 12]
    assert sum(event.born.shape[1] for event in events[1:]) > 0
    ended = replay(events, parts.geometry.num_columns)
    assert ended.same_topology(parts.graph)
    assert parts.graph.same_topology(parts.model.graph)
