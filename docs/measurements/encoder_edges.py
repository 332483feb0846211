"""Edges from tokens to queries, pruned and regrown: do they go where a query needs them?

Simulated responses on 5 x 5 tokens: four regions read a fixed place, three the token of one kind of
object wherever it is, one is noise. A query that reads a place needs about four edges, one that
reads an object all 25, the noise none. All arms have the same number of edges in total, which rules
of plasticity may move from one query to another.

What can be reached is known. A query with edges from d of 25 tokens explains d / 25 of what a
content region does at most, since the object is at one of them in that share of the samples.

Written before the run:
- "Learned edges beat random ones" is falsified for a rule if it explains no more, in the mean over
  the regions with a signal, than random edges that never change, at 3, 6 and 12 edges per query.
- "Edges concentrate where they are needed" is falsified for a rule if content queries do not have
  more edges than those of places at the end, with 12 edges per query.
- "A rule finds the places" is falsified for a rule if retinotopic regions are explained worse than
  with edges from the tokens nearest to the true centres by more than 0.05 at 6 edges.
- Expected: the rules that prune small attention (set, rigl) do not concentrate edges, because
  attention is shared by the edges of a query, so that queries of few edges have large ones.

    OMP_NUM_THREADS=1 python docs/measurements/encoder_edges.py docs/measurements [SEED ...]
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
from matplotlib.figure import Figure

from graphcolumns import ColumnGraph
from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.data.metrics import ceiling_fraction_per_target
from graphcolumns.models.brain_encoder import brain_encoder
from graphcolumns.plasticity import presets
from graphcolumns.training import TrainOptions, train

SIDE, TOKENS = 5, 25
REGIONS = {"retinotopic": 4, "content": 3, "noise": 1}
DATA = {
    "size": SIDE,
    "regions": REGIONS,
    "distractors": 4,
    "train_count": 1500,
    "test_count": 1000,
}
DECODER = {"channels": 64, "heads": 4, "hidden": 128, "dropout": 0.0}
STEPS, RATE, EVERY = 600, 3e-3, 30
DEGREES = (3, 6, 12)
RULES = {
    "set": presets.set,
    "rigl": presets.rigl,
    "exact": presets.exact,
}
FIXED = ("random", "nearest", "needed")
ARMS = (*FIXED, *RULES)
SEEDS = range(3)
FIELDS = ("arm", "degree", "seed", "region", "fraction", "edges", "needed", "seconds")


def first_edges(arm: str, degree: int, routing, seed: int) -> ColumnGraph:
    """The edges that training starts with, ``degree`` per query in the mean."""
    draws = torch.Generator().manual_seed(seed)
    queries = routing.regions.num_regions
    if arm == "all":
        score, counts = torch.rand(queries, TOKENS), [TOKENS] * queries
    elif arm == "nearest":
        score, counts = -distance(routing), [degree] * queries
    elif arm == "needed":
        score, counts = -distance(routing), shared_out(degree * queries)
    else:
        score, counts = torch.rand(queries, TOKENS, generator=draws), [degree] * queries
    chosen = [row.topk(count).indices for row, count in zip(score, counts, strict=True)]
    target = torch.arange(queries).repeat_interleave(torch.tensor(counts))
    return ColumnGraph.from_edge_index(torch.stack([torch.cat(chosen), target]), queries, TOKENS)


def distance(routing) -> torch.Tensor:
    """Distance of every token from the centre of a query, or from the middle of the grid."""
    places = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    return torch.cdist(routing.centres.nan_to_num((SIDE - 1) / 2), places)


def shared_out(edges: int) -> list[int]:
    """Edges per query that explain most: four per place and one for the noise, others shared."""
    places, objects = REGIONS["retinotopic"], REGIONS["content"]
    for_place = min(4, (edges - 1 - objects) // places)
    rest = min(edges - 1 - for_place * places, TOKENS * objects)
    shares = [rest // objects + (k < rest % objects) for k in range(objects)]
    # What content queries cannot take goes to the noise.
    return [for_place] * places + shares + [edges - for_place * places - rest]


@torch.no_grad()
def run(arm: str, degree: int, seed: int) -> list[dict]:
    """A row for every region."""
    began = time.perf_counter()
    data, routing = routed_responses(seed=seed, **DATA), routing_of(seed=seed, **DATA)
    torch.manual_seed(seed)
    graph = first_edges(arm, degree, routing, seed)
    model = brain_encoder(
        data.num_classes, data.spec, data.task.regions, decoder=DECODER, edges=graph
    )
    rule = {"tokens": partial(RULES[arm], every=EVERY)} if arm in RULES else None
    options = TrainOptions(
        steps=STEPS, batch_size=64, lr=RATE, weight_decay=1e-4, seed=seed, progress=False
    )
    with tempfile.TemporaryDirectory() as folder, torch.enable_grad():
        train(model, data, run=Path(folder, "run"), options=options, plasticity=rule)
    predicted = model.eval()(data.test_inputs).prediction
    fraction = ceiling_fraction_per_target(predicted, data.test_targets, data.task.noise_ceiling)
    graph = model.graphs["tokens"]
    there = torch.zeros(graph.num_columns, TOKENS, dtype=torch.bool)
    there[graph.target.long(), graph.source.long()] = True
    needed = routing.required()
    seconds = round(time.perf_counter() - began, 1)
    return [
        {
            "arm": arm,
            "degree": degree,
            "seed": seed,
            "region": name,
            "fraction": float(fraction[mask].median()),
            "edges": int(there[region].sum()),
            "needed": float(there[region][needed[region]].float().mean()),
            "seconds": seconds,
        }
        for region, (name, mask) in enumerate(
            zip(routing.regions.names, routing.regions.masks, strict=True)
        )
    ]


def best(degree: int) -> float:
    """What is explained at best with so many edges per query, the mean over regions with a signal.

    Four edges are taken to be all that a place needs.
    """
    counts = shared_out(degree * sum(REGIONS.values()))
    places, objects = REGIONS["retinotopic"], REGIONS["content"]
    routed = sum(count / TOKENS for count in counts[places : places + objects])
    return (places + routed) / (places + objects)


def main() -> None:
    """Fills encoder_edges.csv in a folder; prints the tables and draws the figure."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1], "encoder_edges.csv")
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    done = {(row["arm"], row["degree"], row["seed"]) for row in rows}
    seeds = list(map(int, sys.argv[2:])) or SEEDS
    planned = [("all", TOKENS, seed) for seed in seeds]
    planned += [(arm, k, seed) for k in reversed(DEGREES) for seed in seeds for arm in ARMS]
    for case in planned:
        if tuple(map(str, case)) in done:
            continue
        new = run(*case)
        rows += [{name: str(row[name]) for name in FIELDS} for row in new]
        with path.with_suffix(".tmp").open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(path.with_suffix(".tmp"), path)
        cells = [f"{row['fraction']:.2f}/{row['edges']}" for row in new]
        print(*case, new[0]["seconds"], *cells, flush=True)
    show(rows)
    draw(rows, path.with_suffix(".png"))


