"""Does it cost accuracy that every step descends one energy? Denoising of natural patches.

Energy transformers and columnformers of equal parameters, steps, data and training remove noise and
gaps from 8 x 8 patches of photographs. Written before the run: "an energy costs accuracy" is
falsified for a kind of weights if the mean test error of the energy transformer is not above that
of the columnformer.

    OMP_NUM_THREADS=1 python docs/measurements/energy_transformer.py docs/measurements
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

import graphcolumns
from graphcolumns.data import natural_patches

SEEDS = (0, 1, 2)
STEPS = 6
ENERGY = {"untied": ["model.channels=16", "model.patterns=32"]}
FORMER = [
    "model=columnformer", f"model.depth={STEPS}", "model.channels=null",
    "model.interface.readout=columns", "model.interface.drive=initial",
]  # fmt: skip


def train(folder: Path, *overrides: str) -> dict:
    """The summary of one run of `graphcolumns train experiment=denoising`."""
    options = ["experiment=denoising", "report=false", "progress=false", f"run={folder}"]
    command = [sys.executable, "-m", "graphcolumns.cli", "train", *options, *overrides]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "summary.json").read_text())


@torch.no_grad()
def rises(folder: Path) -> tuple[float, float]:
    """Share of steps of test patches that raise the energy; 90 % of the proven limit of dt."""
    parts = graphcolumns.load(folder)
    model, images = parts.model.eval(), parts.data.test_inputs[:500]
    energy = model.relaxation(images).energy
    circuit = model.circuit()
    limit = circuit.step_limit(circuit.drive(model.start(images)))
    rose = energy.diff(dim=0) > 1e-5 * energy.abs().max()
    return rose.float().mean().item(), 0.9 * limit


def ridge() -> float:
    """Test error of the best linear map of all pixels, with its penalty chosen on training data."""
    data = natural_patches(masked=0.25)
    x, y = (t.flatten(1).numpy() for t in (data.train_inputs, data.train_targets))
    model = RidgeCV(np.logspace(-2, 4, 25)).fit(x, y)
    predicted = model.predict(data.test_inputs.flatten(1).numpy())
    return float(((predicted - data.test_targets.flatten(1).numpy()) ** 2).mean())


def main() -> None:
    """Writes energy_transformer.csv into a folder, and prints the table."""
    rows = [{"model": "ridge", "weights": "one map", "seed": "", "test_loss": ridge()}]
    with tempfile.TemporaryDirectory() as scratch:
        for weights, sizes in ENERGY.items():
            for seed in SEEDS:
                at = Path(scratch, f"energy-{weights}-{seed}")
                summary = train(at, *sizes, f"model.steps={STEPS}", f"seed={seed}")
                rising, limit = rises(at)
                about = {"model": "energy", "weights": weights, "seed": seed}
                rows.append(about | taken(summary) | {"rises": rising, "limit": limit})
                budget = f"model.parameters={summary['parameters']}"
                at = Path(scratch, f"former-{weights}-{seed}")
                tied = f"model.weights.attention={weights}"
                summary = train(at, *FORMER, tied, budget, f"seed={seed}")
                rows.append(about | {"model": "columnformer"} | taken(summary))
                print(*rows[-2:], sep="\n", flush=True)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with Path(sys.argv[1], "energy_transformer.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    show(rows)


def taken(summary: dict) -> dict:
    """What is kept of a run."""
    kept = ("parameters", "train_loss", "test_loss", "test_psnr", "train_seconds")
    return {name: summary[name] for name in kept}


def show(rows: list[dict]) -> None:
    """The table, mean and standard deviation over seeds."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["model"], row["weights"]].append(row)
    print("torch", torch.__version__)
    for arm, runs in groups.items():
        cells = []
        for name in ("parameters", "train_loss", "test_loss", "rises", "limit", "train_seconds"):
            values = [run[name] for run in runs if name in run]
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.4f} ± {spread:.4f}" if values else "-")
        print(f"| {' | '.join(arm)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
