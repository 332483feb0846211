"""Do scores of edges say what happens? Against edges that are really deleted and inserted.

    OMP_NUM_THREADS=1 python tests/benchmarks/scores.py docs/measurements/scores

A sheet learns digits; at 0, 10, 50 and 100 % of its training single edges are deleted and single
candidates are inserted, one at a time, and the loss is measured before and after, on samples that
are trained on and on samples that are not. Each score is ranked against the truth (Spearman), and
of the 5 % of candidates that it likes best the share that raises the loss is counted. Scores are
measured on samples of their own: trained on, or not.
"""

import argparse
import itertools
import json
import math
import statistics
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from geometries import grid
from graphcolumns import connect, data
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import Uniform, criteria, draw_candidates, node_mean, rewire
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.update.trial import changed_copy
from graphcolumns.training.optim import adamw

STEPS, BATCH, RATE = 2000, 32, 3e-3
STAGES = (0.0, 0.1, 0.5, 1.0)
EDGES, PAIRS = 120, 240  # of each, really changed
Halves = dict[str, tuple[Tensor, Tensor]]

WORTH = {
    "fisher_taylor": criteria.fisher_taylor,
    "fisher_taylor (empirical)": lambda edges: criteria.fisher_taylor(edges, curvature="labels"),
    "taylor": criteria.deletion_cost,
    "attention x gradient": criteria.attention_gradient,
    "mass": criteria.mass,
    "size of the bias": criteria.weight_size,
    "length": criteria.length,
    "random": criteria.chance,
}
GAIN = {
    "insertion": criteria.insertion_gain,
    "insertion, curved": lambda pairs: criteria.insertion_gain(pairs, curvature="model"),
    "advantage": criteria.advantage,
    "size of the gradient (RigL)": criteria.gradient_size,
    "would-be attention": criteria.candidate_mass,
    "CH2-L3n": criteria.ch2_l3n,
    "distance": criteria.distance_kernel,
    "random": criteria.chance,
}


def losses(output, labels: Tensor) -> Tensor:
    return cross_entropy(output.prediction, labels, reduction="none")


def parts() -> tuple[Halves, Halves]:
    """Samples to score on and to measure on, trained on and held out; none in two."""
    digits = data.digits()
    order = torch.randperm(len(digits.train_inputs), generator=torch.Generator().manual_seed(0))
    x, y = digits.train_inputs[order], digits.train_targets[order]
    tested = digits.test_inputs[:512], digits.test_targets[:512]
    score = {"trained": (x[:128], y[:128]), "held out": (x[700:828], y[700:828])}
    measure = {"trained": (x[128:640], y[128:640]), "held out": tested}
    return score, measure


