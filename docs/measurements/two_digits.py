"""Which of two overlapping digits? One recurrent sheet, and six things an instruction can do.

Written before the run:
- "Gates are as good as separate networks" is falsified if separate networks are better by more
  than the standard deviation over seeds.
- "Counter-Hebbian learning is backpropagation" is falsified if the two gated arms of tied weights
  differ by more than 0.5 points of accuracy.
- "The network follows the instruction" is falsified if under the other instruction the digit in
  question is named much more often than by chance (10 %).
- "Sub-networks separate while learning" is falsified if their overlap (IoU) does not fall.

The learning rate of every arm is chosen out of two on validation images (seed 100, another split
of the training digits); the gated arms of tied weights share it.

Added after the run: how far two networks drift apart that learn by the two rules, in single and in
double precision, because the second claim failed as it was written; and columns of two channels.

    OMP_NUM_THREADS=1 python docs/measurements/two_digits.py docs/measurements
"""

import csv
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from geometries import grid
from graphcolumns.analysis.sub_network_metrics import sub_network_iou, wrong_instruction_score
from graphcolumns.analysis.sub_networks import sub_networks
from graphcolumns.connect import nearest
from graphcolumns.data import two_digits
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import task_memory, top_down_sheet
from graphcolumns.training import TrainOptions, evaluate, train

SEEDS = range(5)
RATES = (3e-3, 1e-2)
EPOCHS = 20
SHEET = grid.sheet(10, 12)
GRAPH = nearest(SHEET, 9)
# Name: what an instruction does, the weights of the way down, the learning rule.
ARMS = {
    "gates, counter-Hebb": ("gates", "tied", counter_hebb),
    "gates, backpropagation": ("gates", "tied", backprop),
    "gates, own top-down weights, counter-Hebb": ("gates", "independent", counter_hebb),
    "gates and heads, counter-Hebb": ("gates_and_heads", "tied", counter_hebb),
    "separate networks": ("separate", "tied", backprop),
    "instruction as input": ("input", "tied", backprop),
    "heads (unitary scalarisation)": ("heads", "tied", backprop),
    "no instruction": ("none", "tied", backprop),
}
# Arms that are also run with two channels per column; added after the run.
WIDE = ("gates, counter-Hebb", "separate networks", "instruction as input")
SAME_RATE = {"gates, backpropagation": "gates, counter-Hebb"}
COLUMNS = (
    ("left", "test_accuracy_left"),
    ("right", "test_accuracy_right"),
    ("other instruction, digit in question", "wrong_asked"),
    ("other digit, of errors", "other_digit"),
)


def run(arm: str, seed: int, rate: float, held_out: str, channels: int = 1) -> dict:
    """One network: what it scores before and after training."""
    role, feedback, rule = ARMS[arm]
    data = two_digits(held_out=held_out, seed=seed)
    torch.manual_seed(seed)
    model = top_down_sheet(
        GRAPH,
        10,
        2,
        image_size=(10, 12),
        geometry=SHEET,
        field=5,
        channels=channels,
        steps=3,
        instruction=role,
        feedback=feedback,
    )
    gated = model.task is not None
    before = sub_network_iou(model, data) if gated else None
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            data,
            run=Path(folder, "run"),
            options=TrainOptions(
                epochs=EPOCHS, batch_size=128, lr=rate, weight_decay=0.0, seed=seed, progress=False
            ),
            learn=rule,
        )
    seconds = time.perf_counter() - began
    scores = evaluate(model, data, "test")
    memory = task_memory(model)
    return {
        "arm": arm,
        "seed": seed,
        "rate": rate,
        "channels": channels,
        "held_out": held_out,
        "test_accuracy": scores["accuracy"],
        "test_accuracy_left": scores["accuracy_left"],
        "test_accuracy_right": scores["accuracy_right"],
        "train_accuracy": evaluate(model, data, "train")["accuracy"],
        "wrong_asked": wrong_instruction_score(model, data),
        "other_digit": other_digit(model, data),
        "iou_before": before,
        "iou_after": sub_network_iou(model, data) if gated else None,
        "open_after": float(torch.stack([*sub_networks(model).shares.values()]).mean())
        if gated
        else None,
        "parameters": memory.total,
        "parameters_per_task": memory.per_task,
        "seconds": round(seconds, 1),
    }


@torch.no_grad()
def other_digit(model, data) -> float:
    """Of the errors on images of two different digits, the share that name the other digit."""
    inputs, targets = data.test_inputs, data.test_targets
    # Held-out images come with both instructions, one after the other.
    others = targets.view(-1, 2).flip(1).flatten()
    named = model(inputs).prediction.argmax(1)
    wrong = (named != targets) & (others != targets)
    return float((named[wrong] == others[wrong]).double().mean())


