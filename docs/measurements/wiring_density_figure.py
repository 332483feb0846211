"""The figure of ``wiring_density`` and its intervals, from its rows, beside values of cortex.

python docs/measurements/wiring_density_figure.py docs/measurements
"""

import csv
import sys
from pathlib import Path

import matplotlib

from graphcolumns.analysis.experiment.interval import mean_interval, paired_interval

matplotlib.use("agg")
import matplotlib.pyplot as plt

# Human (Schaefer-200), macaque (TVB-84), mouse (Allen-98), a tenth of the pairs: wiring ratio, and
# modularity Q less that of graphs drawn by distance. The first two are cortex, the mouse the brain.
BRAINS = {"human": (0.66, 0.24), "macaque": (0.50, 0.13), "mouse": (0.55, 0.12)}
CEILING = 75
CHANCE = 50
BOUND = 0.12  # of the excess of modularity, below which part 2 of the claim is false
STATIC = {"nearest": "s", "distance_decay": "D", "random": "v"}
RULES = {"rigl": "P", "granet": "o", "no task": "X"}
RETRAINED = {
    "test": "learned, as it grew",
    "retrained": "learned, from scratch",
    "lengths": "same degrees, lengths",
    "degrees": "same degrees",
    "distance": "by distance",
}
COLOURS = {"5 %": "tab:blue", "10 %": "tab:orange"}
SHADES = ["0.3", "tab:purple", "tab:pink", "tab:olive", "tab:cyan"]


