"""What separates rules for top-down weights: accuracy, or the angle to backpropagation?

The 8 x 8 digits, halves of the library, a dense network 64-100-100-10 with ReLU, cross-entropy,
batches of 64, SGD with momentum .9, the same number of steps for all arms. Every arm has the same
tuning budget: four learning rates, two seeds each, scored on a fold of the training half; then
five other seeds on the whole training half, scored once on the test half. Nothing else is tuned.
Angles are those of ``learning.layer_angles`` on the whole training half, every 50 steps.

Claims, written before the run:

1. The angle separates what accuracy does not. False if at least as many pairs of arms are
   separated by accuracy as by the angle of the first layer. A pair is separated if the means over
   seeds differ by more than twice the standard error of their difference.
2. In the order of angles at the end: symmetric, asymmetric with decay, asymmetric, feedback
   alignment. False if the means have another order.
3. Errors have the order of BioTorch's on MNIST and Fashion-MNIST. False if Spearman's correlation
   over the six rules that both have is below .5 for both.

Two controls: a network whose hidden weights stay as drawn, and backpropagation with weight decay.

    OMP_NUM_THREADS=1 python docs/measurements/alignment.py docs/measurements
"""

import csv
import sys
import time
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib
import torch
from scipy.stats import spearmanr
from torch.amp import GradScaler
from torch.nn.functional import cross_entropy

from graphcolumns.data import digits
from graphcolumns.learning import backprop, counter_hebb, layer_angles
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import Population, Projection, TopDownLinear, TopDownNetwork

matplotlib.use("agg")
import matplotlib.pyplot as plt

SIZES = (64, 100, 100, 10)
NAMES = ("input", "one", "two", "prediction")
LAYERS = tuple(f"{below} -> {above}" for below, above in pairwise(NAMES))
STEPS, BATCH, EVERY, DECAY = 500, 64, 50, 1e-2
RATES, TRIALS, SEEDS = (0.003, 0.01, 0.03, 0.1), (100, 101), range(5)
SCALER = GradScaler(enabled=False)
TERMS = {"task": (1.0, lambda model, output, y: cross_entropy(output.prediction, y))}
MIRROR = {"top_down": "weight_mirror", "mirror_rate": 0.1, "mirror_decay": 0.1}

# Options of layers, the rule, and the weight decay of the optimizer.
ARMS = {
    "backpropagation": ({}, backprop, 0.0),
    "backpropagation + decay": ({}, backprop, DECAY),
    "symmetric": ({}, counter_hebb, 0.0),
    "copied": ({"feedback": "copied"}, counter_hebb, 0.0),
    "weakly symmetric": ({"feedback": "copied", "feedback_noise": 0.05}, counter_hebb, 0.0),
    "noisy updates": ({"feedback": "copied"}, partial(counter_hebb, noise=0.05), 0.0),
    "sign, redrawn": ({"feedback": "sign_redrawn"}, counter_hebb, 0.0),
    "sign, fixed": ({"feedback": "sign_fixed"}, counter_hebb, 0.0),
    "sign, uniform": ({"feedback": "sign"}, counter_hebb, 0.0),
    "weight mirror": ({"feedback": "independent"}, partial(counter_hebb, **MIRROR), 0.0),
    "asymmetric + decay": ({"feedback": "independent"}, counter_hebb, DECAY),
    "asymmetric": ({"feedback": "independent"}, counter_hebb, 0.0),
    "feedback alignment": (
        {"feedback": "independent"}, partial(counter_hebb, top_down="fixed"), 0.0,
    ),
    "direct feedback": ({"feedback": "direct"}, partial(counter_hebb, top_down="direct"), 0.0),
    "readout alone": ({}, backprop, 0.0),
}  # fmt: skip

