"""`graphcolumns collect`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from graphcolumns.analysis import sweep


def collect(arguments: list[str]) -> None:
    """Write the finished runs below FOLDER as FOLDER/sweep.csv and FOLDER/sweep.png."""
    parser = argparse.ArgumentParser("graphcolumns collect", description=collect.__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the sweep wrote its runs"
    )
    parser.add_argument("--x", metavar="KEY", help="what was varied, along the axis")
    parser.add_argument("--y", metavar="NAME", help="a result of summary.json")
    parser.add_argument("--panel", metavar="KEY", help="what was varied, one panel per value")
    asked = parser.parse_args(arguments)
    rows = sweep.collect(asked.folder)
    drawn = sweep.figure(rows, asked.x, asked.y, asked.panel)
    for path in sweep.save(asked.folder, rows, drawn):
        print(f"{len(rows)} runs -> {os.path.relpath(path)}")
