"""Does a recurrent sheet learn by Counter-Hebbian products, and can it be rewired by them?

Handwritten digits of scikit-learn, in the halves of `graphcolumns.data.digits`. Two sheets of
columns apply one layer three times to their own state: weights on edges (12 x 12 columns, of which
the 16 in the middle are read, so that most of the image has to travel along edges), and attention
with frozen coefficients (8 x 8 columns of 8 channels, all of them read).

Written before the run:
- "With tied weights Counter-Hebbian learning is backpropagation" is falsified if the angle between
  the two gradients exceeds 0.1 degrees in any layer, or if the accuracies differ by more than the
  standard deviation over seeds.
- "Mirrored updates with weight decay learn like backpropagation" is falsified, for a sheet, if the
  mean accuracy is below by more than the standard deviation, or if the angle of the layer that is
  applied again and again is not below that of mirrored updates alone.
- "Regrowing edges by products beats static edges at the same number of edges" is falsified if the
  mean accuracy of rigl is not above that of static edges, or of random regrowth (set), by more than
  the standard deviation.
- "With own top-down weights products say as well as gradients where to grow" is falsified if rigl
  by gradients of backpropagation is better by more than the standard deviation.
- "Rewiring brings the two directions together, because newborn edges are symmetric" is falsified if
  the angle between weights and top-down weights of the sheet, with mirrored updates and without
  decay, is not smaller after rewiring than with static edges.
Learning rate and decay were chosen on the training half: fit on its first 2/3, scored on the rest.

    OMP_NUM_THREADS=1 python docs/measurements/recurrent_sheet.py docs/measurements
"""

import csv
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.data import Dataset, digits
from graphcolumns.learning import backprop, counter_hebb, layer_angles
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Identity,
    Population,
    Projection,
    Reshape,
    TopDownAttention,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
    TopDownUntied,
)
from graphcolumns.plasticity import presets, samplers
from graphcolumns.training import train

SEEDS = (0, 1, 2)
STEPS, BATCH = 600, 32
SIDE, PIXELS, CHANNELS = 12, 8, 8
TIMES = [f"step{time}" for time in range(4)]
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
# Feedback of the layers, learning rule, and whether weights decay.
LEARNING = {
    "backpropagation": ("tied", backprop, False),
    "tied": ("tied", counter_hebb, False),
    "mirrored": ("independent", counter_hebb, False),
    "mirrored, decay": ("independent", counter_hebb, True),
    "fixed": ("independent", partial(counter_hebb, top_down="fixed"), False),
}
# Learning, rewiring and what edges are scored by, beside static edges.
REWIRED = [
    ("tied", "set", "counter_hebb"),
    ("tied", "rigl", "counter_hebb"),
    ("mirrored", "set", "counter_hebb"),
    ("mirrored", "rigl", "counter_hebb"),
    ("mirrored", "rigl", "backprop"),
    ("mirrored, decay", "rigl", "counter_hebb"),
    ("mirrored, decay", "rigl", "backprop"),
]


