"""Which normalisation can a network have that learns by the Counter-Hebbian rule?

Three convolutions, with one kind of normalisation before every ReLU, on the digits of scikit-learn
in the halves of `graphcolumns.data.digits`.

Written before the run: "layers for which the rule is exact are the better choice" is falsified if
the mean test accuracy of `FrozenNorm` is below that of batch statistics, with the same rule, for
either kind of top-down statistics. "What batch statistics leave out costs accuracy" is falsified,
for a kind, if its mean is not below that of batch statistics with backpropagation.

    OMP_NUM_THREADS=1 python docs/measurements/top_down_norms.py docs/measurements
"""

import csv
import math
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns.data import digits
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    FrozenNorm,
    FrozenRMSNorm,
    Population,
    Projection,
    TopDownBatchNorm,
    TopDownConv2d,
    TopDownLinear,
    TopDownNetwork,
)

SEEDS = (0, 1, 2, 3, 4)
RATES = (3e-3, 1e-2, 3e-2, 1e-1)
STEPS, BATCH = 150, 64
SHAPES = {"one": (16, 8, 8), "two": (16, 4, 4), "three": (16, 4, 4)}
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
ARMS = {
    "none": (None, counter_hebb),
    "running statistics": (FrozenNorm, counter_hebb),
    "root mean square, frozen": (FrozenRMSNorm, counter_hebb),
    "layer norm, frozen": (lambda shape: FrozenRMSNorm(shape, centred=True), counter_hebb),
    "batch statistics": (TopDownBatchNorm, counter_hebb),
    "batch statistics, own top-down": (
        lambda shape: TopDownBatchNorm(shape, top_down_statistics="own"),
        counter_hebb,
    ),
    "batch statistics, backpropagation": (TopDownBatchNorm, backprop),
}


def network(norm) -> BottomUpTopDown:
    """Three convolutions and a dense layer; a norm before every ReLU."""
    populations = {
        "input": Population((1, 8, 8), "identity"),
        "prediction": Population(10, "identity"),
    }
    links, below = [], "input"
    for name, shape in SHAPES.items():
        channels = populations[below].sizes[0]
        stride = 2 if name == "two" else 1
        layer = TopDownConv2d(channels, shape[0], 3, stride, padding=1)
        populations[name] = Population(shape)
        if norm is None:
            links.append(Projection(below, name, layer))
        else:
            populations[f"{name}_sum"] = Population(shape, "identity")
            links.append(Projection(below, f"{name}_sum", layer))
            links.append(Projection(f"{name}_sum", name, norm(shape)))
        below = name
    links.append(Projection(below, "prediction", TopDownLinear(256, 10)))
    return BottomUpTopDown(TopDownNetwork(populations, links), task=None)


def learn(model, rule, inputs, labels) -> dict[str, torch.Tensor]:
    """Gradients of kernels by a rule, which it leaves in ``.grad``."""
    model.zero_grad()
    rule(model, (inputs, labels), TERMS, scaler=GradScaler(enabled=False))
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.dim() == 4}


def train(arm: str, rate: float, seed: int, inputs, labels) -> tuple[BottomUpTopDown, float]:
    """A trained model, and the mean angle of its rule to backpropagation at the end."""
    torch.manual_seed(seed)
    norm, rule = ARMS[arm]
    model = network(norm)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
    for _ in range(STEPS):
        rows = torch.randint(len(inputs), (BATCH,))
        learn(model, rule, inputs[rows], labels[rows])
        optimizer.step()
        for module in model.modules():
            getattr(module, "after_step", lambda: None)()
    rows = torch.randint(len(inputs), (BATCH,))
    gradients = [learn(model, each, inputs[rows], labels[rows]) for each in (rule, backprop)]
    cosines = [
        torch.cosine_similarity(gradients[0][name].flatten(), exact.flatten(), 0).clamp(-1, 1)
        for name, exact in gradients[1].items()
    ]
    return model, float(np.mean([math.degrees(math.acos(float(c))) for c in cosines]))


@torch.no_grad()
def accuracy(model, inputs, labels) -> float:
    """Share of samples that are classified correctly."""
    return float((model.eval()(inputs).prediction.argmax(1) == labels).float().mean())


def main() -> None:
    """Writes top_down_norms.csv into a folder, and prints the table."""
    torch.set_num_threads(1)
    data, rows = digits(), []
    inputs, labels = data.train_inputs, data.train_targets
    part = 2 * len(inputs) // 3
    for arm in ARMS:
        scores = {}
        for rate in RATES:
            model, _ = train(arm, rate, 100, inputs[:part], labels[:part])
            scores[rate] = accuracy(model, inputs[part:], labels[part:])
        rate = max(scores, key=lambda each: scores[each])
        print(f"{arm}: rate {rate} of {scores}", flush=True)
        for seed in SEEDS:
            began = time.perf_counter()
            model, angle = train(arm, rate, seed, inputs, labels)
            found = accuracy(model, data.test_inputs, data.test_targets)
            seconds = round(time.perf_counter() - began, 2)
            row = {"arm": arm, "rate": rate, "seed": seed, "test_accuracy": found}
            rows.append(row | {"angle": round(angle, 4), "seconds": seconds})
    with Path(sys.argv[1], "top_down_norms.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    show(rows)


def show(rows: list[dict]) -> None:
    """The table, mean and standard deviation over seeds."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["arm"], row["rate"]].append((100 * row["test_accuracy"], row["angle"]))
    print("torch", torch.__version__)
    for (arm, rate), values in groups.items():
        cells = [
            f"{np.mean(each):.1f} ± {np.std(each, ddof=1):.1f}"
            for each in zip(*values, strict=True)
        ]
        print(f"| {arm} | {rate:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
