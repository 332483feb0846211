"""How well the vertices of each region are predicted."""

from __future__ import annotations

import html

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis.brain import EncodingTable
from graphcolumns.analysis.brain.table import COLUMNS, HEADINGS, SHOWN
from graphcolumns.analysis.picture import Picture, png

DRAWN = 100  # rows of the picture; the tables have all
# Distinct for every kind of colour vision (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00")


def region_scores(found: EncodingTable) -> Picture:
    """Medians by region, as a table and, without clipped shares, as dots.

    Args:
        found: Scores of one model by region.
    """
    columns = [
        name for name in SHOWN if bool(found.values[:, 0, COLUMNS.index(name)].isfinite().any())
    ]
    cut = f" The picture has the first {DRAWN} rows." if len(found.rows) > DRAWN else ""
    values = {name: found.values[:, 0, COLUMNS.index(name)].numpy() for name in columns}
    return Picture(
        "region_scores",
        "Scores by region",
        "Median over vertices of the correlation r of predicted and measured responses over "
        "held-out samples, and, where there are noise ceilings NC, of the share r²/NC of the "
        "variance that can be explained. A vertex with a ceiling of 0 has no share; clipped "
        "shares are 1 where they exceed it. Vertices may be in several rows. Grey line: 0." + cut,
        png(_dots(found, values)),
        found.csv(),
        _table(found, values),
    )


def _dots(found: EncodingTable, values: dict[str, np.ndarray]) -> Figure:
    rows = found.rows[:DRAWN]
    figure = Figure(figsize=(6.4, 0.22 * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots()
    for (name, each), mark, colour in zip(values.items(), "o^", COLOURS, strict=False):
        axes.plot(each[: len(rows)], range(len(rows)), mark, color=colour, ms=5, label=_said(name))
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color="0.6", lw=0.8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel("median over vertices (no unit)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    return figure


def _said(column: str) -> str:
    return HEADINGS[column]


def _table(found: EncodingTable, values: dict[str, np.ndarray]) -> str:
    """The same as a table of the page."""
    head = ["", "", "vertices", *map(_said, values)]
    lines = [_row(head, "th")]
    for place, row in enumerate(found.rows):
        kind = "" if row.kind == row.name else row.kind
        numbers = [_number(each[place]) for each in values.values()]
        lines.append(_row([row.name, kind, f"{row.vertices:,}", *numbers], "td"))
    return f'<table class="regions">{"".join(lines)}</table>'


def _row(cells: list[str], kind: str) -> str:
    inside = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
    return f"<tr>{inside}</tr>"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:z.3f}"
