"""Does attention find routing that no linear model can?

Simulated responses (``data=routed_responses``): regions that read a fixed place (retinotopic), the
token of one kind of object wherever it is (content), both (mixed), all tokens by weights of their
own (linear), or nothing (noise). Noise ceilings are known. Fractions of the ceiling are
``max(r, 0) ** 2 / ceiling``, the median over the vertices of a region.

Written before the run:
- "Attention finds content-routed regions" is falsified if it explains less than 0.9 of the ceiling,
  or if its largest weight is on the right token in fewer than 95 % of the test samples.
- "Ridge cannot" is falsified if per-vertex ridge explains more than 0.05 of the ceiling.
- "Attention loses nothing on retinotopic regions" is falsified below 0.95 of the ceiling.
- "Nothing is found where nothing is" is falsified if the mean correlation over vertices and seeds
  of the noise region is further than two standard errors from 0.
- "Ridge wins where it should" is falsified if attention explains more of a linear region than ridge
  does, with 300 training samples.

Learning rates are chosen on a fold of the training half (seed 100). Attention learns from four
fifths of the training samples, and the fifth decides which of its checkpoints is scored; ridge
chooses penalties by five folds, and learns from all samples. Rows that are in the table are kept.

    OMP_NUM_THREADS=1 python docs/measurements/routed_responses.py docs/measurements [SWEEPS [SEED]]
"""

import csv
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from matplotlib.figure import Figure

from graphcolumns import checkpoint
from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.data.metrics import ceiling_fraction_per_target, pearson_per_target
from graphcolumns.models.brain_encoder import (
    brain_encoder,
    cross_attention_encoder,
    spatial_feature_encoder,
)
from graphcolumns.training import TrainOptions, evaluate, train

STEPS, FEWER_STEPS, BATCH, EVERY = 1000, 500, 64, 100
RATES = (1e-3, 3e-3, 1e-2)
DECODER = {"channels": 64, "heads": 4, "hidden": 128, "dropout": 0.0}
ENCODERS = {
    "attention": partial(brain_encoder, decoder=DECODER, edges="unlisted"),
    "single cross-attention": partial(
        cross_attention_encoder, heads=1, position="learned", edges="unlisted"
    ),
    "factorised": spatial_feature_encoder,
}
PENALTIES = np.logspace(1, 6, 11)
LINEAR = ("ridge", "mean-token ridge")
ARMS = ("signal", *ENCODERS, *LINEAR)
TWO = ("attention", "ridge")
# What differs from the defaults (2,000 samples, noise 0.5, 8 distractors), the arms, the seeds.
SWEEPS = {
    "default": ([{}], ARMS, range(5)),
    "linear": ([{"regions": {"linear": 5}, "train_count": 300}], TWO, range(3)),
    "samples": ([{"train_count": n} for n in (100, 300, 1000, 3000)], TWO, range(3)),
    "noise": ([{"noise": 2.0}], TWO, range(3)),
    "distractors": ([{"distractors": 44}], TWO, range(3)),
}
FIELDS = ("sweep", "arm", "seed", "held_out", "rate", "train_count", "noise", "distractors")
FIELDS += ("region", "fraction", "r", "hit", "hit_head", "centre_error", "stopped", "seconds")
KEY = FIELDS[:8]


