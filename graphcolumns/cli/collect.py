"""``graphcolumns collect``."""

from __future__ import annotations

import os

from graphcolumns.analysis import sweep
from graphcolumns.cli.arguments import collect as parser
from graphcolumns.cli.former import in_words_of_today


def collect(arguments: list[str]) -> None:
    """Write the finished runs below FOLDER as FOLDER/sweep.csv and FOLDER/sweep.png."""
    args = parser().parse_args(arguments)
    rows = sweep.collect(args.folder, in_words_of_today)
    drawn = sweep.sweep_figure(rows, args.x, args.y, args.panel)
    for path in sweep.save_sweep(args.folder, rows, drawn):
        print(f"{len(rows)} runs -> {os.path.relpath(path)}")
