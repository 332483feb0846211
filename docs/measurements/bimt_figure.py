"""The networks of one seed of ``graphcolumns experiment bimt keep_runs=true``, and its numbers.

python docs/measurements/bimt_figure.py runs/experiments/bimt docs/measurements/bimt.png
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import graphcolumns
from graphcolumns.studies.formula_split import PrunedNetwork, hidden_columns, prune_network

ARMS = {
    ("none", "x1"): "no cost",
    ("l1", "x1"): "L1",
    ("l1", "x4"): "L1, 4 times as strong",
    ("length", "x1"): "length",
    ("bimt", "x1"): "length and swaps",
}
FIRST, SECOND, CROSSED = np.array([[0.12, 0.47, 0.71], [1.0, 0.5, 0.05], [0.75, 0.05, 0.1]])
NUMBERS = {
    "cross_talk": "cross-talk (%)",
    "pruned_r2": "held-out R², pruned (%)",
    "weights": "weights left",
    "excess_modularity": "Q minus Q of the null",
    "mean_wire": "length per weight",
}


def draw_network(axes: Axes, found: PrunedNetwork, geometry, title: str) -> None:
    """Edges at their places: width by weight, colour by the formulas whose paths they carry."""
    layer = geometry.areas.numpy()
    places = np.stack([geometry.positions[:, -1].numpy(), layer], axis=1)
    target, source = found.graph.target.numpy(), found.graph.source.numpy()
    through = found.paths.through_edge
    total = through.sum((1, 2)).clip(1e-12)
    shares = np.stack([through[:, 0, 0], through[:, 1, 1]], 1) / total[:, None]
    colours = shares @ np.array([FIRST, SECOND]) + (1 - shares.sum(1, keepdims=True)) * CROSSED
    order = np.argsort(found.weight)
    ends = np.stack([places[source], places[target]], axis=1)[order]
    widths = 0.25 + 2.5 * found.weight[order] / found.weight.max()
    axes.add_collection(
        LineCollection(list(ends), colors=colours[order].clip(0, 1), linewidths=widths)
    )
    used = hidden_columns(found) | (layer == 0) | (layer == layer.max())
    axes.scatter(*places[used].T, s=14, color="black", zorder=3)
    axes.scatter(*places[~used].T, s=6, color="0.8", zorder=3)
    for at, name in zip(found.model.inputs_at.tolist(), ("x₁", "x₂", "x₃", "x₄"), strict=True):
        axes.annotate(
            name, (places[at, 0], -0.32), ha="center", color=(FIRST, SECOND, FIRST, SECOND)[at]
        )
    for at, (name, colour) in zip(
        found.model.outputs_at.tolist(), (("y₁", FIRST), ("y₂", SECOND)), strict=True
    ):
        axes.annotate(name, (places[at, 0], layer.max() + 0.14), ha="center", color=colour)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.5, layer.max() + 0.45))
    axes.set_title(f"{title}\ncross-talk {100 * found.paths.cross_talk:.1f} %", fontsize=9)
    axes.axis("off")


def draw_numbers(axes: Axes, rows: list[dict[str, str]], name: str) -> None:
    """Every seed as a dot, and the mean."""
    for place, (arm, variant) in enumerate(ARMS):
        own = [r for r in rows if (r["arm"], r["variant"]) == (arm, variant)]
        factor = 100 if name in ("cross_talk", "pruned_r2") else 1
        values = [factor * float(row[name]) for row in own]
        axes.plot(np.linspace(-0.15, 0.15, len(values)) + place, values, "o", ms=3, color="0.45")
        axes.plot([place - 0.3, place + 0.3], 2 * [np.mean(values)], color="black")
    axes.set_title(NUMBERS[name], fontsize=9)
    axes.set_xticks(range(len(ARMS)), ["none", "L1", "L1, 4x", "length", "swaps"], fontsize=7)
    if name == "cross_talk":
        axes.axhline(5, color="0.6", linestyle=":", linewidth=1)
    axes.set_xlim(-0.5, len(ARMS) - 0.5)
    axes.tick_params(axis="y", labelsize=7)


def main(folder: str, picture: str, seed: int = 0) -> None:
    """Draws the networks of a seed and the numbers of all."""
    with (Path(folder) / "rows.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["kind"] == "final" and r["status"] == "ok"]
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    axes = figure.subplots(2, len(ARMS), height_ratios=[1.35, 1])
    for column, ((arm, variant), title) in enumerate(ARMS.items()):
        parts = graphcolumns.load(Path(folder) / "runs" / "final" / arm / variant / f"seed{seed}")
        found = prune_network(parts.model, parts.data, 0.01)
        draw_network(axes[0, column], found, parts.geometry, title)
        draw_numbers(axes[1, column], rows, list(NUMBERS)[column])
    figure.savefig(picture, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