def fit_encoder(arm: str, data, rate: float, seed: int):
    """The encoder as it was when the fold of the training half was predicted best."""
    torch.manual_seed(seed)
    model = ENCODERS[arm](data.num_classes, data.spec, data.task.regions)
    inner = data.validation(0, seed=seed)
    options = TrainOptions(
        steps=STEPS if data.size("train") >= 1000 else FEWER_STEPS,
        batch_size=min(BATCH, inner.size("train")),
        lr=rate,
        weight_decay=1e-4,
        seed=seed,
        evaluate_every=EVERY,
        evaluate_test=False,
        best="loss",
        progress=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(model, inner, run=Path(folder, "run"), options=options)
        progress = checkpoint.load(Path(folder, "run"), model, which="best")
    return model.eval(), inner, progress.step


def fit_ridge(arm: str, data) -> torch.Tensor:
    """What ridge predicts for the test half, with a penalty for each vertex."""
    halves = [data.train_inputs["features"], data.test_inputs["features"]]
    x, x_test = ((part.flatten(1) if arm == "ridge" else part.mean(1)).numpy() for part in halves)
    centre = x.mean(0)
    y = data.train_targets
    mean = y.mean(0)
    # The same answer by the products of samples, faster for 1,568 features.
    ridge = partial(KernelRidgeCV, warn=False) if arm == "ridge" else RidgeCV
    model = ridge(alphas=PENALTIES, cv=5).fit(x - centre, (y - mean).numpy())
    return torch.from_numpy(model.predict(x_test - centre)) + mean


@torch.no_grad()
def run(sweep: str, options: dict, arm: str, seed: int, rate: float | None) -> list[dict]:
    """A row for every region."""
    began = time.perf_counter()
    data, routing = routed_responses(seed=seed, **options), routing_of(seed=seed, **options)
    weights, stopped = None, ""
    if arm == "signal":
        clean = routed_responses(seed=seed, **options | {"noise": 0.0})
        predicted = clean.test_targets
        weights = routing.fields[:, None, None]
    elif arm in LINEAR:
        predicted = fit_ridge(arm, data)
    else:
        with torch.enable_grad():
            model, _, stopped = fit_encoder(arm, data, rate, seed)
        predicted = model(data.test_inputs).prediction
        weights = model.attention(data.test_inputs, heads=True)
    fraction = ceiling_fraction_per_target(predicted, data.test_targets, data.task.noise_ceiling)
    r = pearson_per_target(predicted, data.test_targets)
    about = condition(sweep, options, arm, seed, "test", rate)
    seconds = round(time.perf_counter() - began, 1)
    return [
        about
        | {
            "region": name,
            "fraction": float(fraction[mask].median()),
            "r": float(r[mask].mean()),
            "stopped": stopped,
            "seconds": seconds,
        }
        | looks(weights, routing, region)
        for region, (name, mask) in enumerate(
            zip(routing.regions.names, routing.regions.masks, strict=True)
        )
    ]


def looks(weights: torch.Tensor | None, routing, region: int) -> dict:
    """How often the largest weight is on the right token; how far fields are from the truth."""
    found = {"hit": "", "hit_head": "", "centre_error": ""}
    if weights is None:
        return found
    place = routing.test_places[:, region]
    # The fields of the truth are no answer to a sample.
    if int(place[0]) >= 0 and weights.shape[1] == len(place):
        top = weights[region].mean(1).argmax(1)
        found["hit"] = float((top == place).double().mean())
        each = (weights[region].argmax(2) == place[:, None]).double().mean(0)
        found["hit_head"] = float(each.max())
    if routing.regions.families[region] == "retinotopic":
        mean = weights[region].mean((0, 1))
        found["centre_error"] = float((centre(mean) - routing.centres[region]).norm())
    return found


def centre(weights: torch.Tensor) -> torch.Tensor:
    """Centre of mass of the 3 x 3 patches around the largest weight, row and column."""
    side = round(len(weights) ** 0.5)
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    near = (places - places[weights.argmax()]).abs().amax(1) <= 1
    return (places * (weights * near)[:, None]).sum(0) / (weights * near).sum()


def condition(sweep: str, options: dict, arm: str, seed: int, held_out: str, rate) -> dict:
    """The cells of a row that say what was run."""
    given = {"train_count": 2000, "noise": 0.5, "distractors": 8} | options
    cells = {name: given[name] for name in ("train_count", "noise", "distractors")}
    rate = "" if rate is None else rate
    return {"sweep": sweep, "arm": arm, "seed": seed, "held_out": held_out, "rate": rate} | cells


def choose(table: "Table", arm: str) -> float | None:
    """The learning rate of an arm: the best on a fold of the training half, with another seed."""
    if arm not in ENCODERS:
        return None
    scores = {}
    for rate in RATES:
        key = condition("default", {}, arm, 100, "validation", rate)
        if not table.has(key):
            began = time.perf_counter()
            model, inner, stopped = fit_encoder(arm, routed_responses(seed=100), rate, 100)
            loss = evaluate(model, inner, "test")["loss"]
            seconds = round(time.perf_counter() - began, 1)
            table.add(
                [
                    key
                    | {"region": "all, loss", "r": loss, "stopped": stopped}
                    | {"seconds": seconds}
                ]
            )
        scores[rate] = float(table.rows_of(key)[0]["r"])
    return min(scores, key=scores.get)


class Table:
    """Rows in a CSV file, written again whenever there are new ones."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, []
        if path.exists():
            with path.open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    def rows_of(self, key: dict) -> list[dict]:
        """The rows with these cells."""
        wanted = {name: str(key[name]) for name in KEY if name in key}
        return [row for row in self.rows if all(row[k] == v for k, v in wanted.items())]

    def has(self, key: dict) -> bool:
        """Whether there is a row with these cells."""
        return bool(self.rows_of(key))

    def add(self, rows: list[dict]) -> None:
        """Adds rows and writes the file."""
        self.rows += [{name: str(row.get(name, "")) for name in FIELDS} for row in rows]
        new = self.path.with_suffix(".tmp")
        with new.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(new, self.path)


def main() -> None:
    """Fills routed_responses.csv in a folder; prints the tables and draws the figure."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1], "routed_responses.csv")
    table = Table(path)
    rates = {arm: choose(table, arm) for arm in ARMS}
    print(rates, flush=True)
    sweeps = sys.argv[2].split(",") if len(sys.argv) > 2 else SWEEPS
    only = int(sys.argv[3]) if len(sys.argv) > 3 else None
    for sweep in sweeps:
        conditions, arms, seeds = SWEEPS[sweep]
        seeds = [seed for seed in seeds if only is None or seed == only]
        for seed in seeds:
            for options in conditions:
                for arm in arms:
                    key = condition(sweep, options, arm, seed, "test", rates[arm])
                    if table.has(key):
                        continue
                    rows = run(sweep, options, arm, seed, rates[arm])
                    table.add(rows)
                    cells = [f"{float(row['fraction']):.3f}" for row in rows]
                    print(sweep, options, arm, seed, rows[0]["seconds"], *cells, flush=True)
    show(table)
    draw(table, path.with_suffix(".png"))


FAMILIES = ("retinotopic", "content", "mixed", "linear", "noise")


def values(table: Table, field: str, family: str, **cells) -> list[float]:
    """The mean over the regions of a family, for every seed."""
    by_seed = {}
    for row in table.rows_of(cells | {"held_out": "test"}):
        if row["region"].startswith(family) and row[field] not in ("", "nan"):
            by_seed.setdefault(row["seed"], []).append(float(row[field]))
    return [float(np.mean(found)) for found in by_seed.values()]


def cell(found: list[float], digits: int = 3) -> str:
    """Mean and standard deviation over seeds."""
    if not found:
        return ""
    deviation = np.std(found, ddof=1) if len(found) > 1 else 0.0
    return f"{np.mean(found):.{digits}f} ± {deviation:.{digits}f}"


def show(table: Table) -> None:
    """The tables of the page."""
    print("torch", torch.__version__)
    for arm in ARMS:
        about = {"sweep": "default", "arm": arm}
        parts = [cell(values(table, "fraction", family, **about)) for family in FAMILIES[:4]]
        # Without noise nothing is left of a region of noise.
        parts.append("" if arm == "signal" else cell(values(table, "r", "noise", **about)))
        print(f"| {arm} | {' | '.join(parts)} |")
    print("hit of the mean of heads, of the best head; centres in patches")
    for arm in ("signal", *ENCODERS):
        about = {"sweep": "default", "arm": arm}
        parts = [
            cell(values(table, field, family, **about))
            for family in ("content", "mixed")
            for field in ("hit", "hit_head")
        ]
        parts.append(cell(values(table, "centre_error", "retinotopic", **about)))
        print(f"| {arm} | {' | '.join(parts)} |")
    for arm in ARMS[1:]:
        rows = table.rows_of({"sweep": "default", "arm": arm, "held_out": "test"})
        r = [float(row["r"]) for row in rows if row["region"].startswith("noise")]
        error = np.std(r, ddof=1) / len(r) ** 0.5
        print(arm, f"noise region: r {np.mean(r):.4f}, standard error over seeds {error:.4f}")
    for sweep, (conditions, arms, _) in SWEEPS.items():
        if sweep == "default":
            continue
        for options in conditions:
            for arm in arms:
                about = condition(sweep, options, arm, 0, "test", None)
                about = {k: v for k, v in about.items() if k not in ("seed", "rate")}
                parts = [cell(values(table, "fraction", name, **about)) for name in FAMILIES[:4]]
                parts.append(cell(values(table, "hit", "content", **about)))
                named = ", ".join(f"{k}={v}" for k, v in options.items())
                print(f"| {named} | {arm} | {' | '.join(parts)} |")


def draw(table: Table, path: Path) -> None:
    """Fractions by arm and family; against samples, noise and distractors."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    axes = figure.subplots(2, 3)
    first = axes[0, 0]
    for place, arm in enumerate(ARMS):
        for shift, family in enumerate(FAMILIES[:4]):
            found = values(table, "fraction", family, sweep="default", arm=arm)
            at = [place + 0.16 * (shift - 1.5)] * len(found)
            label = family if not place else None
            first.plot(found, at, "o", color=f"C{shift}", alpha=0.6, markersize=4, label=label)
    first.set_yticks(range(len(ARMS)), ARMS, fontsize=8)
    first.invert_yaxis()
    first.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    first.set(xlabel="share of the noise ceiling", title="2,000 samples, 8 distractors")
    first.set_ylim(len(ARMS) + 0.2, -0.6)
    first.legend(fontsize=7, loc="lower center", ncols=4, columnspacing=0.8, handletextpad=0.1)
    panels = {
        "samples": ("train_count", "training samples", [2000]),
        "noise": ("noise", "standard deviation of the noise", [0.5]),
        "distractors": ("distractors", "distractors", [8]),
    }
    places = {"retinotopic": axes[0, 1], "content": axes[0, 2], "linear": axes[1, 0]}
    for family, axis in places.items():
        curves(axis, table, family, "samples", *panels["samples"])
        axis.set(xscale="log", title=f"{family} regions")
        counts = (100, 300, 1000, 3000)
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
    curves(axes[1, 1], table, "content", "noise", *panels["noise"])
    curves(axes[1, 2], table, "content", "distractors", *panels["distractors"])
    for axis in (axes[1, 1], axes[1, 2]):
        axis.set_title("content regions")
    for axis in axes.flat:
        axis.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def curves(axis, table: Table, family: str, sweep: str, field: str, label: str, own: list) -> None:
    """One line per arm, with a mark for every seed."""
    points = [options[field] for options in SWEEPS[sweep][0]]
    for colour, arm in zip(("C0", "C3"), TWO, strict=True):
        line = []
        for point in sorted(points + own):
            name = "default" if point in own else sweep
            about = {"sweep": name, "arm": arm} | ({field: point} if name == sweep else {})
            found = values(table, "fraction", family, **about)
            axis.plot([point] * len(found), found, ".", color=colour, alpha=0.5)
            line.append((point, np.mean(found) if found else np.nan))
        axis.plot(*zip(*line, strict=True), "-", color=colour, label=arm, linewidth=1.2)
    axis.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    axis.set(xlabel=label, ylabel="share of the noise ceiling", ylim=(-0.05, 1.1))
    axis.legend(fontsize=7)


if __name__ == "__main__":
    main()