@torch.no_grad()
def loss(model: torch.nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    return float(losses(model.eval()(batch[0]), batch[1]).double().mean())


def truth(model, geometry, measure: Halves, drops: Tensor, pairs: tuple[Tensor, Tensor]) -> dict:
    """The real change of the loss by each deletion and each insertion, on both halves."""
    before = {half: loss(model, batch) for half, batch in measure.items()}
    none = torch.empty(0, dtype=torch.int64)
    single = [(drop[None], (none, none)) for drop in drops]
    single += [(none, (t[None], s[None])) for t, s in zip(*pairs, strict=True)]
    changes = {half: [] for half in measure}
    for drop, pair in tqdm(single, desc="edges", leave=False):
        copy = changed_copy(model, rewire(model.graph, drop, pair, geometry=geometry), node_mean)
        for half, batch in measure.items():
            changes[half].append(loss(copy, batch) - before[half])
    split = len(drops)
    return {
        "loss": before,
        "deletion": {half: torch.tensor(values[:split]) for half, values in changes.items()},
        "insertion": {half: torch.tensor(values[split:]) for half, values in changes.items()},
    }


def look(model, geometry, seed: int, score: Halves, measure: Halves) -> list[dict]:
    """One row per score and half it was measured on."""
    graph = model.graph
    generator = torch.Generator().manual_seed(seed)
    drops = torch.randperm(graph.num_edges, generator=generator)[:EDGES].sort().values
    pairs = draw_candidates(graph, Uniform(), PAIRS, seed=seed)
    real = truth(model, geometry, measure, drops, pairs)
    rows = []
    for scored, batch in score.items():
        survey = Probe(model, geometry, *batch, losses, step=1, seed=seed)
        edges, born = survey.edges(), survey.candidates(*pairs)
        values = {("deletion", name): f(edges)[drops] for name, f in WORTH.items()}
        values |= {("insertion", name): -f(born) for name, f in GAIN.items()}
        for ((kind, name), value), half in itertools.product(values.items(), measure):
            actual = real[kind][half]
            best = value.argsort()[: max(1, len(value) // 20)]
            rows.append(
                {
                    "kind": kind,
                    "score": name,
                    "scored_on": scored,
                    "measured_on": half,
                    "rho": float(spearmanr(value.double(), actual).statistic),
                    "harmful_top": float((actual[best] > 0).double().mean()),
                    "harmful_all": float((actual > 0).double().mean()),
                    "loss": real["loss"][half],
                }
            )
    return rows


def one(seed: int) -> list[dict]:
    """A sheet from start to end."""
    torch.manual_seed(seed)
    score, measure = parts()
    digits = data.digits()
    order = torch.randperm(len(digits.train_inputs), generator=torch.Generator().manual_seed(0))
    x, y = digits.train_inputs[order][:640], digits.train_targets[order][:640]
    geometry = grid.stack([8, 8, 8], offset=2.0)
    graph = connect.distance_decay(geometry, degree=4, length=2.0, seed=seed)
    model = sheet(
        geometry, graph, image_size=8, in_channels=1, num_classes=10,
        channels=8, heads=2, depth=3, interface={"patch": 3, "stride": 1, "padding": 1},
    )  # fmt: skip
    optimizer = adamw(model, RATE, 0.05, (0.9, 0.95))
    generator = torch.Generator().manual_seed(seed)
    rows: list[dict] = []
    for step in tqdm(range(STEPS + 1), desc=f"seed {seed}"):
        if step in {round(stage * STEPS) for stage in STAGES}:
            found = look(model, geometry, seed, score, measure)
            rows += [{"seed": seed, "share": step / STEPS, **row} for row in found]
            model.train()
        chosen = torch.randint(len(x), (BATCH,), generator=generator)
        optimizer.zero_grad()
        losses(model(x[chosen]), y[chosen]).mean().backward()
        optimizer.step()
    return rows


def table(rows: list[dict], kind: str, scored: str) -> str:
    """Mean over seeds: rank correlation / share of harmful ones among the best 5 %."""
    head = [f"{share:.0%}, {half}" for share in STAGES for half in ("trained", "held out")]
    lines = ["| score | " + " | ".join(head) + " |", "|--" * (len(head) + 1) + "|"]
    for name in WORTH if kind == "deletion" else GAIN:
        cells = []
        for share, half in itertools.product(STAGES, ("trained", "held out")):
            wanted = {"kind": kind, "score": name, "scored_on": scored, "measured_on": half}
            found = [r for r in rows if r["share"] == share and wanted.items() <= r.items()]
            rho = [r["rho"] for r in found if not math.isnan(r["rho"])]
            if not rho:  # a score that is the same for all, such as the bias at the start
                cells.append("none")
                continue
            spread = f" ± {statistics.stdev(rho):.2f}" if len(rho) > 1 else ""
            harm = statistics.mean(r["harmful_top"] for r in found)
            cells.append(f"{statistics.mean(rho):.2f}{spread} / {harm:.0%}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="name of the files, without ending")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = [row for seed in range(arguments.seeds) for row in one(seed)]
    arguments.out.with_suffix(".json").write_text(json.dumps(rows, indent=0) + "\n")
    text = []
    for kind, scored in itertools.product(("insertion", "deletion"), ("trained", "held out")):
        text += [f"### {kind.capitalize()}, scored on samples {scored}", table(rows, kind, scored)]
    arguments.out.with_suffix(".md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
