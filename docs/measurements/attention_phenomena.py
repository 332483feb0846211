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
from itertools import product
from pathlib import Path

import attention_figure
import torch
from attention_network import (
    BATCH,
    CONTRASTS,
    ORIENTATIONS,
    SIZE,
    WIDTH,
    Plan,
    network,
    noisy,
    row,
    states,
    train,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from graphcolumns.data.displays import (
    FIGURES,
    border_ownership,
    gain_modulation,
    inattentional_blindness,
    perceptual_load,
)
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown

# The instruction of the margin, behind those of the six places.
MARGIN = 6
# Noise at which networks without gates are as accurate as instructed ones, without distractors.
MORE = 1.3


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
    """Accuracy by load and flanker: place instructed, no gates, a random place instructed.

    The arms "small", "more noise" and "wrong place" were added after the first run.
    """
    rows = []
    seen, shown = load_displays(plan.train, 1), load_displays(plan.test, 2)
    images, target, beside, place = map(torch.cat, zip(*seen.values(), strict=True))
    arms = ("instructed", "no gates", "random place", "no gates, small")
    for seed, arm in product(plan.seeds, arms):

        def batch(draw, arm=arm):
            index = torch.randint(len(images), (BATCH,), generator=draw)
            margin = torch.rand(BATCH, generator=draw) < 0.5
            cue = torch.randint(MARGIN, (BATCH,), generator=draw)
            cue = cue if arm == "random place" else place[index]
            answer = torch.where(margin, 2 + beside[index], target[index])
            return images[index], torch.where(margin, MARGIN, cue), answer

        tasks, width = (
            0 if "no gates" in arm else MARGIN + 1,
            WIDTH // 4 if "small" in arm else WIDTH,
        )
        model = train(network(4, tasks, seed, width=width), batch, "load", plan, seed, 2)
        rows += accuracies(model, arm, shown, seed)
        if arm == "instructed":
            rows += accuracies(model, "wrong place", shown, seed)
        if arm == "no gates":
            rows += accuracies(model, "no gates, more noise", shown, seed, MORE)
    return rows


def accuracies(model: BottomUpTopDown, arm: str, shown: dict, seed: int, scale: float = 1) -> list:
    """Accuracy by load and flanker."""
    rows = []
    for (number, flanker), (pictures, truth, _, where) in shown.items():
        # The same noise for every load, flanker and arm.
        draw = torch.Generator().manual_seed(1000 + seed)
        cue = torch.randint(MARGIN, where.shape, generator=draw)
        if arm == "wrong place":
            cue = (where + 1 + cue % (MARGIN - 1)) % MARGIN
        elif arm != "random place":
            cue = where
        said = states(model, noisy(pictures, "load", draw, scale), cue)["prediction"][:, :2]
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


def write(rows: list[dict], path: Path) -> None:
    """Writes raw data."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(r | {"value": f"{r['value']:.5g}"} for r in rows)


def main() -> None:
    """Writes attention_phenomena.csv and .png into a folder, and prints the table."""
    torch.set_num_threads(1)
    rows = [r for part in PARTS.values() for r in part(Plan())]
    write(rows, Path(sys.argv[1], "attention_phenomena.csv"))
    attention_figure.main()


if __name__ == "__main__":
    main()
