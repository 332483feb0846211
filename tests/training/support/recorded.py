"""Today's runs beside recorded ones."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.training.support import short_runs

# Where the arithmetic is another one. Of the 18 recorded runs with AVX-512 and fused products no
# loss differs by more than 2e-7 of itself, and no edge does.
CLOSE = 2e-6
# After edges change: one swap that is decided otherwise, because its gain is nearly that of
# another, may change a loss by as much.
ROUGHLY = 0.02
FIRST_UPDATE = 10


def run(names: Sequence[str], folder: Path) -> dict:
    """The same runs with the code of today, in a process that starts with the arithmetic."""
    command = [sys.executable, short_runs.__file__, *names]
    environment = os.environ | short_runs.ARITHMETIC
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(recorded: dict, today: dict) -> list[str]:
    """A line about each run of today that is not the recorded one, to the bit where that can be."""
    exactly = recorded["arithmetic"] == today["arithmetic"]
    lines = []
    for name, now in today["runs"].items():
        then = recorded["runs"][name]
        if exactly and now["edges"] != then["edges"]:
            lines.append(f"{name}: the edges at the end differ")
        pairs = zip(_losses(then), _losses(now), strict=True)
        for step, (before, after) in enumerate(pairs, 1):
            allowed = 0 if exactly else CLOSE if step <= FIRST_UPDATE else ROUGHLY
            if not abs(after - before) <= allowed * abs(before):
                lines.append(f"{name}: the loss of step {step} is {after!r}, it was {before!r}")
                break
    return lines


def _losses(outcome: dict) -> list[float]:
    return [float.fromhex(text) for text in outcome["losses"].split()]
