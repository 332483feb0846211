"""How much time do passes gain that leave out the columns that a task closes?

A sheet of 4096 columns, unrolled for four steps, with gates that open a chosen fraction of the
columns: at random, other columns in every step; or a compact area, the same in every step. The
whole pass multiplies with the gates, the other leaves closed columns out, in one process, one after
the other in every round.

Written before the run: "compute follows the active sub-network" is falsified if, with a fifth of
the columns open at random, a forward pass or a training step is less than 2.5 times faster than the
whole one, with the sub-network made anew in every pass.

    OMP_NUM_THREADS=1 python docs/measurements/gated_edges.py docs/measurements
"""

import copy
import csv
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles
from unittest.mock import patch

import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from geometries import grid
from graphcolumns import ColumnGraph, connect, edge_linear
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Population,
    Projection,
    TopDownEdges,
    TopDownNetwork,
    open_edges,
)
from graphcolumns.nn.top_down import edges as whole_edges

SIDE, DEGREE, CHANNELS, STEPS, SAMPLES = 64, 24, 8, 4, 64
FRACTIONS = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05)
ROUNDS = 7
RULES = {"counter_hebb": counter_hebb, "backprop": backprop}
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
FIELDS = ("gates", "fraction", "samples", "tasks", "work", "arm", "round", "seconds", "ratio")