# Top-1 error in per cent, LeNet, Benchmarks.md of github.com/jsalbert/biotorch at commit 74fad0d.
PUBLISHED = {
    "backpropagation": (0.91, 9.2),
    "feedback alignment": (1.7, 13.06),
    "sign, uniform": (0.94, 9.69),
    "sign, redrawn": (0.91, 10.02),
    "sign, fixed": (0.97, 9.61),
    "direct feedback": (1.61, 12.81),
}


def build(seed, **options):
    """The network, with the bottom-up weights of the seed whatever the options are."""
    layers = []
    for place, sizes in enumerate(pairwise(SIZES)):
        torch.manual_seed(10 * seed + place)
        layers.append(TopDownLinear(*sizes, **options))
    ends = ("input", "prediction")
    populations = {
        name: Population(size, "identity" if name in ends else "relu")
        for name, size in zip(NAMES, SIZES, strict=True)
    }
    projections = [
        Projection(*ends, layer) for ends, layer in zip(pairwise(NAMES), layers, strict=True)
    ]
    network = TopDownNetwork(populations, projections)
    return BottomUpTopDown(network, task=None)


def trained(arm, data, rate, seed, angles):
    """Rows of a run: its angles along the way, and its accuracy at the end."""
    options, learn, decay = ARMS[arm]
    model = build(seed, **options)
    if arm == "readout alone":
        for layer in list(model.network.layers)[:-1]:
            layer.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=decay)
    generator = torch.Generator().manual_seed(seed)
    everything = data.train_inputs, data.train_targets
    began, rows = time.process_time(), []
    for step in range(STEPS + 1):
        if angles and step % EVERY == 0:
            found = layer_angles(model, everything, TERMS, learn)
            rows += [
                {
                    "arm": arm, "seed": seed, "lr": rate, "step": step, "layer": layer,
                    "gradient_angle": round(pair.gradient, 2),
                    "weight_angle": round(pair.weights, 2),
                }
                for layer, pair in found.items()
            ]  # fmt: skip
        if step == STEPS:
            break
        torch.manual_seed(seed * 100_000 + step)
        index = torch.randint(len(data.train_inputs), (BATCH,), generator=generator)
        optimizer.zero_grad()
        learn(model, (everything[0][index], everything[1][index]), TERMS, scaler=SCALER)
        optimizer.step()
    with torch.no_grad():
        prediction = model(data.test_inputs).prediction
    correct = (prediction.argmax(1) == data.test_targets).float().mean().item()
    seconds = round(time.process_time() - began, 1)
    rows.append({"arm": arm, "seed": seed, "lr": rate, "step": STEPS, "accuracy": round(correct, 5),
                 "loss": round(cross_entropy(prediction, data.test_targets).item(), 4),
                 "seconds": seconds})  # fmt: skip
    return rows


def all_rows():
    """Tuning on a fold, then the runs that count."""
    data = digits()
    fold = data.validation(0)
    for arm in ARMS:
        scores = {}
        for rate in RATES:
            rows = [trained(arm, fold, rate, seed, False)[-1] for seed in TRIALS]
            yield from ({"part": "tuning", **row} for row in rows)
            scores[rate] = (
                sum(r["accuracy"] for r in rows),
                -sum(r["loss"] for r in rows if r["loss"] == r["loss"]),
            )
        best = max(scores, key=scores.get)
        for seed in SEEDS:
            yield from ({"part": "test", **row} for row in trained(arm, data, best, seed, True))


def summary(rows):
    """Per arm: rate, accuracies, and angles at the end by layer, a list over seeds each."""
    found = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if (row["arm"], row["part"]) == (arm, "test")]
        ends = [row for row in mine if row.get("layer") and int(row["step"]) == STEPS]
        found[arm] = {
            "lr": mine[0]["lr"],
            "accuracy": [100 * float(r["accuracy"]) for r in mine if r.get("accuracy")],
            **{
                (kind, layer): [float(r[kind]) for r in ends if r["layer"] == layer]
                for kind in ("gradient_angle", "weight_angle")
                for layer in LAYERS
            },
        }
    return found