def main() -> None:
    """Writes two_digits.csv into a folder, and prints the table."""
    torch.set_num_threads(1)
    path, rows, rates = Path(sys.argv[1], "two_digits.csv"), [], {}
    for arm in ARMS:
        if arm not in SAME_RATE:
            tried = [run(arm, 100, rate, "validation") for rate in RATES]
            rates[arm] = max(tried, key=lambda row: row["test_accuracy"])["rate"]
            rows += tried
            print(arm, [(r["rate"], round(r["test_accuracy"], 4)) for r in tried], flush=True)
    planned = [(arm, seed, 1) for seed in SEEDS for arm in ARMS]
    planned += [(arm, seed, 2) for seed in SEEDS for arm in WIDE]
    for arm, seed, channels in planned:
        rows.append(run(arm, seed, rates[SAME_RATE.get(arm, arm)], "test", channels))
        print(rows[-1], flush=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    for channels in (2, 1):
        tested = [r for r in rows if r["held_out"] == "test" and r["channels"] == channels]
        print(channels, "channels")
        show(tested)
    draw(tested, path.with_suffix(".png"))
    for dtype in (torch.float32, torch.float64):
        print(dtype, drift(dtype))


def drift(dtype: torch.dtype, steps: Sequence[int] = (1, 11, 31, 101, 301)) -> list[str]:
    """Largest difference of weights that learn by either rule, after some steps of Adam."""
    data, terms = two_digits(), {"task": (1.0, _cross_entropy)}
    models, draws, found = [], torch.Generator().manual_seed(0), []
    for _ in range(2):
        torch.manual_seed(0)
        options = {"image_size": (10, 12), "geometry": SHEET, "field": 5, "steps": 3}
        models.append(top_down_sheet(GRAPH, 10, 2, **options).to(dtype))
    optimizers = [torch.optim.Adam(model.parameters(), lr=1e-2) for model in models]
    for step in range(1, steps[-1] + 1):
        chosen = torch.randint(0, len(data.train_targets), (128,), generator=draws)
        inputs = {name: values[chosen] for name, values in data.train_inputs.items()}
        inputs["image"] = inputs["image"].to(dtype)
        batch = (inputs, data.train_targets[chosen])
        for model, optimizer, rule in zip(
            models, optimizers, (counter_hebb, backprop), strict=True
        ):
            optimizer.zero_grad()
            rule(model, batch, terms, scaler=torch.amp.GradScaler(enabled=False))
            optimizer.step()
        if step in steps:
            pairs = zip(*(model.parameters() for model in models), strict=True)
            found.append(f"{max((a - b).abs().max().item() for a, b in pairs):.1e}")
    return found


def _cross_entropy(model, output, targets):
    return torch.nn.functional.cross_entropy(output.prediction, targets)


def draw(rows: list[dict], path: Path) -> None:
    """Accuracy of every network, and what is named under the other instruction."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.2, 1))
    for place, arm in enumerate(ARMS):
        found = [row for row in rows if row["arm"] == arm]
        for key, mark in (("test_accuracy_left", "<"), ("test_accuracy_right", ">")):
            left.plot(
                [100 * row[key] for row in found], [place] * len(found), mark, color="C0", alpha=0.6
            )
        right.plot(
            [100 * row["wrong_asked"] for row in found],
            [place] * len(found),
            "o",
            color="C1",
            alpha=0.6,
        )
    right.axvline(10, color="grey", linewidth=0.8, linestyle=":")
    left.set_yticks(range(len(ARMS)), ARMS, fontsize=8)
    left.invert_yaxis()
    left.set_xlabel("test accuracy in %, left and right digit")
    right.set_xlabel("other instruction: digit in question in %")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def show(rows: list[dict]) -> None:
    """The tables, mean and standard deviation over seeds, in %."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["arm"]].append(row)
    print("torch", torch.__version__)
    for arm, found in groups.items():
        cells = [_cell([100 * row[key] for row in found]) for _, key in COLUMNS]
        memory = f"{found[0]['parameters']:,} | {found[0]['parameters_per_task']:,.0f}"
        print(f"| {arm} | {' | '.join(cells)} | {memory} |")
    for arm, found in groups.items():
        if found[0]["iou_before"] is not None:
            keys = ("iou_before", "iou_after", "open_after")
            print(f"| {arm} | {' | '.join(_cell([r[k] for r in found], 3) for k in keys)} |")


def _cell(values: list[float], digits: int = 1) -> str:
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
