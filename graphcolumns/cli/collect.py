"""`graphcolumns collect`."""

from __future__ import annotations

import os

from graphcolumns.analysis import sweep
from graphcolumns.cli.arguments import collect as parser
from graphcolumns.cli.former import in_words_of_today


def collect(arguments: list[str]) -> None:
    """Write the finished runs below FOLDER as FOLDER/sweep.csv and FOLDER/sweep.png."""
    asked = parser().parse_args(arguments)
    rows = sweep.collect(asked.folder, in_words_of_today)
    drawn = sweep.sweep_figure(rows, asked.x, asked.y, asked.panel)
    for path in sweep.save_sweep(asked.folder, rows, drawn):
        print(f"{len(rows)} runs -> {os.path.relpath(path)}")
