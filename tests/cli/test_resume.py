"""A run that is killed and resumed ends bit for bit like one that was never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphcolumns.cli import main
from graphcolumns.cli.help import choices

STEPS = 12
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


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_killed_and_resumed_equals_never_stopped(tmp_path, experiment):
    arguments = [f"experiment={experiment}", *SHORT]
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
