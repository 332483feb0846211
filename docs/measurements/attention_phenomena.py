"""Four phenomena of attention in small instructed networks, each beside its control.

The phenomena are those that the abstract of Salehi et al. (Nature Communications 2026) names for
another model; no number of that paper is used. Noise, number of steps, learning rate and the choice
of bars in place of gratings were set with seed 100, which is not used here. Claims, and what
falsifies each, were written before the run of seeds 0 to 4. Intervals are 95 % intervals of
Student's t over these seeds; "above 0" is said of a whole interval.

"load": a target on a ring among 0 to 5 distractors, and a flanker in the margin. (1) Instructing
the place of the target lowers the cost of distractors. False if the cost without gates minus that
with them is not above 0. (2) The flanker interferes less when load is high. False if interference
without distractors minus that with five is not above 0 in the instructed network.

"blindness": which line of a cross is longer, or is there an object? Under the instruction of the
cross the object is never shown in training. (3) A linear decoder finds the object less well in the
hidden units of the instructed cross than in those of the instructed object. False if the difference
of areas under the ROC curve, mean of four contrasts, is not above 0. (4) It finds it less well than
with as many hidden units open at random. False in the same way.

"gain": the orientation of one of two bars, the one at the instructed place. Hidden units: (5)
Responses are larger if their preferred place is instructed. False if the index (cued - not) / (cued
+ not), minus that after training with a random cue, is not above 0. (6) The gain of the mean curve
is multiplicative: scaling the curve leaves less error than adding to it. False if the log of the
ratio of errors is not above 0. (7) The width of the mean curve does not change. False if the log of
the ratio of widths is above or below 0. (8) The gain is graded. False if the median log gain of
units that are open under both cues is not above 0.

"ownership": an edge that belongs to a figure on the one or on the other side, and units whose
receptive fields see only what the two images share, of two layers. (9) With two sweeps they respond
differently to the two. False, for a layer, if the index, its sign taken from other displays, minus
that with one sweep, is not above 0. (10) It is learned. False if the index minus that of networks
that were not trained is not above 0. (11) Units prefer the same side under both contrasts. False if
the share of those that do is not above one half.

    OMP_NUM_THREADS=1 python docs/measurements/attention_phenomena.py docs/measurements
"""

import csv
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.analysis.experiment.interval import mean_interval
from graphcolumns.data.displays import (
    FIGURES,
    border_ownership,
    gain_modulation,
    inattentional_blindness,
    perceptual_load,
)
from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Population,
    Projection,
    TopDownConv2d,
    TopDownEdges,
    TopDownLayer,
    TopDownLinear,
    TopDownNetwork,
)

matplotlib.use("agg")
import matplotlib.pyplot as plt

SIZE, WIDTH, MARGIN, BATCH = 32, 64, 6, 64
NOISE = {"load": 0.4, "blindness": 0.5, "gain": 0.3, "ownership": 0.2}
CONTRASTS = (0.1, 0.2, 0.4, 0.8)
ORIENTATIONS = 12
SCALER = GradScaler("cpu", enabled=False)


