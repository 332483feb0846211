"""How the lengths and the degrees of edges move over a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graphcolumns.analysis import draw
from graphcolumns.analysis.draw import BORN, STAYED
from graphcolumns.analysis.edge_lifetimes import Lifetimes, moments
from graphcolumns.analysis.layout import Floats, Ids
from graphcolumns.analysis.picture import Picture, padded_cells, png, table

BINS = 30


def lengths_at(found: Lifetimes, lengths: Floats, moment: int) -> Floats:
    """Lengths of the edges between different columns that are alive at a moment.

    Args:
        found: Lifetimes of ``L`` edges.
        lengths: Lengths of these edges, ``[L]``.
        moment: Moment at which the edges are alive.
    """
    return lengths[found.alive(moment) & (found.source != found.target)]


def degrees_at(
    found: Lifetimes, num_columns: int, moment: int, num_sources: int | None = None
) -> tuple[Ids, Ids]:
    """In-degrees ``[N]`` and out-degrees ``[M]`` at a moment; self-edges count in both."""
    alive = found.alive(moment)
    sources = num_columns if num_sources is None else num_sources
    into = np.bincount(found.target[alive], minlength=num_columns)
    return into, np.bincount(found.source[alive], minlength=sources)


def length_shift(found: Lifetimes, lengths: Floats, unit: str) -> Picture | None:
    """Lengths at the start, half way and at the end; None when no edge has any."""
    values = {moment: lengths_at(found, lengths, moment) for moment in moments(found, 3)}
    values = {moment: part for moment, part in values.items() if len(part)}
    longest = max((part.max() for part in values.values()), default=0.0)
    if longest <= 0:
        return None
    edges = np.linspace(0, longest * (1 + 1e-9), BINS + 1)
    figure = Figure(figsize=(8.6, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    columns = {"from": edges[:-1], "to": edges[1:]}
    for shade, (moment, part) in zip(draw.shades(len(values)), values.items(), strict=True):
        share = np.histogram(part, edges)[0] / len(part)
        name = f"step {found.steps[moment]:,}, mean {part.mean():.3g}"
        left.stairs(share, edges, color=shade, lw=1.6, label=name)
        right.ecdf(part, color=shade, lw=1.6)
        columns[f"step_{found.steps[moment]}"] = share
    left.legend(frameon=False, fontsize=8)
    left.set(xlabel=f"length ({unit})", ylabel="share of edges")
    right.set(xlabel=f"length ({unit})", ylabel="share of edges up to it")
    right.set(xlim=left.get_xlim(), ylim=(0, 1.03))
    left.grid(alpha=0.25)
    right.grid(alpha=0.25)
    return Picture(
        "length_shift",
        "Lengths of edges, then and now",
        "Edges between different columns at the start, half way through the changes and at the "
        f"end, by length in {unit}: in each class of lengths (left), and up to a length (right).",
        png(figure),
        table(columns),
    )


def degree_shift(found: Lifetimes, num_columns: int, num_sources: int | None = None) -> Picture:
    """In- and out-degrees at the start and at the end."""
    sources = num_columns if num_sources is None else num_sources
    first, last = (degrees_at(found, num_columns, moment, sources) for moment in (0, found.last))
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    ids = np.arange(max(num_columns, sources))
    columns: dict[str, Any] = {"column": ids}
    names = ("in-degree", "out-degree")
    for axes, name, before, after in zip(figure.subplots(1, 2), names, first, last, strict=True):
        _compare(axes, before, after)
        axes.set(xlabel=name, ylabel="columns")
        key = name.replace("-", "_")
        columns |= {
            f"{key}_at_start": padded_cells(before, ids),
            f"{key}_at_end": padded_cells(after, ids),
        }
    silent = [int((out == 0).sum()) for _, out in (first, last)]
    return Picture(
        "degree_shift",
        "Degrees, then and now",
        "Columns by the number of their sources (in-degree) and of their targets (out-degree), at "
        "the start and at the end. Columns without targets: "
        f"{silent[0]:,} at the start, {silent[1]:,} at the end.",
        png(figure),
        table(columns),
    )


def _compare(axes: Axes, before: Ids, after: Ids) -> None:
    """Two histograms over whole numbers, the later one as an outline."""
    low, high = min(before.min(), after.min()), max(before.max(), after.max())
    step = max(1, -(-(high + 1 - low) // BINS))
    bins = (np.arange(low, high + step + 1, step) - 0.5).tolist()
    axes.hist(before, bins, color=STAYED, alpha=0.6, label="start")
    axes.hist(after, bins, histtype="step", color=BORN, lw=1.8, label="end")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
