"""When can scores be trusted? Predicted against measured change of the loss at every update.

    OMP_NUM_THREADS=1 python tests/benchmarks/prediction.py docs/measurements/prediction

Every rule rewires the default sheet on digits, at three shares of edges per update. Both changes
are those of the mean loss on 128 samples that took no part in the choice: predicted as the sum of
the effects of single deletions and insertions, measured before and after the update.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from scipy.stats import spearmanr

from geometries import grid
from graphcolumns import connect, data, train
from graphcolumns.models.columnformer import sheet
from graphcolumns.plasticity import presets, samplers

STEPS, EVERY = 1500, 100
SHARES = (0.02, 0.1, 0.3)
COMMON = {"every": EVERY, "stop": 0.95, "check_samples": 128}
LOOK = {**COMMON, "samples": 128}
RULES = {
    "set": lambda share: presets.set(STEPS, fraction=share, **COMMON),
    "rigl": lambda share: presets.rigl(
        STEPS, fraction=share, sampler=samplers.everything, **COMMON
    ),
    "chts": lambda share: presets.chts(STEPS, fraction=share, **COMMON),
    "exact, every swap": lambda share: presets.exact(
        STEPS, fraction=share, standard_errors=0.0, accept="always", tolerance=None, **LOOK
    ),
    "exact, less its errors": lambda share: presets.exact(
        STEPS, fraction=share, accept="always", tolerance=None, **LOOK
    ),
    "exact, two halves": lambda share: presets.exact(STEPS, fraction=share, tolerance=None, **LOOK),
    "exact, tried": lambda share: presets.exact(STEPS, fraction=share, **LOOK),
}


def updates(rule: str, share: float, seed: int) -> list[dict]:
    """The updates of one run."""
    torch.manual_seed(seed)
    geometry = grid.stack([8, 8, 8], offset=2.0)
    graph = connect.distance_decay(geometry, degree=4, length=2.0, seed=seed)
    model = sheet(
        geometry, graph, image_size=8, in_channels=1, num_classes=10,
        channels=8, heads=2, depth=3, interface={"patch": 3, "stride": 1, "padding": 1},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(
            model, data.digits(), run=run, steps=STEPS, batch_size=32, lr=3e-3,
            plasticity=RULES[rule](share), geometry=geometry, seed=seed, progress=False,
        )  # fmt: skip
        lines = (run / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    kept = ("step", "loss", "edges_born", "predicted_change", "realised_change", "accepted")
    found = [{key: entry[key] for key in kept} for entry in entries if "churn" in entry]
    return [{"rule": rule, "share": share, "seed": seed, **entry} for entry in found]


def figure(rows: list[dict], path: Path) -> None:
    """One panel per rule; the diagonal is where the prediction is true."""
    panels, axes = plt.subplots(2, 4, figsize=(14, 7), layout="constrained")
    axes.flat[-1].axis("off")
    reach = max(abs(row["realised_change"]) for row in rows) * 1.2
    for axis, rule in zip(axes.flat, RULES, strict=False):
        for share, colour in zip(SHARES, ("#0072b2", "#e69f00", "#cc79a7"), strict=True):
            some = [r for r in rows if r["rule"] == rule and r["share"] == share]
            some = [r for r in some if r["edges_born"]]
            x, y = ([r[f"{k}_change"] for r in some] for k in ("predicted", "realised"))
            swaps = sum(r["edges_born"] for r in some) / max(1, len(some))
            label = f"{share:.0%} offered, {swaps:.0f} swaps"
            axis.scatter(x, y, s=14, color=colour, label=label, alpha=0.7)
        axis.plot([-reach, reach], [-reach, reach], color="0.6", lw=1, zorder=0)
        axis.axhline(0, color="0.85", lw=1, zorder=0)
        axis.set(xscale="symlog", yscale="symlog", title=rule)
        axis.set_xscale("symlog", linthresh=1e-2)
        axis.set_yscale("symlog", linthresh=1e-2)
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach))
        axis.legend(fontsize=7, loc="lower right")
    panels.supxlabel("predicted change of the loss (nats)")
    panels.supylabel("measured change of the loss (nats)")
    panels.savefig(path, dpi=120)


def table(rows: list[dict]) -> str:
    """Per rule, share and half of training: how well the prediction holds."""
    lines = [
        "| rule | offered | training | swaps per update | mean predicted | mean measured "
        "| rank correlation | updates that raise the loss |",
        "|--|--|--|--|--|--|--|--|",
    ]
    for rule, share, half in itertools.product(RULES, SHARES, ("first half", "second half")):
        early = half == "first half"
        some = [r for r in rows if r["rule"] == rule and r["share"] == share]
        some = [r for r in some if (r["step"] <= STEPS // 2) == early and r["edges_born"]]
        if len(some) < 3:
            lines.append(f"| {rule} | {share:.0%} | {half} | fewer than 3 updates | | | | |")
            continue
        x, y = ([r[f"{k}_change"] for r in some] for k in ("predicted", "realised"))
        swaps = sum(r["edges_born"] for r in some) / len(some)
        rho = spearmanr(x, y).statistic
        worse = sum(v > 0 for v in y) / len(y)
        mean = [sum(v) / len(v) for v in (x, y)]
        lines.append(
            f"| {rule} | {share:.0%} | {half} | {swaps:.0f} | {mean[0]:+.4f} | {mean[1]:+.4f} | "
            f"{rho:.2f} | {worse:.0%} of {len(y)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="name of the files, without ending")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    runs = itertools.product(RULES, SHARES, range(arguments.seeds))
    rows = [row for run in runs for row in updates(*run)]
    arguments.out.with_suffix(".json").write_text(json.dumps(rows, indent=0) + "\n")
    arguments.out.with_suffix(".md").write_text(table(rows) + "\n")
    figure(rows, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
