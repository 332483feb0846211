"""How many patterns can a Hopfield network retrieve? Classical and modern, by number of units.

Random patterns of +1 and -1 are stored. Cues are stored patterns with 10 % of their units flipped,
rounded up. The capacity is the largest number of patterns, on a grid with ratio 1.25, up to which
at least 95 % of 200 probed patterns are retrieved without an error.

Written before the run: "the capacity of the modern network grows exponentially" is falsified if the
logarithm of its capacity does not grow by about as much with every 4 units more, within a factor of
2; "that of the classical network grows no faster than the number of units" if capacity over units
doubles from the smallest to the largest network.

A first run had 12, 16, 20, 24 and 28 units. Rounding up makes cues harder at 24 than at 20 units.
So 10 and 30 units were added afterwards: at 10, 20 and 30 exactly a tenth is wrong.

    OMP_NUM_THREADS=1 python docs/measurements/hopfield.py docs/measurements
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from graphcolumns.nn.dynamics import (
    ClassicalHopfield,
    Euler,
    ModernHopfield,
    hebbian_weights,
    solve,
)

SEEDS = (0, 1, 2)
PROBED, SHARE, RATIO = 200, 0.95, 1.25
SIZES = {"classical": (32, 64, 128, 256), "modern": (10, 12, 16, 20, 24, 28, 30)}
# One update suffices for the modern network; beta is large, so that single patterns are retrieved.
BETA, SWEEPS = 4.0, 30


def flipped(patterns: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cues: a tenth of the units of every pattern has the wrong sign."""
    count = int(np.ceil(patterns.shape[1] / 10))
    order = torch.rand(patterns.shape, generator=generator).argsort(1)
    return torch.where(order < count, -patterns, patterns)


def retrieved(kind: str, units: int, stored: int, seed: int) -> float:
    """Share of probed patterns that are found without an error."""
    generator = torch.Generator().manual_seed(1000 * seed + stored)
    patterns = torch.randint(2, (stored, units), generator=generator).float() * 2 - 1
    probed = patterns[:PROBED]
    cues = flipped(probed, generator)
    if kind == "classical":
        circuit = ClassicalHopfield(hebbian_weights(patterns))
        found = solve(circuit, cues, max_steps=SWEEPS, every=1).output
    else:
        circuit = ModernHopfield(patterns, beta=BETA)
        found = solve(circuit, cues, method=Euler(1.0), max_steps=5, every=1).output.sign()
    return (found == probed).all(1).float().mean().item()


def capacity(kind: str, units: int, seed: int) -> int:
    """The largest number of patterns on the grid before the first that are too many."""
    best, stored = 0, 1
    while stored < 2**19 and retrieved(kind, units, stored, seed) >= SHARE:
        best, stored = stored, max(stored + 1, round(RATIO * stored))
    return best


def main() -> None:
    """Writes hopfield.csv into a folder, and prints the table."""
    torch.set_num_threads(1)
    rows = []
    for kind, sizes in SIZES.items():
        for units in sizes:
            for seed in SEEDS:
                found = capacity(kind, units, seed)
                rows.append({"network": kind, "units": units, "seed": seed, "capacity": found})
            print(rows[-len(SEEDS) :], flush=True)
    with Path(sys.argv[1], "hopfield.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    groups = defaultdict(list)
    for row in rows:
        groups[row["network"], row["units"]].append(row["capacity"])
    print("torch", torch.__version__)
    for (kind, units), values in groups.items():
        mean, spread = np.mean(values), np.std(values, ddof=1)
        print(f"| {kind} | {units} | {mean:.0f} ± {spread:.0f} | {mean / units:.3f} |")


if __name__ == "__main__":
    main()