def pooled(rows: int, columns: int) -> ColumnGraph:
    """Every column to one of some rows."""
    at = torch.arange(columns)
    return ColumnGraph.from_edge_index(torch.stack([at, at * rows // columns]), rows, columns)


def sheet(side: int, steps: int, channels: int, tasks: int, layer=TopDownEdges) -> BottomUpTopDown:
    """One recurrent layer, unrolled; the task reaches every step directly."""
    torch.manual_seed(0)
    columns = side * side
    again = layer(connect.nearest(grid.sheet(side, side), degree=DEGREE).named("sheet"))
    names = [f"step{k}" for k in range(steps)]
    every = torch.cartesian_prod(torch.arange(tasks), torch.arange(columns)).T.flip(0)
    instructed = ColumnGraph.from_edge_index(every, tasks, num_sources=columns)
    hidden = {name: Population((columns, channels), columns=True) for name in names}
    ends = {
        name: Population((count, channels), "identity", columns=True)
        for name, count in (("input", columns), ("prediction", 10), ("task", tasks))
    }
    links = [Projection(a, b, again) for a, b in zip(["input", *names], names, strict=False)]
    links.append(Projection(names[-1], "prediction", layer(pooled(10, columns))))
    links += [Projection(name, "task", layer(instructed.named(name), bias=False)) for name in names]
    return BottomUpTopDown(TopDownNetwork({**hidden, **ends}, links), skip_closed=False)


@torch.no_grad()
def set_gates(model: BottomUpTopDown, kind: str, fraction: float) -> None:
    """Opens chosen columns by weights to the task that outweigh all else."""
    columns = model.network.populations["input"].sizes[0]
    side, count = int(columns**0.5), round(fraction * columns)
    generator = torch.Generator().manual_seed(1)
    for task in range(model.network.populations["task"].sizes[0]):
        centre = torch.rand(2, generator=generator) * side
        links = [link for link in model.network.projections if link.target == "task"]
        for above, link in enumerate(reversed(links), 1):
            if kind == "random":
                score = torch.rand(columns, generator=generator)
            else:
                place = torch.stack([torch.arange(columns) // side, torch.arange(columns) % side])
                away = (place.T - centre).abs()
                score = torch.minimum(away, side - away).square().sum(1)
            open_columns = score.argsort()[:count]
            # More than what arrives from the step above, which was set before.
            strength = 100.0**above
            weight = torch.full((columns,), -strength)
            weight[open_columns] = strength
            link.layer.weight.view(-1, columns)[task] = weight


def batch(model: BottomUpTopDown, samples: int, dtype=torch.float32):
    """Noise, and tasks in turn."""
    populations = model.network.populations
    (columns, channels), (tasks, _) = populations["input"].sizes, populations["task"].sizes
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(samples, columns * channels, generator=generator).to(dtype)
    instruction = F.one_hot(torch.arange(samples) % tasks, tasks).to(dtype)
    instruction = instruction.repeat_interleave(channels, 1)
    return {"image": image, "instruction": instruction}, torch.arange(samples) % 10


def forward(model: BottomUpTopDown, given) -> None:
    """The instruction pass and the guided pass."""
    with torch.no_grad():
        model(given[0])


def step(rule, model: BottomUpTopDown, given) -> None:
    """The gradients of one batch."""
    model.zero_grad()
    rule(model, given, TERMS, scaler=GradScaler(enabled=False))


class Permuted(TopDownEdges):
    """The top-down pass as it was: along the reversed graph, with weights in its order."""

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges, and their reverse."""
        super().rewired(graph)
        self.reverse = (graph.reverse(),)

    def adjoint(self, counter, weight, shape):
        """Sums over out-edges."""
        return edge_linear(counter, weight[self.graph.by_source.permutation], self.reverse[0])


def multiply_adds(work) -> int:
    """Products of numbers along edges, counted where they are called.

    A sum along edges that autograd goes back through counts three times: forward, and by its two
    arguments.
    """
    total = [0]

    def counted(function):
        def call(x, other, graph, **options):
            learns = torch.is_grad_enabled() and any(t.requires_grad for t in (x, other))
            total[0] += graph.num_edges * x[0].numel() * (3 if learns else 1) if len(x) else 0
            return function(x, other, graph, **options)

        return call

    names = ("edge_linear", "edge_linear_transposed", "edge_products")
    patches = [
        patch.object(room, name, counted(getattr(room, name)))
        for room in (whole_edges, open_edges)
        for name in names
    ]
    for one in patches:
        one.start()
    try:
        work()
    finally:
        for one in patches:
            one.stop()
    return total[0]


def arms(whole: BottomUpTopDown) -> dict:
    """The whole pass, sub-networks that are kept, and those made anew in every pass."""
    skipping = copy.deepcopy(whole)
    skipping.skip_closed = True

    def anew(work, given):
        skipping._sub_networks = type(skipping._sub_networks)()
        work(skipping, given)

    return {
        "whole": lambda work, given: work(whole, given),
        "kept": lambda work, given: work(skipping, given),
        "anew": anew,
    }


WORKS = {"forward": forward} | {
    name: lambda model, given, rule=rule: step(rule, model, given) for name, rule in RULES.items()
}


def compare(kind: str, fraction: float, samples: int, tasks: int, rounds: int = ROUNDS):
    """Rows of times, one for each work, arm and round; the first round is not kept."""
    model = sheet(SIDE, STEPS, CHANNELS, tasks)
    set_gates(model, kind, fraction)
    given, runs, times = batch(model, samples), arms(model), {}
    shares = [float(gate.mean()) for gate in model.gates(given[0]).values()]
    assert all(abs(share - fraction) < 1e-3 for share in shares), shares
    for turn in range(rounds + 1):
        for name, work in WORKS.items():
            for arm, run in runs.items():
                began = time.process_time()
                run(work, given)
                times[name, arm, turn] = time.process_time() - began
    counts = {
        (name, arm): multiply_adds(lambda run=run, work=work: run(work, given))
        for name, work in WORKS.items()
        for arm, run in runs.items()
    }
    key = {"gates": kind, "fraction": fraction, "samples": samples, "tasks": tasks}
    for (name, arm, turn), seconds in times.items():
        if turn:
            fewer = counts[name, "whole"] / counts[name, arm]
            row = {"work": name, "arm": arm, "round": turn, "seconds": round(seconds, 6)}
            yield {**key, **row, "ratio": round(fewer, 3)}


def rules_apart(rounds: int = 15):
    """Counter-Hebbian learning before and after, and backpropagation: gates all open, no skip."""
    models = {
        "counter_hebb, before": (sheet(SIDE, STEPS, CHANNELS, 1, Permuted), counter_hebb),
        "counter_hebb": (sheet(SIDE, STEPS, CHANNELS, 1), counter_hebb),
        "backprop": (sheet(SIDE, STEPS, CHANNELS, 1), backprop),
    }
    for model, _ in models.values():
        set_gates(model, "random", 1.0)
    for turn in range(rounds + 1):
        for name, (model, rule) in models.items():
            given = batch(model, SAMPLES)
            began = time.process_time()
            step(rule, model, given)
            seconds = time.process_time() - began
            key = {"gates": "all open", "fraction": 1.0, "samples": SAMPLES, "tasks": 1}
            if turn:
                row = {"work": name, "arm": "whole", "round": turn, "seconds": round(seconds, 6)}
                yield {**key, **row, "ratio": 1.0}


def ratios(rows: list) -> dict:
    """Median and quartiles of whole over arm, round by round, and the ratio of multiply-adds."""
    times, fewer = defaultdict(dict), {}
    for row in rows:
        key = (row["gates"], row["fraction"], row["samples"], row["tasks"], row["work"])
        times[key, row["arm"]][row["round"]] = row["seconds"]
        fewer[key, row["arm"]] = row["ratio"]
    found = {}
    for (key, arm), each in times.items():
        if arm != "whole":
            by_round = [times[key, "whole"][turn] / seconds for turn, seconds in each.items()]
            low, _, high = quantiles(by_round, n=4)
            found[key, arm] = (median(by_round), low, high, fewer[key, arm])
    return found


def draw(rows: list, to: Path) -> None:
    """Gain in time and in multiply-adds against the fraction of open columns."""
    import matplotlib.pyplot as plt

    found = ratios(rows)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for axis, kind in zip(axes, ("random", "compact"), strict=True):
        for colour, work in zip(("C0", "C1", "C2"), WORKS, strict=True):
            at = [(f, found[(kind, f, SAMPLES, 1, work), "anew"]) for f in FRACTIONS]
            percent = [100 * f for f, _ in at]
            axis.plot(percent, [r[0] for _, r in at], "o-", color=colour, label=f"{work}, time")
            name = f"{work}, multiply-adds"
            axis.plot(percent, [r[3] for _, r in at], ":", color=colour, label=name)
        axis.axhline(1, color="0.7", linewidth=0.8)
        axis.set(xscale="log", yscale="log", title=f"{kind} gates", xlabel="open columns in %")
        axis.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
        axis.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axis.minorticks_off()
    axes[0].set_ylabel("whole pass over sub-network")
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(to, dpi=130)


def main(folder: Path) -> None:
    """Runs everything, and writes the table and the figure."""
    torch.set_num_threads(1)
    rows = []
    cases = [(kind, f, SAMPLES, 1) for kind in ("random", "compact") for f in FRACTIONS]
    cases += [("random", 0.2, samples, 1) for samples in (4, 16, 256)]
    cases += [("random", 0.2, SAMPLES, tasks) for tasks in (2, 4, 8, 16)]
    for case in cases:
        rows += compare(*case)
        print(case, flush=True)
    rows += rules_apart()
    with (folder / "gated_edges.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for key, (middle, low, high, fewer) in ratios(rows).items():
        print(*key[0], key[1], f"{middle:.2f} ({low:.2f}-{high:.2f}), multiply-adds {fewer:.2f}")
    for name in ("counter_hebb, before", "counter_hebb", "backprop"):
        times = [r["seconds"] for r in rows if r["gates"] == "all open" and r["work"] == name]
        print(name, f"{1e3 * median(times):.1f} ms")
    draw(rows, folder / "gated_edges.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
