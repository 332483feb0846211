"""Effects, their intervals and the figure, from the raw data of ``attention_phenomena.py``.

python docs/measurements/attention_figure.py docs/measurements
"""

import csv
import sys
from itertools import product
from pathlib import Path

import matplotlib
import torch
from attention_network import CONTRASTS, ORIENTATIONS, SIZE
from torch import Tensor

from graphcolumns.analysis.experiment.interval import mean_interval
from graphcolumns.data.displays import (
    border_ownership,
    gain_modulation,
    inattentional_blindness,
    perceptual_load,
)

matplotlib.use("agg")
import matplotlib.pyplot as plt

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

    def accuracy_of(arm, number):
        return (accuracy(arm, "same", number) + accuracy(arm, "other", number)) / 2

    def cost(arm):
        return accuracy_of(arm, 0) - accuracy_of(arm, 5)

    def interference(arm, number):
        return accuracy(arm, "same", number) - accuracy(arm, "other", number)

    matched = ("no gates, more noise", "no gates, small", "wrong place")
    for control in ("no gates", "random place", *matched):
        found.append(
            (f"cost of 5 distractors, points: {control}", cost("instructed"), cost(control))
        )
        for number in (0, 5):
            pair = [accuracy_of(a, number) for a in ("instructed", control)]
            found.append((f"accuracy with {number} distractors, points: {control}", *pair))
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
    for name in ("early", "late"):
        measure = "index, light or dark figure"
        pair = [
            by_seed(rows, "ownership", f"{n}, {name}", measure) for n in ("two sweeps", "one sweep")
        ]
        found.append((f"{measure}, {name}: two sweeps and one sweep", *pair))
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
    for arm, colour in (("no gates, more noise", "C1"), ("no gates, small", "C2")):
        pairs = [
            [
                float(by_seed(rows, "load", arm, f"accuracy, {f}", n).mean())
                for f in ("same", "other")
            ]
            for n in range(6)
        ]
        axis.plot(range(6), [50 * sum(p) for p in pairs], ":", color=colour, label=arm)
    axis.set(xlabel="distractors", ylabel="accuracy in %", ylim=(50, 90))
    axis.legend(fontsize=6, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.37))


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
    axis.set_ylim(0, 2.4)
    axis.legend(fontsize=7, loc="upper center")


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


def main() -> None:
    """Prints the table and draws the figure beside the raw data."""
    path = Path(sys.argv[1], "attention_phenomena.csv")
    rows = read(path)
    show(rows)
    draw(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
