"""The figure of the experiment ``feedback``, from its rows.

python docs/measurements/feedback_figure.py docs/measurements
"""

import csv
import sys
from pathlib import Path

import matplotlib
import numpy as np

from graphcolumns.analysis.experiment.interval import mean_interval

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

ROWS, WIDTH = 12, 4
KINDS = {"feedback": "tab:red", "matched": "tab:grey", "random": "tab:blue", "forward": "tab:green"}
SIZES = (2, 4)
TRAINED = {
    "as it is": "intact_{}_accuracy",
    "without\nfeedback": "without_feedback_{}_accuracy",
    "without as\nmany matched": "without_matched_{}_accuracy",
}


def numbers(rows: list[dict[str, str]], name: str) -> list[float]:
    """A column of the rows that have it."""
    return [float(row[name]) for row in rows if row.get(name)]


def interval(axes: Axes, x: float, values: list[float], **style: object) -> None:
    """Mean, 95 % interval over seeds (of three or more) and every seed."""
    found = mean_interval(values)
    half = found.high - found.mean if found.size > 2 else None
    axes.errorbar(x, found.mean, half, capsize=3, marker="o", markersize=4, **style)
    axes.plot([x] * len(values), values, ".", color=style["color"], alpha=0.3, markersize=4)


def latency(axes: Axes, rows: list[dict[str, str]], name: str, last: float) -> object:
    """Mean latency of every column, rows of the sheet from the input on."""
    values = [[float(row[f"latency_{n:02d}"]) for n in range(ROWS * WIDTH)] for row in rows]
    mean = np.nanmean(values, axis=0).reshape(ROWS, WIDTH)
    image = axes.imshow(mean, vmin=1, vmax=last, cmap="viridis")
    for edge in (3.5, 7.5):
        axes.axhline(edge, color="white", linewidth=1)
    axes.set_title(name.replace("_", "\n"), fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([1.5, 5.5, 9.5], ["input", "between", "read-out"], fontsize=8)
    return image


def interactions(axes: Axes, arms: dict[str, list[dict[str, str]]]) -> None:
    """Effect of every cut on occluded images minus that on clean ones."""
    for place, (kind, colour) in enumerate(KINDS.items()):
        for group, rows in enumerate(arms.values()):
            for offset, size in enumerate(SIZES):
                values = numbers(rows, f"interaction_{kind}_{size}")
                x = group + 0.18 * (place - 1.5) + 0.07 * (offset - 0.5)
                label = kind if not group and not offset else None
                interval(axes, x, values, color=colour, label=label, alpha=0.5 + 0.5 * offset)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(arms)), arms, fontsize=8)
    axes.set_ylabel("loss of a cut, occluded minus clean (nats)")
    axes.set_title("edges cut; faint: square of 2 pixels, full: of 4", fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def retrained(axes: Axes, arms: dict[str, list[dict[str, str]]]) -> None:
    """Accuracy with feedback edges, and trained without."""
    colours = ("black", "tab:red", "tab:grey")
    for group, rows in enumerate(arms.values()):
        for place, (name, column) in enumerate(TRAINED.items()):
            for offset, size in enumerate((0, 4)):
                if values := numbers(rows, column.format(size)):
                    x = group + 0.22 * (place - 1) + 0.08 * (offset - 0.5)
                    style = {"color": colours[place], "alpha": 1 - 0.5 * offset}
                    label = name.replace("\n", " ") if not group and not offset else None
                    interval(axes, x, [100 * v for v in values], label=label, **style)
    axes.set_xticks(range(len(arms)), arms, fontsize=8)
    axes.set_ylabel("test accuracy (%)")
    axes.set_title("trained from scratch; full: clean, faint: square of 4", fontsize=9)
    axes.legend(frameon=False, fontsize=8)


def figure(rows: list[dict[str, str]]) -> plt.Figure:
    """Latency on the sheet, interactions, and the control that never had feedback."""
    arms = {a: [r for r in rows if r["arm"] == a] for a in dict.fromkeys(r["arm"] for r in rows)}
    drawn = plt.figure(figsize=(12, 4.2), layout="constrained")
    left, middle, right = drawn.subfigures(1, 3, width_ratios=[1, 1.15, 1.15])
    maps = left.subplots(1, len(arms), sharey=True)
    last = max(numbers(rows, "latest"))
    for axes, (name, own) in zip(maps, arms.items(), strict=True):
        image = latency(axes, own, name, last)
    left.colorbar(image, ax=maps, label="first response (step)", shrink=0.6)
    interactions(middle.subplots(), arms)
    retrained(right.subplots(), {a: own for a, own in arms.items() if a != "rigl"})
    return drawn


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with (folder / "feedback.csv").open(encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    figure(found).savefig(folder / "feedback.png", dpi=110)