class Plan(NamedTuple):
    """How much is run."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 600
    train: int = 600
    test: int = 400


class Columns(TopDownLayer):
    """Units ``[B, F]`` as columns ``[F, B, 1]``, and back."""

    def forward(self, x: Tensor) -> Tensor:
        """Bottom-up."""
        return x.T[:, :, None]

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """Top-down."""
        return counter[:, :, 0].T


def complete(columns: int, sources: int) -> ColumnGraph:
    """Every column receives from every source."""
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def network(answers: int, tasks: int, seed: int, sweeps: int = 1) -> BottomUpTopDown:
    """Two convolutions, a dense layer and a readout, all with tied weights; 0 tasks, no gates."""
    torch.manual_seed(seed)
    half, quarter = SIZE // 2, SIZE // 4
    populations = {
        "image": Population((1, SIZE, SIZE), "identity"),
        "early": Population((8, half, half)),
        "late": Population((16, quarter, quarter)),
        "hidden": Population(WIDTH),
        "columns": Population((WIDTH, 1), "identity", columns=True),
        "prediction": Population((answers, 1), "identity", columns=True),
    }
    projections = [
        Projection("image", "early", TopDownConv2d(1, 8, 5, stride=2, padding=2)),
        Projection("early", "late", TopDownConv2d(8, 16, 3, stride=2, padding=1)),
        Projection("late", "hidden", TopDownLinear(16 * quarter**2, WIDTH)),
        Projection("hidden", "columns", Columns()),
        Projection("columns", "prediction", TopDownEdges(complete(answers, WIDTH))),
    ]
    if tasks:
        populations["task"] = Population((tasks, 1), "identity", columns=True)
        layer = TopDownEdges(complete(tasks, WIDTH), bias=False)
        projections.append(Projection("columns", "task", layer))
    task = "task" if tasks else None
    return BottomUpTopDown(TopDownNetwork(populations, projections), task=task, sweeps=sweeps)


def noisy(images: Tensor, part: str, draw: torch.Generator) -> Tensor:
    """Images with independent normal noise at every pixel."""
    return images + NOISE[part] * torch.randn(images.shape, generator=draw)


def train(
    model: BottomUpTopDown, batch: Callable, part: str, plan: Plan, seed: int, answers: int
) -> BottomUpTopDown:
    """Counter-Hebbian learning with Adam; the rate falls from 2e-3 to 0.

    A batch is images, instructions and targets; target ``head * answers + answer`` counts in the
    answers of one head.
    """

    def loss(_, output, target):
        heads = output.prediction.view(len(target), -1, answers)
        return F.cross_entropy(
            heads[torch.arange(len(target)), target // answers], target % answers
        )

    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / plan.steps)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(plan.steps):
        images, instruction, target = batch(draw)
        inputs = {"image": noisy(images, part, draw), "instruction": instruction}
        optimizer.zero_grad()
        counter_hebb(model, (inputs, target), {"task": (1.0, loss)}, scaler=SCALER)
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def states(model: BottomUpTopDown, images: Tensor, instruction: Tensor) -> dict[str, Tensor]:
    """Bottom-up neurons, with the prediction as ``[n, answers]``."""
    found = model.neurons({"image": images, "instruction": instruction})
    return found | {"prediction": found["prediction"][:, :, 0].T}


def row(part: str, arm: str, measure: str, seed: int, value: float, x: float | str = "") -> dict:
    """One line of the raw data."""
    return dict(part=part, arm=arm, measure=measure, x=x, seed=seed, value=float(value))


# Perceptual load.


def load_displays(count: int, seed: int) -> dict[tuple[int, str], tuple[Tensor, ...]]:
    """Images, target, flanker as a target and place, by load and flanker."""
    found = {}
    for load, flanker in product(range(6), ("same", "other")):
        shown = perceptual_load(count, load, flanker, size=SIZE, seed=seed)
        beside = (shown.flanker == FIGURES.index("triangle")).long()
        found[load, flanker] = (shown.images, shown.target, beside, shown.place)
    return found


def load(plan: Plan) -> list[dict]:
    """Accuracy by load and flanker: place instructed, no gates, a random place instructed."""
    rows = []
    seen, shown = load_displays(plan.train, 1), load_displays(plan.test, 2)
    images, target, beside, place = map(torch.cat, zip(*seen.values(), strict=True))
    for seed, arm in product(plan.seeds, ("instructed", "no gates", "random place")):

        def batch(draw, arm=arm):
            index = torch.randint(len(images), (BATCH,), generator=draw)
            margin = torch.rand(BATCH, generator=draw) < 0.5
            cue = torch.randint(MARGIN, (BATCH,), generator=draw)
            cue = cue if arm == "random place" else place[index]
            answer = torch.where(margin, 2 + beside[index], target[index])
            return images[index], torch.where(margin, MARGIN, cue), answer

        model = network(4, 0 if arm == "no gates" else MARGIN + 1, seed)
        train(model, batch, "load", plan, seed, 2)
        for (number, flanker), (pictures, truth, _, where) in shown.items():
            # The same noise for every load, flanker and arm.
            draw = torch.Generator().manual_seed(1000 + seed)
            cue = torch.randint(MARGIN, where.shape, generator=draw)
            cue = cue if arm == "random place" else where
            said = states(model, noisy(pictures, "load", draw), cue)["prediction"][:, :2]
            right = (said.argmax(1) == truth).float().mean()
            rows.append(row("load", arm, f"accuracy, {flanker}", seed, right, number))
    return rows


# Inattentional blindness.


@torch.no_grad()
def shuffled_gates(model: BottomUpTopDown, images: Tensor, cue: Tensor, seed: int) -> dict:
    """Neurons with as many hidden units open as the instruction opens, but others."""
    gates = model.gates({"image": images, "instruction": cue}) or {}
    order = torch.randperm(WIDTH, generator=torch.Generator().manual_seed(seed))
    return model.network.bottom_up(
        {"image": images}, {**gates, "hidden": gates["hidden"][:, order]}
    )


def decoded(present: Tensor, absent: Tensor) -> float:
    """Area under the ROC curve of a linear decoder, on the half that it was not fitted to."""
    half = len(present) // 2
    fit, held = (
        torch.cat([present[p], absent[p]]).flatten(1) for p in (slice(half), slice(half, None))
    )
    decoder = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    labels = [1] * half + [0] * half
    decoder.fit(fit.numpy(), labels)
    rest = len(present) - half
    return roc_auc_score([1] * rest + [0] * rest, decoder.decision_function(held.numpy()))


def blindness(plan: Plan) -> list[dict]:
    """How well an object is found in the state, by contrast and instruction."""
    rows = []
    seen, shown = (
        inattentional_blindness(n, size=SIZE, contrast=1.0, seed=s)
        for n, s in ((6 * plan.train, 1), (2 * plan.test, 2))
    )
    for seed, arm in product(plan.seeds, ("instructed", "no gates")):

        def batch(draw):
            index = torch.randint(len(seen.images), (BATCH,), generator=draw)
            cue = torch.randint(2, (BATCH,), generator=draw)
            there = torch.randint(2, (BATCH,), generator=draw) * cue
            contrast = (0.1 + 0.7 * torch.rand(BATCH, generator=draw)) * there
            added = (seen.images - seen.without)[index] * contrast[:, None, None, None]
            answer = torch.where(cue == 1, 2 + there, seen.longer[index])
            return seen.without[index] + added, cue, answer

        model = network(4, 2 if arm == "instructed" else 0, seed)
        train(model, batch, "blindness", plan, seed, 2)
        for contrast in CONTRASTS:
            draw = torch.Generator().manual_seed(1000 + seed)
            added = contrast * (shown.images - shown.without)
            absent = noisy(shown.without, "blindness", draw)
            present = noisy(shown.without + added, "blindness", draw)
            cases = {"no gates": 0} if arm == "no gates" else {"cross": 0, "object": 1}
            for case, cue in cases.items():
                cue = torch.full((len(absent),), cue)
                pair = [states(model, x, cue) for x in (present, absent)]
                rows += found(
                    f"{case} instructed" if arm == "instructed" else arm, pair, seed, contrast
                )
                if case == "cross":
                    for name, x in zip(("with", "without"), pair, strict=True):
                        right = (x["prediction"][:, :2].argmax(1) == shown.longer).float().mean()
                        rows.append(
                            row("blindness", case, f"task {name} object", seed, right, contrast)
                        )
                    pair = [shuffled_gates(model, x, cue, seed) for x in (present, absent)]
                    rows += found("gates shuffled", pair, seed, contrast)
    return rows


def found(arm: str, pair: list[dict], seed: int, contrast: float) -> list[dict]:
    """How well the object is decoded from two populations, and read by the network's own head."""
    rows = [
        row("blindness", arm, f"decoder, {name}", seed, decoded(*(x[name] for x in pair)), contrast)
        for name in ("late", "hidden")
    ]
    if arm != "gates shuffled":
        said = torch.cat([x["prediction"][:, 3] - x["prediction"][:, 2] for x in pair])
        labels = [1] * (len(said) // 2) + [0] * (len(said) // 2)
        own = roc_auc_score(labels, said.numpy())
        rows.append(row("blindness", arm, "own head", seed, own, contrast))
    return rows


# Gain modulation.


def gain(plan: Plan) -> list[dict]:
    """Tuning curves at the instructed place and at the other one."""
    rows = []
    seen = gain_modulation(ORIENTATIONS, max(1, plan.train // 10), "bar", size=SIZE, seed=1)
    images, cues = seen.images[seen.cued], seen.cue[seen.cued]
    labels = (seen.orientation[seen.cued] * ORIENTATIONS / 180).round().long()
    shown = gain_modulation(ORIENTATIONS, max(2, plan.test // 10), "bar", size=SIZE, seed=2)
    for seed, arm in product(plan.seeds, ("instructed", "random cue")):

        def batch(draw, arm=arm):
            index = torch.randint(len(images), (BATCH,), generator=draw)
            cue = torch.randint(2, (BATCH,), generator=draw)
            return images[index], cue if arm == "random cue" else cues[index], labels[index]

        model = network(ORIENTATIONS, 2, seed)
        train(model, batch, "gain", plan, seed, ORIENTATIONS)
        neurons = states(model, shown.images, shown.cue)
        truth = (shown.orientation * ORIENTATIONS / 180).round().long()
        right = (neurons["prediction"].argmax(1) == truth)[shown.cued].float().mean()
        rows.append(row("gain", arm, "accuracy", seed, right))
        for name in ("early", "late", "hidden"):
            rows += tuned(f"{arm}, {name}", curves(neurons[name]), seed)
    return rows


def curves(responses: Tensor) -> Tensor:
    """``[2 halves, orientations, units, 2]``: cued or not, at the place that a unit prefers.

    The place is chosen on one half of the repeats for the curves of the other half.
    """
    sizes = (-1, ORIENTATIONS, 2, 2, responses[0].numel())
    mean = responses.flatten(1).view(sizes)
    halves = torch.stack([mean[0::2].mean(0), mean[1::2].mean(0)])
    # By cue and place to not cued and cued.
    halves = torch.stack(
        [torch.stack([halves[:, :, p, 1 - p], halves[:, :, p, p]], -1) for p in (0, 1)], 2
    )
    both = halves.mean(-1)
    depth = both.amax(1) - both.amin(1)
    place = depth.argmax(1).flip(0)
    index = place[:, None, None, :, None].expand(2, ORIENTATIONS, 1, -1, 2)
    return halves.gather(2, index)[:, :, 0]


def tuned(arm: str, tuning: Tensor, seed: int) -> list[dict]:
    """Units that are tuned, one by one, and their mean curve around the preferred orientation."""
    both = tuning.mean(-1).flip(0)
    # Which units are tuned, and to what, is taken from the other half of the repeats.
    depth = (both.amax(1) - both.amin(1)) / (both.amax(1) + both.amin(1)).clamp(min=1e-6)
    chosen = (depth > 0.2) & (both.mean(1) > 0.1 * both.mean(1).amax(1, keepdim=True))
    without, cued, both = (x.movedim(1, 2)[chosen] for x in (*tuning.unbind(-1), both))
    one, other = cued.mean(1), without.mean(1)
    index = (one - other) / (one + other).clamp(min=1e-9)
    values = {
        "units": float(len(index)) / 2,
        "index": index.mean(),
        "open only if cued": (other <= 0).float().mean(),
        "open only if not cued": (one <= 0).float().mean(),
        "log gain, units open under both": (one / other).log()[(one > 0) & (other > 0)].median(),
    }
    places = torch.arange(ORIENTATIONS) - ORIENTATIONS // 2
    order = (both.argmax(1)[:, None] + places) % ORIENTATIONS
    means = [(x / both.amax(1, keepdim=True)).gather(1, order).mean(0) for x in (cued, without)]
    values |= compared(*means)
    rows = [row("gain", arm, name, seed, value) for name, value in values.items()]
    for name, curve in zip(("cued", "not cued"), means, strict=True):
        angles = (places * (180 / ORIENTATIONS)).tolist()
        measure = f"curve, {name}"
        rows += [row("gain", arm, measure, seed, v, x) for x, v in zip(angles, curve, strict=True)]
    return rows


def compared(cued: Tensor, without: Tensor) -> dict[str, Tensor]:
    """Gain and width of two mean curves, and what is left by scaling and by adding."""
    scaled = (cued - cued.mean() / without.mean() * without).square().mean()
    added = (cued - without - (cued.mean() - without.mean())).square().mean()
    return {
        "log gain, mean curve": (cued.mean() / without.mean()).log(),
        "log error, added over scaled": (added / scaled.clamp(min=1e-12)).clamp(min=1e-12).log(),
        "log width, mean curve": (width(cued) / width(without)).log(),
    }


def width(curve: Tensor) -> Tensor:
    """Circular standard deviation, in degrees, of what a curve has above its minimum."""
    above = curve - curve.min()
    angle = torch.arange(ORIENTATIONS) * (2 * torch.pi / ORIENTATIONS)
    length = torch.hypot(above @ angle.cos(), above @ angle.sin()) / above.sum()
    return (-2 * length.log()).sqrt() * 90 / torch.pi


# Border ownership.


def ownership(plan: Plan) -> list[dict]:
    """Responses to one edge that belongs to a figure on the one or on the other side."""
    rows = []
    seen = border_ownership(max(1, plan.train // 2), size=SIZE, vary=True, seed=1)
    arms = {
        "two sweeps": (2, 2, 0),
        "two sweeps, lighter side instructed": (2, 2, 1),
        "one sweep": (2, 1, 0),
        "two sweeps, trained with one": (1, 2, 0),
        "two sweeps, not trained": (0, 2, 0),
    }
    for seed in plan.seeds:

        def batch(draw):
            index = torch.randint(len(seen.images), (BATCH,), generator=draw)
            cue = torch.randint(2, (BATCH,), generator=draw)
            answer = torch.where(cue == 1, 2 + seen.light[index], seen.side[index])
            return seen.images[index], cue, answer

        models = {n: network(4, 2, seed, sweeps=max(1, n)) for n in (0, 1, 2)}
        for n in (1, 2):
            train(models[n], batch, "ownership", plan, seed, 2)
        for arm, (trained, sweeps, cue) in arms.items():
            models[trained].sweeps = sweeps
            rows += owned(models[trained], arm, cue, max(2, plan.test // 8), seed)
    return rows


def owned(model: BottomUpTopDown, arm: str, cue: int, repeats: int, seed: int) -> list[dict]:
    """Index of border ownership, and whether both contrasts agree on the side."""
    shown = border_ownership(repeats, size=SIZE)
    images = noisy(shown.images, "ownership", torch.Generator().manual_seed(1000 + seed))
    neurons = states(model, images, torch.full((len(images),), cue))
    answer = (shown.side, shown.light)[cue]
    right = (neurons["prediction"].view(-1, 2, 2)[:, cue].argmax(1) == answer).float().mean()
    rows = [row("ownership", arm, "accuracy", seed, right)]
    for name in ("early", "late"):
        parts = []
        for direction in (0, 1):
            # Repeats, contrasts, sides, units.
            units = neurons[name].view(repeats, 2, 2, 2, *neurons[name].shape[1:])[:, direction]
            rows_, columns = inside(name, direction)
            parts.append(units[..., rows_, :][..., columns].flatten(3))
        rows += preferred(f"{arm}, {name}", torch.cat(parts, -1), seed)
    return rows


def inside(name: str, direction: int) -> tuple[slice, slice]:
    """Units on the edge whose receptive fields see only what the images of both sides share."""
    along, across = {"early": (slice(6, 10), slice(7, 9)), "late": (slice(4, 5), slice(3, 5))}[name]
    return (along, across) if direction == 0 else (across, along)


def preferred(arm: str, responses: Tensor, seed: int) -> list[dict]:
    """From responses ``[repeats, contrasts, sides, units]``.

    The sign of an index, its preferred side, is taken from the other half of the repeats.
    """
    halves = torch.stack([responses[0::2].mean(0), responses[1::2].mean(0)])
    total = halves.sum((1, 2))
    active = (total > 0.1 * total.amax(1, keepdim=True)).all(0)
    # Side of the figure, left minus right: under each contrast, over both, and light minus dark.
    sides = (halves[:, :, 0] - halves[:, :, 1])[..., active]
    total = total[:, active].clamp(min=1e-9)
    side, light = sides.sum(1) / total, (sides[:, 0] - sides[:, 1]) / total
    reliable = (sides.sign()[0] == sides.sign()[1]).all(0) & (sides != 0).flatten(0, 1).all(0)
    agree = (sides[0, 0].sign() == sides[0, 1].sign())[reliable].float()
    values = {
        "units": active.sum(),
        "index, side of the figure": (side.flip(0).sign() * side).mean(),
        "index, light or dark figure": (light.flip(0).sign() * light).mean(),
        "units with a side under both": reliable.sum(),
        "share that agrees": agree.mean() if len(agree) else torch.tensor(torch.nan),
    }
    return [row("ownership", arm, name, seed, value) for name, value in values.items()]


PARTS = {"load": load, "blindness": blindness, "gain": gain, "ownership": ownership}


# Effects, from the raw data.


def by_seed(rows: list[dict], part: str, arm: str, measure: str, x: float | str | None = None):
    """Values by seed, their mean where there are several."""
    found: dict[int, list[float]] = {}
    for r in rows:
        if (r["part"], r["arm"], r["measure"]) == (part, arm, measure) and x in (None, r["x"]):
            found.setdefault(r["seed"], []).append(r["value"])
    return torch.tensor([sum(v) / len(v) for _, v in sorted(found.items())])


def effects(rows: list[dict]) -> list[tuple[str, Tensor, Tensor]]:
    """Every effect with its control, one value per seed."""
    found = []

    def accuracy(arm, flanker, number):
        return 100 * by_seed(rows, "load", arm, f"accuracy, {flanker}", number)

    def cost(arm):
        return sum(accuracy(arm, f, 0) - accuracy(arm, f, 5) for f in ("same", "other")) / 2

    def interference(arm, number):
        return accuracy(arm, "same", number) - accuracy(arm, "other", number)

    for control in ("no gates", "random place"):
        found.append(
            (f"cost of 5 distractors, points: {control}", cost("instructed"), cost(control))
        )
    for arm in ("instructed", "no gates"):
        pair = [interference(arm, number) for number in (0, 5)]
        found.append((f"interference, points, load 0 and 5: {arm}", *pair))
    for measure, one, control in (
        ("decoder, hidden", "object instructed", "cross instructed"),
        ("decoder, hidden", "gates shuffled", "cross instructed"),
        ("decoder, hidden", "no gates", "cross instructed"),
        ("decoder, late", "object instructed", "cross instructed"),
        ("own head", "object instructed", "cross instructed"),
        ("own head", "no gates", "cross instructed"),
    ):
        pair = [by_seed(rows, "blindness", arm, measure) for arm in (one, control)]
        found.append((f"{measure}: {one} and {control}", *pair))
    pair = [
        100 * by_seed(rows, "blindness", "cross", f"task {w} object") for w in ("without", "with")
    ]
    found.append(("accuracy of the cross, points: without and with object", *pair))
    for name, measure in product(
        ("early", "late", "hidden"),
        (
            "index",
            "open only if cued",
            "open only if not cued",
            "log gain, mean curve",
            "log error, added over scaled",
            "log width, mean curve",
            "log gain, units open under both",
        ),
    ):
        pair = [
            by_seed(rows, "gain", f"{a}, {name}", measure) for a in ("instructed", "random cue")
        ]
        found.append((f"{measure}, {name}: instructed and random cue", *pair))
    index, share = "index, side of the figure", "share that agrees"
    others = ("one sweep", "two sweeps, not trained", "two sweeps, lighter side instructed")
    for name, control in product(("early", "late"), others):
        pair = [by_seed(rows, "ownership", f"{a}, {name}", index) for a in ("two sweeps", control)]
        found.append((f"{index}, {name}: two sweeps and {control}", *pair))
    for name in ("early", "late"):
        agree = by_seed(rows, "ownership", f"two sweeps, {name}", share)
        found.append((f"{share}, {name}: and one half", agree, torch.full_like(agree, 0.5)))
    return found


def said(values: Tensor, digits: int = 3) -> str:
    """Mean and interval, of seeds that have a value."""
    kept = values[values.isfinite()].tolist()
    if not kept:
        return "-"
    mean, low, high, count = mean_interval(kept)
    few = "" if count == len(values) else f" (n={count})"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]{few}"


def show(rows: list[dict]) -> None:
    """Every effect, its control and the paired difference."""
    print("torch", torch.__version__)
    for name, one, control in effects(rows):
        digits = 1 if "points" in name else 3
        cells = (said(one, digits), said(control, digits), said(one - control, digits))
        print(f"| {name} | {' | '.join(cells)} |")


# The figure.


def draw(rows: list[dict], path: Path) -> None:
    """One column per phenomenon: a display, and what was measured."""
    figure, axes = plt.subplots(
        2, 4, figsize=(15, 6.6), layout="constrained", height_ratios=(1, 2.2)
    )
    shown = (
        perceptual_load(1, 4, "other", size=SIZE, seed=3).images[0],
        inattentional_blindness(1, size=SIZE, seed=3).images[0],
        gain_modulation(4, 1, "bar", size=SIZE).images[4],
        torch.cat([*border_ownership(1, size=SIZE).images[:2]], -1),
    )
    titles = ("perceptual load", "inattentional blindness", "gain modulation", "border ownership")
    for axis, image, title in zip(axes[0], shown, titles, strict=True):
        axis.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set(title=title, xticks=[], yticks=[])
    for part, axis in zip(
        (draw_load, draw_blindness, draw_gain, draw_ownership), axes[1], strict=True
    ):
        part(rows, axis)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def line(axis, places, values: list[Tensor], label: str, **style) -> None:
    """Mean of the seeds, with its interval."""
    found = [mean_interval(v[v.isfinite()].tolist() or [float("nan")]) for v in values]
    (drawn,) = axis.plot(places, [f.mean for f in found], label=label, **style)
    low, high = ([getattr(f, end) for f in found] for end in ("low", "high"))
    axis.fill_between(places, low, high, alpha=0.15, color=drawn.get_color())


def draw_load(rows: list[dict], axis) -> None:
    """Accuracy by load."""
    colours = {"instructed": "C0", "no gates": "C3", "random place": "C7"}
    for (arm, colour), (flanker, dash) in product(
        colours.items(), (("same", "-"), ("other", "--"))
    ):
        values = [100 * by_seed(rows, "load", arm, f"accuracy, {flanker}", n) for n in range(6)]
        line(axis, range(6), values, f"{arm}, flanker {flanker}", color=colour, linestyle=dash)
    axis.set(xlabel="distractors", ylabel="accuracy in %")
    axis.legend(fontsize=7)


def draw_blindness(rows: list[dict], axis) -> None:
    """Detection by contrast."""
    arms = {
        "object instructed": "C0",
        "cross instructed": "C3",
        "gates shuffled": "C7",
        "no gates": "C2",
    }
    for arm, colour in arms.items():
        values = [by_seed(rows, "blindness", arm, "decoder, hidden", c) for c in CONTRASTS]
        line(axis, CONTRASTS, values, arm, color=colour, marker="o")
    values = [by_seed(rows, "blindness", "cross instructed", "own head", c) for c in CONTRASTS]
    line(axis, CONTRASTS, values, "cross instructed, own head", color="C3", linestyle="--")
    axis.set(xscale="log", xlabel="contrast of the object", ylabel="area under the ROC curve")
    axis.set_xticks(CONTRASTS, [str(c) for c in CONTRASTS])
    axis.minorticks_off()
    axis.axhline(0.5, color="0.7", linewidth=0.8)
    axis.legend(fontsize=7)


def draw_gain(rows: list[dict], axis) -> None:
    """Mean tuning curves of hidden units."""
    angles = [(k - ORIENTATIONS // 2) * 180 / ORIENTATIONS for k in range(ORIENTATIONS)]
    for (arm, dash), (name, colour) in product(
        (("instructed", "-"), ("random cue", ":")), (("cued", "C0"), ("not cued", "C3"))
    ):
        values = [by_seed(rows, "gain", f"{arm}, hidden", f"curve, {name}", x) for x in angles]
        style = {"linestyle": dash, "color": colour}
        if arm == "instructed":
            line(axis, angles, values, name, **style)
        else:
            means = [float(v.nanmean()) for v in values]
            axis.plot(angles, means, label=f"{name}, trained with a random cue", **style)
    axis.set(
        xlabel="orientation from the preferred one, degrees", ylabel="response of hidden units"
    )
    axis.legend(fontsize=7)


def draw_ownership(rows: list[dict], axis) -> None:
    """Index of every seed, and its interval, by arm and layer."""
    arms = [
        "one sweep",
        "two sweeps",
        "two sweeps, lighter side instructed",
        "two sweeps, not trained",
    ]
    for shift, (name, colour) in zip((-0.12, 0.12), (("early", "C0"), ("late", "C3")), strict=True):
        for place, arm in enumerate(arms):
            values = by_seed(rows, "ownership", f"{arm}, {name}", "index, side of the figure")
            centre = mean_interval(values.tolist())
            ends = [[centre.mean - centre.low], [centre.high - centre.mean]]
            label = f"{name} layer" if place == 0 else None
            axis.errorbar(place + shift, centre.mean, ends, fmt="o", color=colour, label=label)
            axis.plot([place + shift] * len(values), values.tolist(), ".", color=colour, alpha=0.4)
    axis.axhline(0, color="0.7", linewidth=0.8)
    labels = [arm.replace(", ", ",\n").replace("side ", "side\n") for arm in arms]
    axis.set_xticks(range(len(arms)), labels, fontsize=7)
    axis.set(ylabel="index of border ownership")
    axis.legend(fontsize=7)


def read(path: Path) -> list[dict]:
    """The raw data of an earlier run."""
    with path.open(newline="") as file:
        return [
            r
            | {
                "x": float(r["x"]) if r["x"] else "",
                "seed": int(r["seed"]),
                "value": float(r["value"]),
            }
            for r in csv.DictReader(file)
        ]


def write(rows: list[dict], path: Path) -> None:
    """Writes raw data."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(r | {"value": f"{r['value']:.5g}"} for r in rows)


def main() -> None:
    """Writes attention_phenomena.csv and .png into a folder, and prints the table."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1], "attention_phenomena.csv")
    if "--again" not in sys.argv:
        write([r for part in PARTS.values() for r in part(Plan())], path)
    rows = read(path)
    show(rows)
    draw(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