def read(path: Path) -> dict[tuple[str, str], list[dict[str, str]]]:
    """The rows of every arm and variant."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in csv.DictReader(path.open()):
        if row["status"] == "ok":
            found.setdefault((row["arm"], row["variant"]), []).append(row)
    return found


def values(rows, name, factor=1.0):
    """Mean and half of the 95 % interval of a column."""
    found = mean_interval([factor * float(row[name]) for row in rows])
    return found.mean, found.high - found.mean


def marker(arm: str) -> str:
    """The marker of the rule or the static graph, whatever the weight of the loss."""
    return (STATIC | RULES)[arm.split(",")[0]]


def accuracy_against_wire(axes, groups):
    """A point per arm and variant; the weights of the loss are joined by a line."""
    across = axes.get_yaxis_transform()
    axes.axvspan(0.50, 0.66, color="tab:green", alpha=0.15, lw=0)
    axes.text(
        0.58, 98, "human,\nmacaque,\nmouse", ha="center", va="center", color="tab:green", fontsize=8
    )
    axes.axhline(CEILING, color="grey", lw=0.8, ls=":")
    axes.text(0.02, 76, "best without the far partner", fontsize=7, color="grey", transform=across)
    for variant, colour in COLOURS.items():
        swept = [rows for (arm, v), rows in groups.items() if v == variant and "granet" in arm]
        line = [[values(r, "wiring_ratio")[0], values(r, "test_accuracy", 100)[0]] for r in swept]
        axes.plot(*zip(*line, strict=True), color=colour, lw=1)
    for (arm, variant), rows in groups.items():
        x, y = values(rows, "wiring_ratio"), values(rows, "test_accuracy", 100)
        seeds = [(float(r["wiring_ratio"]), 100 * float(r["test_accuracy"])) for r in rows]
        axes.plot(*zip(*seeds, strict=True), ".", color=COLOURS[variant], ms=6, alpha=0.6, mew=0)
        axes.errorbar(
            x[0], y[0], y[1], x[1], marker=marker(arm), color=COLOURS[variant], capsize=2, ms=5,
            mfc="white" if arm in STATIC else None, lw=0, elinewidth=0.7,
        )  # fmt: skip
        if "loss" in arm:
            weight = arm.removeprefix("granet, loss ")
            place, side = ((-6, 4), "right") if variant == "5 %" else ((6, 4), "left")
            axes.annotate(
                weight, (x[0], y[0]), place, textcoords="offset points", ha=side, fontsize=8,
                color=COLOURS[variant],
            )  # fmt: skip
    for arm, shape in (STATIC | RULES).items():
        fill = "white" if arm in STATIC else "grey"
        axes.plot([], [], shape, color="grey", mfc=fill, label=arm)
    for variant, colour in COLOURS.items():
        axes.plot([], [], color=colour, lw=4, label=f"{variant} of the edges")
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    axes.set(
        xlabel="wiring ratio (1: random placement)", ylabel="test accuracy (%)", ylim=(45, 104)
    )


def excess(axes, groups):
    """Modularity less that of graphs drawn by distance, and the same of three species."""
    names = []
    for place, ((arm, variant), rows) in enumerate(groups.items()):
        mean, half = values(rows, "modularity_over_distance")
        axes.barh(place, mean, xerr=half, color=COLOURS[variant], height=0.7, capsize=2)
        names.append(f"{arm}, {variant}" if "loss" in arm else f"{arm} {variant}")
    for species, (_, value) in BRAINS.items():
        axes.barh(len(names), value, color="tab:green", height=0.7)
        names.append(species)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="black", lw=0.8)
    axes.axvline(BOUND, color="tab:green", lw=1, ls="--")
    axes.text(BOUND + 0.004, 1, "part 2: false below .12", color="tab:green", fontsize=7)
    axes.set_xlabel("Q beyond the distance null")


def retrained(axes, groups):
    """The runs as they were, and the model trained from scratch on their edges and on nulls."""
    learned = {arm: rows for (arm, v), rows in groups.items() if rows[0].get("retrained_accuracy")}
    width = 0.8 / len(RETRAINED)
    for index, (key, name) in enumerate(RETRAINED.items()):
        found = [values(rows, f"{key}_accuracy", 100) for rows in learned.values()]
        places = [i + (index - 2) * width for i in range(len(learned))]
        means, halves = zip(*found, strict=True)
        heights = [mean - CHANCE for mean in means]
        axes.bar(
            places, heights, width, CHANCE, yerr=halves, capsize=2, label=name,
            color=SHADES[index], error_kw={"elinewidth": 0.8},
        )  # fmt: skip
    axes.axhline(CEILING, color="grey", lw=0.8, ls=":")
    names = [arm.replace("granet, ", "granet,\n") for arm in learned]
    axes.set_xticks(range(len(learned)), names, fontsize=7)
    axes.axhline(CHANCE, color="black", lw=0.8)
    axes.set(ylabel="test accuracy (%), bars from chance", ylim=(45, 104))
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.16))


def intervals(groups) -> str:
    """Means with 95 % intervals, and differences paired by seed, as two tables."""
    names = ("wiring_ratio", "modularity_over_distance", "clustering_over_distance")
    lines = ["| arm | variant | accuracy (%) | " + " | ".join(names) + " |", "|---" * 6 + "|"]
    for (arm, variant), rows in groups.items():
        accuracy = "{:.1f} +- {:.1f}".format(*values(rows, "test_accuracy", 100))
        cells = ["{:.3f} +- {:.3f}".format(*values(rows, name)) for name in names]
        lines.append(f"| {arm} | {variant} | {accuracy} | {' | '.join(cells)} |")
    lines += ["", "| arm | retrained less | points |", "|---|---|---|"]
    for (arm, _), rows in groups.items():
        for null in ("test", "lengths", "degrees", "distance"):
            if rows[0].get("retrained_accuracy"):
                ours, theirs = (
                    {int(row["seed"]): 100 * float(row[f"{key}_accuracy"]) for row in rows}
                    for key in ("retrained", null)
                )
                mean, low, high, *_ = paired_interval(ours, theirs)
                lines.append(
                    f"| {arm} | {RETRAINED[null]} | {mean:+.1f} [{low:+.1f}, {high:+.1f}] |"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    groups = read(folder / "wiring_density.csv")
    print(intervals(groups))
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), layout="constrained")
    accuracy_against_wire(axes[0], groups)
    excess(axes[1], groups)
    retrained(axes[2], groups)
    figure.savefig(folder / "wiring_density.png", dpi=110)