def values(rows: list, field: str, arm: str, degree: int, families: tuple[str, ...]) -> list[float]:
    """The mean over the regions of some families, for every seed."""
    by_seed = {}
    for row in rows:
        same = (row["arm"], row["degree"]) == (arm, str(degree))
        if same and row["region"].split()[0] in families:
            by_seed.setdefault(row["seed"], []).append(float(row[field]))
    return [float(np.mean(found)) for found in by_seed.values()]


def cell(found: list[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    if len(found) < 2:
        return "".join(f"{value:.{digits}f}" for value in found)
    return f"{np.mean(found):.{digits}f} ± {np.std(found, ddof=1):.{digits}f}"


SIGNAL = ("retinotopic", "content")


def show(rows: list) -> None:
    """The tables of the page."""
    print("torch", torch.__version__)
    for degree in (*DEGREES, TOKENS):
        print(degree, f"edges per query; at best {best(min(degree, 12)):.3f}")
        for arm in ("all",) if degree == TOKENS else ARMS:
            take = partial(values, rows, arm=arm, degree=degree)
            parts = [cell(take("fraction", families=f), 3) for f in (SIGNAL, *zip(SIGNAL))]
            parts += [cell(take("edges", families=(f,)), 1) for f in REGIONS]
            parts.append(cell(take("needed", families=("retinotopic",)), 2))
            print(f"| {degree} | {arm} | {' | '.join(parts)} |")


def draw(rows: list, path: Path) -> None:
    """What is explained against edges per query, and where the edges are."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    axes = figure.subplots(1, 3)
    titles = {SIGNAL: "all regions with a signal", SIGNAL[:1]: "retinotopic", SIGNAL[1:]: "content"}
    for axis, (families, title) in zip(axes[:2], list(titles.items())[::2], strict=True):
        for number, arm in enumerate(ARMS):
            means = []
            for degree in DEGREES:
                found = values(rows, "fraction", arm, degree, families)
                axis.plot([degree] * len(found), found, ".", color=f"C{number}", alpha=0.5)
                means.append(np.mean(found))
            dashes = "--" if arm in FIXED else "-"
            axis.plot(DEGREES, means, dashes, color=f"C{number}", label=arm, linewidth=1.2)
        found = values(rows, "fraction", "all", TOKENS, families)
        axis.plot([TOKENS] * len(found), found, "k.", label="all edges")
        axis.set(xlabel="edges per query", ylabel="share of the noise ceiling", title=title)
        axis.legend(fontsize=7)
    place = 0.0
    ticks = []
    for arm in ARMS:
        for number, family in enumerate(REGIONS):
            found = values(rows, "edges", arm, 12, (family,))
            label = family if arm == ARMS[0] else None
            axes[2].barh(place, np.mean(found), color=f"C{number}", height=0.8, label=label)
            axes[2].plot(found, [place] * len(found), "k.", markersize=3)
            place += 1
        ticks.append(place - 2)
        place += 0.8
    axes[2].set_yticks(ticks, ARMS)
    axes[2].invert_yaxis()
    axes[2].set(xlabel="edges of a query at the end", title="12 edges per query")
    axes[2].legend(fontsize=7)
    for axis in axes:
        axis.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
