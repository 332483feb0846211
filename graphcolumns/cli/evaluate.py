"""``graphcolumns evaluate``."""

from __future__ import annotations

import json

from graphcolumns.cli.arguments import evaluate as parser
from graphcolumns.cli.run_folder import parts_of
from graphcolumns.training import evaluate as scores_of


def evaluate(arguments: list[str]) -> None:
    """Score a run on its held-out half, the test half or its validation fold: ``RUN``."""
    args = parser().parse_args(arguments)
    parts = parts_of(args.run, args.which)
    device = parts.options.device
    scores = scores_of(parts.model.to(device), parts.data.to(device), "test")
    print(json.dumps({f"{parts.data.held_out}_{name}": value for name, value in scores.items()}))