def middle(side: int) -> list[int]:
    """The 16 columns in the middle."""
    rows = range(side // 2 - 2, side // 2 + 2)
    return [row * side + column for row, column in product(rows, rows)]


def between(pairs: list[tuple[int, int]], columns: int, sources: int) -> ColumnGraph:
    """Edges from sources to columns, given as (source, column)."""
    return ColumnGraph.from_edge_index(torch.tensor(pairs).T, columns, num_sources=sources)


def seen(side: int) -> ColumnGraph:
    """Every column sees the 3 x 3 pixels around its place."""
    pairs = []
    for row, column in product(range(side), repeat=2):
        y, x = (int((at + 0.5) * PIXELS / side) for at in (row, column))
        for v, u in product((y - 1, y, y + 1), (x - 1, x, x + 1)):
            if 0 <= v < PIXELS and 0 <= u < PIXELS:
                pairs.append((v * PIXELS + u, row * side + column))
    return between(pairs, side * side, PIXELS * PIXELS)


def again(layer) -> list[Projection]:
    """One layer applied again and again, and a way around it."""
    return [
        p
        for a, b in pairwise(TIMES)
        for p in (Projection(a, b, layer), Projection(a, b, Identity()))
    ]


def edges(feedback: str, scored_by: str = "counter_hebb") -> BottomUpTopDown:
    """A sheet with one weight per edge."""
    sheet = grid.sheet(SIDE, SIDE)
    lateral = TopDownEdges(connect.nearest(sheet, 8, False).named("sheet"), feedback=feedback)
    read = between(list(product(middle(SIDE), range(10))), 10, SIDE**2)
    links = [
        *again(lateral),
        Projection("image", TIMES[0], TopDownEdges(seen(SIDE), feedback=feedback)),
        Projection(TIMES[-1], "prediction", TopDownEdges(read, feedback=feedback)),
    ]
    populations = {name: Population((SIDE**2, 1), columns=True) for name in TIMES}
    populations["image"] = Population((PIXELS**2, 1), "identity", columns=True)
    populations["prediction"] = Population((10, 1), "identity", columns=True)
    network = TopDownNetwork(populations, links)
    return BottomUpTopDown(network, task=None, scored_by=scored_by)


def attention(feedback: str, scored_by: str = "counter_hebb") -> BottomUpTopDown:
    """A sheet whose columns attend along edges, with frozen coefficients."""
    n, state = PIXELS**2, Population((PIXELS**2, CHANNELS), columns=True)
    graph = connect.nearest(grid.sheet(PIXELS, PIXELS), 9).named("sheet")
    flat = Population(n * CHANNELS, "identity")
    links = [
        *again(TopDownAttention(graph, CHANNELS, CHANNELS, heads=2, feedback=feedback)),
        Projection("image", TIMES[0], TopDownUntied(n, 1, CHANNELS, feedback=feedback)),
        Projection(TIMES[-1], "flat", Reshape(state, flat)),
        Projection("flat", "prediction", TopDownLinear(n * CHANNELS, 10, feedback=feedback)),
    ]
    populations = dict.fromkeys(TIMES, state)
    populations["image"] = Population((n, 1), "identity", columns=True)
    populations |= {"flat": flat, "prediction": Population(10, "identity")}
    network = TopDownNetwork(populations, links)
    return BottomUpTopDown(network, task=None, scored_by=scored_by)


SHEETS = {
    "edges": (edges, grid.sheet(SIDE, SIDE)),
    "attention": (attention, grid.sheet(PIXELS, PIXELS)),
}
RULES = {"set": presets.set, "rigl": presets.rigl}


def run(
    data, sheet, learning, seed, lr, decay, rewiring="static", scored_by="counter_hebb"
) -> dict:
    """One run, as a row of the table."""
    began = time.perf_counter()
    (build, geometry), (feedback, learn, decays) = SHEETS[sheet], LEARNING[learning]
    torch.manual_seed(seed)
    model = build(feedback, scored_by)
    first = model.graphs["sheet"].num_edges
    rule = None
    if rewiring != "static":
        options = {"every": 50, "samples": 256, "check_samples": 0, "first_value": "zero_weight"}
        options["sampler"] = samplers.everything
        rule = {"sheet": partial(RULES[rewiring], **options)}
    with tempfile.TemporaryDirectory() as folder:
        summary = train(
            model, data, run=folder, steps=STEPS, batch_size=BATCH, lr=lr, seed=seed,
            weight_decay=decay if decays else 0.0, learn=learn, plasticity=rule,
            geometry={"sheet": geometry}, progress=False,
        )  # fmt: skip
    assert model.graphs["sheet"].num_edges == first
    rows = {"sheet": sheet, "learning": learning, "rewiring": rewiring, "scored_by": scored_by}
    rows |= {"seed": seed, "edges": first}
    rows |= {name: round(summary[name], 4) for name in ("test_accuracy", "train_accuracy")}
    rule_of = counter_hebb if learn is backprop else learn
    found = layer_angles(model, (data.train_inputs, data.train_targets), TERMS, rule_of)
    for name, place in (("image", "image -> step0"), ("again", "step0 -> step1")):
        rows[f"angle_{name}"] = round(found[place].gradient, 3)
    rows["angle_weights"] = round(found["step0 -> step1"].weights or 0.0, 3)
    return rows | {"seconds": round(time.perf_counter() - began, 1)}


def choose(sheet: str, data: Dataset) -> tuple[float, float]:
    """Learning rate and decay that are best on the last third of the training half."""
    cut, x, y = 2 * len(data.train_inputs) // 3, data.train_inputs, data.train_targets
    part = Dataset(x[:cut], y[:cut], x[cut:], y[cut:], num_classes=10)
    scored = partial(run, part, sheet, seed=100)
    rates = {lr: scored("tied", lr=lr, decay=0.0)["test_accuracy"] for lr in (0.003, 0.01, 0.03)}
    lr = max(rates, key=rates.get)
    decays = {
        decay: scored("mirrored, decay", lr=lr, decay=decay)["test_accuracy"]
        for decay in (0.1, 0.3, 1.0, 3.0)
    }
    decay = max(decays, key=decays.get)
    print(sheet, "chosen:", lr, decay, rates, decays, flush=True)
    return lr, decay


def main(folder: Path, measure: bool) -> None:
    """Writes recurrent_sheet.csv (if it measures) and .png into a folder, and prints the tables."""
    torch.set_num_threads(1)
    if measure:
        write(folder / "recurrent_sheet.csv")
    with (folder / "recurrent_sheet.csv").open() as file:
        groups = grouped(list(csv.DictReader(file)))
    show(groups)
    draw(groups, folder / "recurrent_sheet.png")


def write(path: Path) -> None:
    """All runs."""
    data, rows = digits(), []
    chosen = {sheet: choose(sheet, data) for sheet in SHEETS}
    arms = list(product(SHEETS, LEARNING, ["static"], ["counter_hebb"]))
    arms += [("edges", *arm) for arm in REWIRED]
    for (sheet, learning, *how), seed in product(arms, SEEDS):
        rows.append(run(data, sheet, learning, seed, *chosen[sheet], *how))
        print(rows[-1], flush=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def grouped(rows: list[dict]) -> dict:
    """Rows by arm."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["sheet"], row["learning"], row["rewiring"], row["scored_by"]].append(row)
    return groups


def of(rows: list[dict], name: str, scale: float = 1.0) -> tuple[float, float]:
    """Mean and standard deviation over seeds."""
    values = [scale * float(row[name]) for row in rows]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def show(groups: dict) -> None:
    """The tables."""
    print("torch", torch.__version__)
    for arm, rows in groups.items():
        accuracy = "{:.1f} ± {:.1f}".format(*of(rows, "test_accuracy", 100))
        angles = [
            "{:.1f} ± {:.1f}".format(*of(rows, f"angle_{x}")) for x in ("image", "again", "weights")
        ]
        print(f"| {' | '.join((*arm, accuracy, *angles))} |")


def draw(groups: dict, path: Path) -> None:
    """Accuracy against angle for the rules, and accuracy of rewired sheets."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), constrained_layout=True)
    names = ("black", "tab:blue", "tab:orange", "tab:green", "tab:red")
    colours = dict(zip(LEARNING, names, strict=True))
    for (sheet, learning, rewiring, _), rows in groups.items():
        if rewiring == "static":
            angle, accuracy = of(rows, "angle_again"), of(rows, "test_accuracy", 100)
            left.errorbar(
                angle[0], accuracy[0], accuracy[1], angle[1], color=colours[learning], capsize=2,
                marker="o" if sheet == "edges" else "s",
                label=learning if sheet == "edges" else None,
            )  # fmt: skip
    left.set_xlabel("angle to backpropagation, recurrent layer (degrees)")
    left.set_ylabel("test accuracy (%)")
    left.set_title("learning: edges (circles), attention (squares)", fontsize=10)
    left.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    arms = [arm for arm in groups if arm[0] == "edges" and arm[1] in list(LEARNING)[1:4]]
    arms.sort(key=lambda arm: list(LEARNING).index(arm[1]))
    for place, arm in enumerate(arms):
        accuracy, high = of(groups[arm], "test_accuracy", 100)
        right.errorbar(place, accuracy, high, fmt="o", color=colours[arm[1]], capsize=3)
    labels = [arm[2] + "\n(gradients)" * (arm[3] == "backprop") for arm in arms]
    right.set_xticks(range(len(arms)), labels, rotation=45, ha="right", fontsize=8)
    right.set_ylabel("test accuracy (%)")
    right.set_title("rewiring: tied, mirrored, mirrored with decay", fontsize=10)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] != ["draw"])
