"""What do features learned by SoftHebb give a linear readout, beside PCA and random features?

Handwritten digits of scikit-learn, in the halves of `graphcolumns.data.digits`. Every arm maps the
pixels to features of one width, without labels; logistic regression reads them.

Written before the run: "SoftHebb finds better features" is falsified, for a kind and a width, if
its mean test accuracy is not above that of random weights in the same layer. Rate and inverse
temperature were chosen on the training half: fit on its first 2/3, scored on the rest (seed 100).
A first version centred every sample instead of every input; see the page.

    OMP_NUM_THREADS=1 python docs/measurements/soft_hebb.py docs/measurements
"""

import csv
import sys
import time
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from graphcolumns.data import digits
from graphcolumns.models.neurodynamics import SoftHebb, SoftHebbLayer

SEEDS = (0, 1, 2)
WIDTHS = (16, 32, 64)
# Channels of the convolution at every width, pooled to 2 x 2 places.
PLACES = 4


def dense(width: int, beta: float, anti: bool) -> SoftHebb:
    """One dense layer."""
    return SoftHebb([SoftHebbLayer(64, width, beta=beta, anti_hebbian=anti)])


def conv(width: int, beta: float, anti: bool) -> SoftHebb:
    """One convolution with 3 x 3 receptive fields, pooled to 2 x 2 places."""
    units = width // PLACES
    layer = SoftHebbLayer(1, units, kernel=3, padding=1, beta=beta, anti_hebbian=anti)
    return SoftHebb([layer], pool=4)


def score(train, train_labels, test, test_labels) -> float:
    """Accuracy of logistic regression on standardised features."""
    scale = StandardScaler().fit(train)
    readout = LogisticRegression(max_iter=2000).fit(scale.transform(train), train_labels)
    return readout.score(scale.transform(test), test_labels)


def features(model: SoftHebb, images: torch.Tensor) -> np.ndarray:
    """Features of images, flat for dense layers."""
    with torch.no_grad():
        return model(shaped(model, images)).numpy()


def shaped(model: SoftHebb, images: torch.Tensor) -> torch.Tensor:
    """Images as the model takes them."""
    return images.flatten(1) if model.layers[0].kernel is None else images


def learned(build, width, chosen, seed, train, test) -> tuple[np.ndarray, np.ndarray]:
    """Features of a model; without chosen numbers its weights stay random."""
    torch.manual_seed(seed)
    model = build(width, chosen["beta"] if chosen else 1.0, bool(chosen and chosen["anti"]))
    model.layers[0].centre(shaped(model, train))
    if chosen:
        numbers = {name: chosen[name] for name in ("rate", "epochs")}
        model.fit(shaped(model, train), seed=seed, **numbers)
    return features(model, train), features(model, test)


def choose(build, anti: bool, images, labels) -> dict:
    """The numbers that are best on the last third of the training half, at width 32."""
    part = 2 * len(images) // 3
    best = (-1.0, {})
    for beta, rate, epochs in product((2.0, 8.0, 32.0), (0.03, 0.3), (10,)):
        numbers = {"beta": beta, "rate": rate, "epochs": epochs, "anti": anti}
        found = learned(build, 32, numbers, 100, images[:part], images[part:])
        accuracy = score(found[0], labels[:part], found[1], labels[part:])
        best = max(best, (accuracy, numbers), key=lambda pair: pair[0])
    return best[1]


def main() -> None:
    """Writes soft_hebb.csv into a folder, and prints the table."""
    torch.set_num_threads(1)
    data, rows = digits(), []
    train, test = data.train_inputs, data.test_inputs
    labels = data.train_targets.numpy(), data.test_targets.numpy()
    arms = {"raw pixels": None, "PCA": None}
    for kind, build in (("dense", dense), ("convolution", conv)):
        arms[f"{kind}, random weights"] = (build, None)
        for name, anti in (("SoftHebb", False), ("SoftHebb, anti-Hebbian losers", True)):
            arms[f"{kind}, {name}"] = (build, choose(build, anti, train, labels[0]))
            print(f"{kind}, {name}:", arms[f"{kind}, {name}"][1], flush=True)
    for (arm, made), width, seed in product(arms.items(), WIDTHS, SEEDS):
        began = time.perf_counter()
        if made is not None:
            found = learned(*made[:1], width, made[1], seed, train, test)
        elif seed:  # deterministic: one run
            continue
        else:
            found = tuple(x.flatten(1).numpy() for x in (train, test))
            if arm == "PCA":
                model = PCA(width, random_state=seed).fit(found[0])
                found = tuple(map(model.transform, found))
            elif width != found[0].shape[1]:
                continue
        accuracy = score(found[0], labels[0], found[1], labels[1])
        seconds = round(time.perf_counter() - began, 2)
        rows.append(
            {"arm": arm, "width": width, "seed": seed, "test_accuracy": accuracy}
            | {"seconds": seconds}
        )
    with Path(sys.argv[1], "soft_hebb.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    show(rows)


def show(rows: list[dict]) -> None:
    """The table, mean and standard deviation over seeds, in %."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["arm"], row["width"]].append(100 * row["test_accuracy"])
    print("torch", torch.__version__)
    for arm in dict.fromkeys(name for name, _ in groups):
        cells = []
        for width in WIDTHS:
            values = groups.get((arm, width), [])
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}" if values else "-")
        print(f"| {arm} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
