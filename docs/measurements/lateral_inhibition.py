"""Does lateral inhibition make the activity of a sheet sparse, and at what cost in accuracy?

A sheet of 64 columns learns the digits. After each of its steps columns compete along lateral edges
(`model.attention.inhibition`), and those below a threshold are silent. Arms: no inhibition; an L1
penalty on the state (`losses={"activity": ...}`); inhibition between columns, or on every channel,
at several thresholds; the same threshold without lateral weights; and lateral edges that are
rewired by `set` or by `exact`, while the edges of attention stay.

Thresholds were chosen on seed 100, not used here, in five runs of 150 steps. Written before the
run. "Inhibition gives sparse activity at little cost" is falsified if no arm with inhibition has
less than half of the columns active at an accuracy within two points of the arm without. "It is
better than an L1 penalty" is falsified if an arm with a penalty is at least as sparse
(Treves-Rolls) at the same accuracy or a better one. "Lateral weights matter" is falsified if the
arm without them is as accurate and as sparse, within one standard deviation. "Rewiring lateral
edges pays" is falsified if neither rule beats the fixed edges by more than one standard deviation.
"A winner-take-all circuit does the same" is falsified if no arm with one has less than 60 % of the
columns active within two points of accuracy of the arm without inhibition.

    OMP_NUM_THREADS=1 python docs/measurements/lateral_inhibition.py docs/measurements
"""

import csv
import json
import sys
import tempfile
from multiprocessing import Pool
from pathlib import Path
from statistics import mean, stdev

import torch

from geometries import grid
from graphcolumns import TrainOptions, connect, train
from graphcolumns.data import digits
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import presets
from graphcolumns.training.terms import TERMS

SEEDS, STEPS = range(3), 200
# Smaller than this share of the mean activity counts as silent: an L1 penalty makes no exact zeros.
SILENT = 0.01
ARMS = {
    "no inhibition": {},
    "L1 penalty .1": {"penalty": 0.1},
    "L1 penalty 1": {"penalty": 1.0},
    "L1 penalty 10": {"penalty": 10.0},
    "columns, threshold .1": {"threshold": 0.1},
    "columns, threshold .2": {"threshold": 0.2},
    "columns, threshold .4": {"threshold": 0.4},
    "channels, threshold .1": {"threshold": 0.1, "competition": "channel"},
    "channels, threshold .3": {"threshold": 0.3, "competition": "channel"},
    "columns, winner-take-all, threshold .1": {"threshold": 0.1, "circuit": "wta"},
    "columns, winner-take-all, threshold .2": {"threshold": 0.2, "circuit": "wta"},
    "columns, winner-take-all, threshold .4": {"threshold": 0.4, "circuit": "wta"},
    "columns, threshold .2, no lateral weights": {"threshold": 0.2, "strength": 0, "frozen": True},
    "columns, threshold .2, edges by set": {"threshold": 0.2, "rule": presets.set},
    "columns, threshold .2, edges by exact": {"threshold": 0.2, "rule": presets.exact},
}
NUMBERS = ("accuracy", "columns_active", "units_active", "treves_rolls", "hoyer", "swapped")


def one_run(seed: int, arm: dict) -> dict[str, float]:
    """Trains one model and measures it on the test half."""
    torch.manual_seed(seed)
    geometry, data = grid.sheet(8, 8), digits()
    names = ("threshold", "competition", "strength", "circuit")
    model = sheet(
        geometry,
        connect.nearest(geometry, degree=8),
        image_size=8,
        in_channels=1,
        num_classes=10,
        channels=8,
        depth=3,
        interface={"patch": 3, "stride": 1, "padding": 1},
        attention={"inhibition": {name: arm[name] for name in names if name in arm}},
    )
    if arm.get("frozen"):
        model.dynamics.lateral.weight.requires_grad_(False)
    options = (
        {"losses": {"activity": (arm["penalty"], TERMS["activity"])}} if "penalty" in arm else {}
    )
    if "rule" in arm:
        more = {"samples": 128, "check_samples": 64} if arm["rule"] is presets.exact else {}
        rule = arm["rule"](STEPS, every=20, stop=0.75, **more)
        options |= {"plasticity": {"lateral": rule}, "geometry": geometry}
    first = None if model.dynamics is None else set(edges(model))
    with tempfile.TemporaryDirectory() as folder:
        setting = TrainOptions(steps=STEPS, lr=3e-3, seed=seed, progress=False)
        train(model, data, run=Path(folder) / "run", options=setting, **options)
    found = measure(model, data)
    found["swapped"] = 0 if first is None else len(first - set(edges(model)))
    return found


def named_run(run: tuple[str, int]) -> dict:
    """One row of the raw data."""
    arm, seed = run
    return {"arm": arm, "seed": seed, **one_run(seed, ARMS[arm])}


def edges(model: torch.nn.Module) -> list[tuple[int, int]]:
    """Lateral edges as pairs of target and source."""
    graph = model.dynamics.graph
    return list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))


@torch.no_grad()
def measure(model: torch.nn.Module, data: object) -> dict[str, float]:
    """Accuracy and sparsity of the last state, on the test half."""
    output = model.eval()(data.test_inputs)
    state = output.state.transpose(0, 1)  # [B, N, C]
    activity = state.square().mean(2).sqrt()
    units = state.flatten(1).abs()
    return {
        "accuracy": 100 * float((output.prediction.argmax(1) == data.test_targets).float().mean()),
        "columns_active": 100 * float(active(activity)),
        "units_active": 100 * float(active(units)),
        "treves_rolls": float(
            (activity.mean(1) ** 2 / activity.square().mean(1)).nan_to_num().mean()
        ),
        "hoyer": float(hoyer(units).nan_to_num(1.0).mean()),
    }


def active(values: torch.Tensor) -> torch.Tensor:
    """Share of `[B, n]` above the share SILENT of the mean of all."""
    return (values > SILENT * values.mean()).float().mean()


def hoyer(values: torch.Tensor) -> torch.Tensor:
    """Hoyer's sparseness of `[B, n]`: 0 if all are equal, 1 if one is active."""
    root = values.shape[1] ** 0.5
    return (root - values.sum(1) / values.norm(dim=1)) / (root - 1)


def main() -> None:
    """Runs all arms, then writes the raw data and prints the table."""
    folder, rows = Path(sys.argv[1]), []
    runs = [(arm, seed) for seed in SEEDS for arm in ARMS]
    with Pool(2) as pool:
        for row in pool.imap(named_run, runs):
            rows.append(row)
            print(json.dumps(row), flush=True)
    with open(folder / "lateral_inhibition.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["arm", "seed", *NUMBERS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm]
        cells = [[row[name] for row in mine] for name in NUMBERS]
        print(f"| {arm} | " + " | ".join(f"{mean(c):.3g} ± {stdev(c):.2g}" for c in cells) + " |")


if __name__ == "__main__":
    main()
