"""Learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis.entries import REWIRING, read, series
from graphcolumns.analysis.picture import Picture, png, table

HIDDEN = ("step", *REWIRING)


def learning(run: Path) -> Picture | None:
    """Every number of ``metrics.jsonl`` against the optimizer step; None without entries.

    What updates of the wiring note has pictures of its own.
    """
    entries = read(run)
    if not entries:
        return None
    names = [name for name in dict.fromkeys(k for e in entries for k in e) if name not in HIDDEN]
    if all(entry.get("loss") == entry.get("task") for entry in entries):
        names = [name for name in names if name != "task"]  # no other term was minimised
    losses = [n for n in names if n not in ("lr", "gradient_norm") and not n.endswith("accuracy")]
    groups = {
        "loss": losses,
        "accuracy": [name for name in names if name.endswith("accuracy")],
        "norm of the gradient": [name for name in names if name == "gradient_norm"],
        "learning rate": [name for name in names if name == "lr"],
    }
    shown = {label: group for label, group in groups.items() if group}
    if not shown:
        return None
    figure = Figure(figsize=(3.4 * len(shown), 2.8), layout="constrained")
    for axes, (label, group) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
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


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a window that is cut off at both ends."""
    width = max(3, len(values) // 50)
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
