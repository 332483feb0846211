"""Rows of a benchmark as a Markdown table, as JSON, and as a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import linear_regression
from typing import Any

from graphcolumns.bench.machine import headline
from graphcolumns.bench.row import Row

BEYOND_CACHE = 16384  # columns from which no cache holds all rows
GROWING = {"rewiring": "(edges + candidates)"}  # what a case is plotted against, if not its name


def markdown(rows: Sequence[Row]) -> str:
    """One table per case."""
    text = []
    for case in dict.fromkeys(row.case for row in rows):
        text += [f"### {case}", "", "| work | who | time | quartiles | over ours | limit | peak |"]
        text += ["|---|---|---:|---:|---:|---:|---:|"]
        own = [row for row in rows if row.case == case]
        text += [_line(row) for row in own] + [""] + _growth(case, own)
    return "\n".join(text)


def slope(rows: Sequence[Row], against: str, measured: Callable[[Row], float | None]) -> float:
    """Slope of the straight line through log(measured) against log(``values[against]``)."""
    points = [(row.values[against], measured(row)) for row in rows]
    x, y = zip(*[(math.log(a), math.log(b)) for a, b in points if b], strict=True)
    return linear_regression(x, y).slope


def _growth(case: str, rows: Sequence[Row]) -> list[str]:
    """How time and memory grow, for cases with a row per size."""
    lines = []
    for who in dict.fromkeys(row.who for row in rows if case in row.values):
        own = [row for row in rows if row.who == who]
        large = [row for row in own if case != "columns" or row.values[case] >= BEYOND_CACHE]
        if len(large) < 2:
            continue
        time = slope(large, case, lambda row: row.seconds.median if row.seconds else None)
        what = GROWING.get(case, case)
        line = f"{who}: time grows as {what}^{time:.2f}"
        line += f" from {large[0].values[case]:,.0f} on" if len(large) < len(own) else ""
        if all(row.memory for row in own):
            line += f", peak memory as {what}^{slope(own, case, lambda row: row.memory):.2f}"
        lines += [f"{line}.", ""]
    return lines


def _line(row: Row) -> str:
    cells = [row.shape, row.who]
    if row.seconds is None:
        cells += [row.note or "", ""]
    else:
        low, high = (f"{1e3 * value:.4g}" for value in row.seconds[1:])
        cells += [f"{row.seconds}", f"{low} to {high}"]
    cells.append("" if row.ratio is None else f"{row.ratio:.2f}x")
    cells.append("" if row.limit is None else f"{100 * row.limit:.0f} %")
    cells.append("" if row.memory is None else _bytes(row.memory))
    if row.seconds is not None and row.note:
        cells[1] += f" ({row.note})"
    return f"| {' | '.join(cells)} |"


def _bytes(number: float) -> str:
    if math.isnan(number):
        return "?"
    return f"{number / 2**20:.3g} MiB" if number < 2**30 else f"{number / 2**30:.3g} GiB"


def save_report(folder: Path, rows: Sequence[Row], about: dict[str, Any]) -> list[Path]:
    """Write ``bench.json``, ``bench.md`` and, with matplotlib, ``bench.png`` over earlier ones."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"about": about, "rows": [asdict(row) for row in rows]}
    files: dict[str, bytes] = {
        "bench.json": (json.dumps(content, indent=1) + "\n").encode(),
        "bench.md": f"{headline(about)}\n\n{markdown(rows)}".encode(),
    }
    try:
        from graphcolumns.bench.plot import picture
    except ImportError:  # a machine for measuring may have no matplotlib
        pass
    else:
        files["bench.png"] = picture(rows)
    for name, data in files.items():
        new = folder / f"{name}.tmp"
        new.write_bytes(data)
        new.replace(folder / name)
    return [folder / name for name in files]
