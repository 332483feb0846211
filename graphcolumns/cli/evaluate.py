"""`graphcolumns evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from graphcolumns import train
from graphcolumns.cli.load import load


def evaluate(arguments: list[str]) -> None:
    """Score a run on its held-out half, the test half or its validation fold: `RUN`."""
    parser = argparse.ArgumentParser("graphcolumns evaluate", description=evaluate.__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    run = parser.parse_args(arguments).run
    parts = load(run)
    device = parts.options["device"]
    scores = train.evaluate(parts.model.to(device), parts.data.to(device), "test")
    print(json.dumps({f"{parts.data.held_out}_{name}": value for name, value in scores.items()}))
