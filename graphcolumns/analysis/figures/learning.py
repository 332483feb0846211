"""Learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis.entries import is_of_update, metric_entries, series
from graphcolumns.analysis.picture import Picture, png, table

HALVES = ("train_", "test_", "validation_")
WIDTH = 4  # panels in a row
LAST = ("norm of the gradient", "learning rate")


def learning(run: Path) -> Picture | None:
    """Every number of ``metrics.jsonl`` against the optimizer step; None without entries.

    What updates of the wiring note has pictures of its own.
    """
    entries = metric_entries(run)
    if not entries:
        return None
    names = [name for name in dict.fromkeys(k for e in entries for k in e) if _is_shown(name)]
    if all(entry.get("loss") == entry.get("task") for entry in entries):
        names = [name for name in names if name != "task"]  # no other term was minimised
    shown: dict[str, list[str]] = {"loss": []}
    for name in names:
        shown.setdefault(_panel(name), []).append(name)
    order = (*(label for label in shown if label not in LAST), *LAST)
    shown = {label: shown[label] for label in order if shown.get(label)}
    if not shown:
        return None
    rows, width = -(-len(shown) // WIDTH), min(len(shown), WIDTH)
    figure = Figure(figsize=(3.4 * width, 2.8 * rows), layout="constrained")
    cells = figure.subplots(rows, width, squeeze=False).ravel()
    for axes in cells[len(shown) :]:
        axes.set_visible(False)
    for axes, (label, group) in zip(cells, shown.items(), strict=False):
        for name in group:
            steps, values = series(entries, name)
            axes.plot(steps, values, lw=0.6, alpha=0.35 if len(steps) > 50 else 1.0, color=None)
            if len(steps) > 50:
                axes.plot(steps, _smooth(values), lw=1.6, color=axes.lines[-1].get_color())
            axes.lines[-1].set_label(name)
        axes.set(xlabel="optimizer step", ylabel=label)
        axes.grid(alpha=0.25)
        if label == "loss" and all(series(entries, name)[1].min() > 0 for name in group):
            axes.set_yscale("log")
        if len(group) > 1:
            axes.legend(frameon=False, fontsize=8)
    columns = {"step": [entry["step"] for entry in entries]}
    columns |= {name: [entry.get(name, "") for entry in entries] for name in names}
    caption = (
        "Each optimizer step on its batch (thin) and smoothed over 2 % of the run (thick). "
        "The held-out half is not in it: it is scored once, at the end."
    )
    return Picture("learning", "Learning", caption, png(figure), table(columns))


def _is_shown(name: str) -> bool:
    return name != "step" and not is_of_update(name)


def _panel(name: str) -> str:
    """The panel of a number: losses together, every metric of the task by itself."""
    known = {"gradient_norm": LAST[0], "lr": LAST[1]}
    if name.endswith("accuracy") or name in known:
        return known.get(name, "accuracy")
    half = next((half for half in HALVES if name.startswith(half)), None)
    metric = "loss" if half is None else name.removeprefix(half)
    return metric.replace("_", " ")


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a window that is cut off at both ends."""
    width = max(3, len(values) // 50)
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
