"""Maps of the sheets of the experiment `topography`, and its measures with intervals.

    graphcolumns experiment topography keep_runs=true out=runs/topography
    python docs/measurements/topography.py runs/topography docs/measurements

Reads `rows.csv` and, for the maps, the run folders of the first seed. Writes `topography.png`, and
to standard output the paired differences to the arm `none` of every measure.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from graphcolumns import load
from graphcolumns.analysis.experiment.interval import mean_interval, paired_interval
from graphcolumns.studies.topography import selectivity_maps

SIDE = 12
MEASURES = {
    "moran": "Moran's I of d'",
    "tuning_r": "r(tuning, distance)",
    "spatial_loss": "TDANN spatial loss",
    "kernel_loss": "All-TNN spatial loss",
    "smoothness": "TDANN smoothness",
    "attended_length": "attended length (px)",
    "test_accuracy": "test accuracy",
}
DRAWN = list(MEASURES)[:4]


def read(path):
    """Numbers by variant, measure, arm and seed, arms and variants in the order of the rows."""
    values = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["kind"] == "final" and row["status"] == "ok":
                for name, value in row.items():
                    if name.removesuffix("_z").removeprefix("untrained_") in MEASURES and value:
                        values[row["variant"]][name][row["arm"]][int(row["seed"])] = float(value)
    return values


@torch.no_grad()
def preferred(folder):
    """Class with the largest d' over channels, of every column, ``[SIDE, SIDE]``."""
    run = load(folder)
    batch = run.data.batch("test", torch.arange(run.data.size("test")))
    maps = selectivity_maps(run.model.eval()(batch.inputs).state, batch.targets)
    by_class = maps.reshape(10, -1, SIDE * SIDE)
    return by_class.max(1).argmax(0).reshape(SIDE, SIDE)


def run_folder(root, arm, variant, seed):
    """The folder in which the harness kept a run."""
    names = [text.replace(" ", "_20_") for text in (arm, variant)]
    return root.joinpath("runs", "final", *names, f"seed{seed}")


def draw(values, root, path):
    """Maps of the first seed above, measures below: one column of panels per measure."""
    variants = list(values)
    arms = list(values[variants[0]]["moran"])
    figure = plt.figure(figsize=(13, 9.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1])
    axes = top.subplots(len(variants), len(arms), squeeze=False)
    for y, variant in enumerate(variants):
        for x, arm in enumerate(arms):
            axis = axes[y, x]
            axis.set_xticks([])
            axis.set_yticks([])
            classes = preferred(run_folder(root, arm, variant, 0))
            shown = axis.imshow(classes, cmap="tab10", vmin=-0.5, vmax=9.5)
            axis.set_title(arm if y == 0 else "")
            axis.set_ylabel(f"input: {variant}" if x == 0 else "")
    top.colorbar(shown, ax=axes, ticks=range(10), label="digit of the largest d'", shrink=0.8)
    panels = bottom.subplots(1, len(DRAWN))
    for axis, name in zip(panels, DRAWN, strict=True):
        for k, variant in enumerate(variants):
            for x, arm in enumerate(arms):
                here, before = values[variant][name][arm], values[variant][f"untrained_{name}"][arm]
                found = mean_interval(list(here.values()))
                at, colour = x + 0.24 * k - 0.12, f"C{k}"
                bars = [[found.mean - found.low], [found.high - found.mean]]
                label = f"input: {variant}" if x == 0 else None
                axis.errorbar(at, found.mean, bars, fmt="o", color=colour, label=label)
                untrained = np.mean(list(before.values()))
                label = f"untrained, {variant}" if x == 0 else None
                axis.plot(at, untrained, "_", color=colour, markersize=12, label=label)
        axis.set_title(MEASURES[name])
        axis.set_xticks(range(len(arms)), arms, rotation=60, ha="right")
        axis.axhline({"spatial_loss": 0.5, "kernel_loss": 1.0}.get(name, 0), color="0.7", lw=0.8)
    bottom.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=110)


def differences(values):
    """Paired differences to ``none``, one line of a table per arm."""
    for variant, measures in values.items():
        print(f"\n| {variant} |", " | ".join(MEASURES.values()), "|")
        for arm in measures["moran"]:
            cells = []
            for name in MEASURES:
                here, none = measures[name].get(arm, {}), measures[name]["none"]
                if arm == "none" or not set(here) & set(none):
                    cells.append("-")
                    continue
                mean, low, high, _ = paired_interval(here, none)
                mark = "**" if low * high > 0 else ""
                cells.append(f"{mark}{mean:+.3f} [{low:+.3f}, {high:+.3f}]{mark}")
            print(f"| {arm} |", " | ".join(cells), "|")


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    results = read(source / "rows.csv")
    draw(results, source, target / "topography.png")
    differences(results)
