"""What the wiring costs over a run, and how far it has moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphcolumns.analysis.draw import BORN, STAYED
from graphcolumns.analysis.edge_lifetimes import Lifetimes, edges_explored, likeness, totals
from graphcolumns.analysis.entries import series
from graphcolumns.analysis.layout import Floats, Ids
from graphcolumns.analysis.picture import Picture, png, table


def budget(
    found: Lifetimes, lengths: Floats, unit: str, entries: Sequence[dict[str, Any]] = ()
) -> Picture:
    """Edges, wire and mean length at each moment.

    Args:
        found: Lifetimes of ``L`` edges.
        lengths: Lengths of these edges, ``[L]``.
        unit: Unit of lengths.
        entries: Entries of ``metrics.jsonl``; they hold the wire of columns that have moved.
    """
    count, wire = totals(found), totals(found, lengths)
    between = totals(found, (found.source != found.target).astype(float))
    mean = wire / np.where(between > 0, between, 1)
    figure = Figure(figsize=(9.6, 2.8), layout="constrained")
    cells = figure.subplots(1, 3)
    labels = ("edges", f"wire, all edges ({unit})", f"mean length ({unit})")
    for axes, values, label in zip(cells, (count, wire, mean), labels, strict=True):
        _stairs(axes, found.steps, values, label)
    for axes, values in zip(cells[:2], (count, wire), strict=True):
        axes.set_ylim(0, 1.08 * max(values.max(), 1e-12))
    moved = _noted(cells[1], found, wire, entries)
    columns = {"step": found.steps, "edges": count.astype(int), "wire": wire, "mean_length": mean}
    return Picture(
        "budget",
        "Edges and wire",
        f"After each update: how many edges there are, their lengths together, and the mean "
        f"length of an edge between different columns, in {unit}.{moved}",
        png(figure),
        table(columns),
    )


def exploration(
    found: Lifetimes, num_pairs: int, entries: Sequence[dict[str, Any]] = ()
) -> Picture:
    """How many pairs have been tried, and how much of the first wiring is left.

    Args:
        found: Lifetimes of ``L`` edges.
        num_pairs: Number of pairs of a target and a source; the share that the run noted itself
            is preferred.
        entries: Entries of ``metrics.jsonl``; ``explored`` is taken from them.
    """
    ever, like = edges_explored(found), likeness(found)
    steps, share = series(entries, "explored")
    of = "pairs that this rule may connect"
    if not len(steps):
        steps, share, of = found.steps, ever / num_pairs, "all pairs of columns"
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _stairs(left, steps, 100 * share, "pairs ever connected (%)")
    left.set_ylim(0, max(108 * share.max(), 1e-9))
    _stairs(right, found.steps, like, "Jaccard index with the start")
    right.set_ylim(0, 1.05)
    return Picture(
        "explored",
        "Pairs explored",
        f"Left: the share of {of} that have been edges up to a step, {ever[-1]:,} different ones "
        "by the end (the Rs of Liu et al., In-time over-parameterization, 2021). Right: edges that "
        "are shared with the start over edges of either (Jaccard index).",
        png(figure),
        table({"step": found.steps, "edges_ever": ever, "likeness": like}),
    )


def _noted(axes: Axes, found: Lifetimes, wire: Floats, entries: Sequence[dict[str, Any]]) -> str:
    """Draw the wire that was measured at the time where it differs, and say so."""
    steps, then = series(entries, "wiring_length")
    known = np.isin(steps, found.steps)
    steps, then = steps[known], then[known]
    now = wire[np.searchsorted(found.steps, steps)]
    if np.allclose(then, now, rtol=0.01):
        return ""
    axes.step(steps, then, where="post", color=STAYED, ls="--")
    axes.set_ylim(0, 1.08 * max(wire.max(), then.max()))
    return (
        " Columns have moved: lengths are measured where columns are in this report, the dashed "
        "line where they were at the time."
    )


def _stairs(axes: Axes, steps: Ids, values: np.ndarray, label: str) -> None:
    """A number that changes only at updates."""
    axes.step(steps, values, where="post", color=BORN)
    axes.plot(steps[-1:], values[-1:], ".", color=BORN)
    axes.set(xlabel="optimizer step", ylabel=label)
    axes.grid(alpha=0.25)
