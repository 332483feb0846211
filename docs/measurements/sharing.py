"""Draws accuracy against the number of training digits from the CSV of the sharing sweep.

python docs/measurements/sharing.py docs/measurements/sharing.csv docs/measurements/sharing.png
"""

import csv
import sys
from collections import defaultdict
from statistics import mean, stdev

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

COLOURS = {"untied": "C3", "shared": "C0", "mixture": "C2", "lowrank": "C1"}
BUDGETS = ("parameters", "flops")


def main() -> None:
    """One panel per budget and recurrence; a line per weight mode, bars one standard deviation."""
    source, target = sys.argv[1:]
    scores: dict[tuple, list[float]] = defaultdict(list)
    with open(source) as file:
        for row in csv.DictReader(file):
            budget = "parameters" if row["model.parameters"] else "flops"
            arm = (budget, row["model.weights.recurrent"], row["model.weights.attention"])
            scores[*arm, int(row["data.train_size"])].append(100 * float(row["test_accuracy"]))
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, sharey=True)
    for i, budget in enumerate(BUDGETS):
        for j, recurrent in enumerate(("True", "False")):
            axis = axes[i, j]
            for weights, colour in COLOURS.items():
                sizes = sorted(k[3] for k in scores if k[:3] == (budget, recurrent, weights))
                runs = [scores[budget, recurrent, weights, size] for size in sizes]
                spread = [stdev(run) if len(run) > 1 else 0.0 for run in runs]
                axis.errorbar(
                    sizes, [mean(run) for run in runs], spread, color=colour, label=weights,
                    marker="o", markersize=4, capsize=3,
                )  # fmt: skip
            axis.set_xscale("log")
            axis.set_title(f"equal {budget}, {'recurrent' if j == 0 else 'feed-forward'}")
            axis.grid(alpha=0.3)
            if i == 1:
                axis.set_xlabel("training digits")
                axis.set_xticks(sizes, [str(size) for size in sizes])
            if j == 0:
                axis.set_ylabel("test accuracy (%)")
    axes[0, 0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main()
