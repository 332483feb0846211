"""Draws the figures of the experiments `activity` and `placements` from their rows.

python docs/measurements/sheet_figures.py docs/measurements
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from graphcolumns.analysis.experiment import mean_interval

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"


def rows_of(path: Path) -> list[dict]:
    """Final rows of an experiment that went well."""
    with path.open() as file:
        return [r for r in csv.DictReader(file) if (r["kind"], r["status"]) == ("final", "ok")]


def bars(axes, place, rows, name, colour, label=None, scale=1.0, marker="o"):
    """Mean and interval over seeds at a place, and every seed as a faint dot."""
    values = [scale * float(row[name]) for row in rows]
    found = mean_interval(values)
    axes.plot([place] * len(values), values, ".", color=colour, alpha=0.3, markersize=4)
    half = found.high - found.mean
    axes.errorbar(place, found.mean, half, color=colour, marker=marker, capsize=3, label=label)


def activity(folder: Path) -> None:
    """Active units over training, and what columns have in common with near and far ones."""
    rows = rows_of(folder / "activity.csv")
    pick = lambda arm, variant="320 steps": [  # noqa: E731
        r for r in rows if (r["arm"], r["variant"]) == (arm, variant)
    ]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    steps = (20, 80, 320)
    for shift, (arm, colour, label) in enumerate(
        [("untied", BLUE, "labels"), ("permuted_labels", ORANGE, "permuted labels")]
    ):
        for step in steps:
            some, first = pick(arm, f"{step} steps"), step == steps[0]
            bars(left, step * 1.06**shift, some, "active_percent", colour, label if first else None)
    bars(left, 320 * 1.13, pick("shared"), "active_percent", GREEN, "shared columns", marker="s")
    untrained = mean_interval([float(r["untrained_active_percent"]) for r in pick("untied")])
    left.axhline(untrained.mean, color=GREY, linestyle="--", label="untrained")
    left.set(xscale="log", xlabel="steps of training", ylabel="active hidden units (%)")
    left.set_xticks(steps, list(map(str, steps)))
    left.minorticks_off()
    arms = ["untied", "permuted_labels", "smooth_states", "smooth_weights", "shared"]
    for place, arm in enumerate(arms):
        for name, colour, side in (("near", BLUE, -0.1), ("far", ORANGE, 0.1)):
            label = f"{name} columns" if not place else None
            bars(middle, place + side, pick(arm), f"{name}_cka", colour, label)
            level = mean_interval([float(r[f"untrained_{name}_cka"]) for r in pick(arm)]).mean
            middle.hlines(level, place - 0.35, place + 0.35, color=colour, linestyle=":", lw=1)
        for name, colour in (("own", GREY), ("near", BLUE), ("far", ORANGE)):
            label = {"own": "its own column"}.get(name, f"{name} columns") if not place else None
            bars(right, place, pick(arm), f"{name}_accuracy", colour, label, scale=100)
    middle.set_ylabel("unbiased CKA (dotted: untrained)")
    right.set_ylabel("a probe reads ... (%)")
    right.axhline(10.8, color="black", linestyle=":", lw=1, label="chance")
    for axes in (middle, right):
        names = [arm.replace("_", "\n") for arm in arms]
        axes.set_xticks(range(len(arms)), names, fontsize=8)
        axes.set_ylim(0, None)
    for axes in (left, middle, right):
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.25)
    figure.savefig(folder / "activity.png", dpi=150)


def placements(folder: Path) -> None:
    """Wiring ratios of the same graphs at positions from five sources."""
    rows = rows_of(folder / "placements.csv")
    shown = {
        "first": GREY, "given": BLUE, "swapped": PINK, "mds": ORANGE, "spectral": GREEN,
    }  # fmt: skip
    names = {"given": "learned", "mds": "metric MDS", "swapped": "swaps of the first ones"}
    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axes, arm, weight in zip(both, ("weak", "strong"), (0.1, 1.0), strict=True):
        for place, graph in enumerate(("nearest", "random", "rewired")):
            some = [r for r in rows if (r["arm"], r["variant"]) == (arm, graph)]
            for side, (name, colour) in zip(np.linspace(-0.3, 0.3, 5), shown.items(), strict=True):
                label = names.get(name, name) if not place else None
                bars(axes, place + side, some, f"{name}_ratio", colour, label)
        axes.set_xticks(range(3), ["nearest", "random", "rewired (rigl)"])
        axes.set_title(f"weight of the wiring loss {weight:g}", fontsize=10)
        axes.axhline(1, color="black", linestyle=":", lw=1)
        axes.set_ylim(0, 1.1)
        axes.grid(alpha=0.25)
    both[0].set_ylabel("wiring ratio (1: permuted positions)")
    both[1].legend(frameon=False, fontsize=8, title="positions", title_fontsize=8)
    figure.savefig(folder / "placements.png", dpi=150)


if __name__ == "__main__":
    activity(Path(sys.argv[1]))
    placements(Path(sys.argv[1]))