def spread(values):
    """Mean and standard deviation."""
    values = torch.tensor(values)
    return f"{values.mean():.1f} ± {values.std():.1f}" if len(values) > 1 else ""


def separated(first, second):
    """Whether two lists of numbers differ by more than twice the standard error."""
    one, two = torch.tensor(first), torch.tensor(second)
    error = (one.var() / len(one) + two.var() / len(two)).sqrt()
    return bool((one.mean() - two.mean()).abs() > 2 * error)


def tell(rows):
    """Prints the tables of the page."""
    found = summary(rows)
    for arm, one in found.items():
        angles = [spread(one["gradient_angle", layer]) for layer in LAYERS]
        weights = [spread(one["weight_angle", layer]) for layer in LAYERS[1:]]
        print("|", arm, "|", one["lr"], "|", spread(one["accuracy"]), "|", *angles[:2], *weights)
    rules = [arm for arm in found if not arm.startswith(("backpropagation", "readout"))]
    pairs = list(combinations(rules, 2))
    for name in ("accuracy", *(("gradient_angle", layer) for layer in LAYERS[:2])):
        count = sum(separated(found[a][name], found[b][name]) for a, b in pairs)
        print(name, f"separates {count} of {len(pairs)} pairs")
    mean = {arm: sum(one["accuracy"]) / len(one["accuracy"]) for arm, one in found.items()}
    angle = {arm: sum(found[arm]["gradient_angle", LAYERS[0]]) for arm in rules}
    print("angle and error", spearmanr([angle[a] for a in rules], [-mean[a] for a in rules]))
    for place, name in enumerate(("MNIST", "Fashion-MNIST")):
        theirs = [PUBLISHED[arm][place] for arm in PUBLISHED]
        print(name, spearmanr([100 - mean[arm] for arm in PUBLISHED], theirs))


def draw(rows, path):
    """The angle of both hidden layers over training, and accuracy against it."""
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 4), layout="constrained")
    found = summary(rows)
    shown = [arm for arm in ARMS if arm not in ("backpropagation + decay", "readout alone")]
    shown = [arm for arm in shown if arm not in ("backpropagation", "copied") and arm in found]
    colours = dict(zip(shown, plt.get_cmap("tab20").colors, strict=False))
    for axis, layer in zip(axes[:2], LAYERS[:2], strict=True):
        for arm in shown:
            mine = [r for r in rows if r["arm"] == arm and r.get("layer") == layer]
            steps = sorted({int(r["step"]) for r in mine})
            values = [[float(r["gradient_angle"]) for r in mine if int(r["step"]) == s]
                      for s in steps]  # fmt: skip
            mean = torch.tensor(values).mean(1)
            axis.plot(steps, mean, color=colours[arm], label=arm, marker=".")
        axis.set(title=f"weights {layer}", xlabel="step", ylim=(-3, 100))
        axis.set_ylabel("angle to backpropagation (degrees)")
    for arm in shown:
        angle = found[arm]["gradient_angle", LAYERS[0]]
        axes[2].scatter(angle, found[arm]["accuracy"], color=colours[arm], label=arm, s=16)
    level = found["readout alone"]["accuracy"]
    axes[2].axhline(sum(level) / len(level), color="grey", linestyle=":", label="readout alone")
    axes[2].set(xlabel=f"angle at the end, weights {LAYERS[0]} (degrees)")
    axes[2].set_ylabel("test accuracy (%)")
    axes[2].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)


def main(folder):
    """Runs all arms, or reads the rows that are there, and writes rows and figure."""
    path = folder / "alignment.csv"
    names = ["part", "arm", "seed", "lr", "step", "layer", "gradient_angle", "weight_angle",
             "accuracy", "loss", "seconds"]  # fmt: skip
    if not path.exists():
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            for row in all_rows():
                writer.writerow(row)
                file.flush()
                if "accuracy" in row:
                    print(row, flush=True)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    tell(rows)
    draw(rows, folder / "alignment.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
