"""Who finds the far partners? Precision and recall of planted edges against updates.

    OMP_NUM_THREADS=1 python tests/benchmarks/recovery.py docs/measurements/recovery

The planted task on 64 columns: five in-edges each, at first the nearest. One rule, `exact`, with
its candidates from different samplers; and other rules with all pairs as candidates. A far partner
counts as found when its edge is there.
"""

import argparse
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tqdm import tqdm

from geometries import grid
from graphcolumns import checkpoint, connect, data, train
from graphcolumns.analysis.recovery import recovery
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import presets, samplers

STEPS, EVERY = 2000, 50
COMMON = {"every": EVERY, "stop": 0.75, "fraction": 0.1}
NEAR = partial(samplers.distance, length=1.0)
ARMS = {
    "exact, all pairs": lambda: presets.exact(STEPS, sampler=samplers.everything, **COMMON),
    "exact, uniform": lambda: presets.exact(STEPS, sampler=samplers.uniform, **COMMON),
    "exact, norms": lambda: presets.exact(STEPS, sampler=samplers.norms, **COMMON),
    "exact, two hops": lambda: presets.exact(STEPS, sampler=samplers.two_hop, **COMMON),
    "exact, distance (1 px)": lambda: presets.exact(STEPS, sampler=NEAR, **COMMON),
    "exact, distance and uniform": lambda: presets.exact(
        STEPS,
        sampler=partial(samplers.mixture, parts=[NEAR, samplers.uniform], shares=[1.0, 1.0]),
        **COMMON,
    ),
    "rigl, all pairs": lambda: presets.rigl(STEPS, sampler=samplers.everything, **COMMON),
    "chts, all pairs": lambda: presets.chts(STEPS, sampler=samplers.everything, **COMMON),
    "set": lambda: presets.set(STEPS, **COMMON),
}


def one(arm: str, seed: int) -> dict:
    """Recovery after every update of one run, and its accuracy."""
    torch.manual_seed(seed)
    geometry, permutation = grid.sheet(8, 8).reorder()
    task = data.planted()
    truth = task.truth_at(permutation)
    far = truth[:, geometry.distance(*truth) >= 4.0]
    model = sheet(
        geometry, connect.nearest(geometry, degree=5), permutation=permutation,
        image_size=8, in_channels=1, num_classes=64, channels=16, heads=2, depth=2,
        weights={"attention": "shared"}, interface={"readout": "columns"},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        summary = train(
            model, task, run=run, steps=STEPS, batch_size=32, lr=3e-3,
            plasticity=ARMS[arm](), geometry=geometry, seed=seed, progress=False,
        )  # fmt: skip
        events = checkpoint.read_history(run)
    graphs = [checkpoint.replay(events[: n + 1], 64) for n in range(len(events))]
    return {
        "arm": arm,
        "seed": seed,
        "step": [event.step for event in events],
        "recall": [recovery(graph, truth)["recall"] for graph in graphs],
        "precision": [recovery(graph, truth)["precision"] for graph in graphs],
        "far": [recovery(graph, far)["recall"] for graph in graphs],
        "accuracy": summary["test_accuracy"],
    }


def figure(rows: list[dict], path: Path) -> None:
    """Recall of far partners and precision, each arm with all its seeds."""
    panels, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharex=True)
    colours = plt.get_cmap("tab10").colors
    for arm, colour in zip(ARMS, colours, strict=False):
        for number, row in enumerate(r for r in rows if r["arm"] == arm):
            label = arm if not number else None
            for axis, key in zip(axes, ("far", "precision"), strict=True):
                axis.plot(row["step"], row[key], color=colour, lw=1.2, label=label)
    axes[0].set(xlabel="optimizer steps", ylabel="far partners found (share)", ylim=(-0.02, 1.02))
    axes[1].set(xlabel="optimizer steps", ylabel="edges that the task asks for (share)")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    panels.savefig(path, dpi=120)


def table(rows: list[dict]) -> str:
    """Mean and range over the seeds."""
    lines = [
        "| rule and candidates | far partners found | precision | updates to 90 % | accuracy |",
        "|--|--|--|--|--|",
    ]
    for arm in ARMS:
        some = [row for row in rows if row["arm"] == arm]
        ends = [row["far"][-1] for row in some]
        reach = [next((n for n, r in enumerate(row["far"]) if r >= 0.9), None) for row in some]
        found = ", ".join("never" if n is None else str(n) for n in reach)
        cells = [
            f"{statistics.mean(ends):.0%} ({min(ends):.0%} to {max(ends):.0%})",
            f"{statistics.mean(row['precision'][-1] for row in some):.0%}",
            found,
            f"{statistics.mean(row['accuracy'] for row in some):.1%}",
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="name of the files, without ending")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    runs = [(arm, seed) for arm in ARMS for seed in range(arguments.seeds)]
    rows = [one(*run) for run in tqdm(runs)]
    arguments.out.with_suffix(".json").write_text(json.dumps(rows) + "\n")
    arguments.out.with_suffix(".md").write_text(table(rows) + "\n")
    figure(rows, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
