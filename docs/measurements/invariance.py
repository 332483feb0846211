"""Permuted columns, shifted images and shared errors: tied and untied columns on digits.

Written before the run:
- "Untied columns keep fewer answers under a shift than shared ones" is falsified if the interval
  over the seeds of the difference of their shift consistencies contains 0 or lies below it.

    OMP_NUM_THREADS=1 python docs/measurements/invariance.py docs/measurements
"""

import csv
import sys
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn

from geometries import grid
from graphcolumns import connect, data
from graphcolumns.analysis.experiment import mean_interval, paired_interval
from graphcolumns.analysis.invariance import (
    error_consistency_table,
    lie_derivative_error,
    permutation_error,
    shift_consistency,
)
from graphcolumns.models import sheet
from graphcolumns.nn import Column, ColumnAttention
from graphcolumns.training import train

SEEDS, SIDE, C = (0, 1, 2, 3, 4), 8, 16
ARMS = ("shared", "untied")
Rows = list[tuple[str, str, int, float]]


def columns_on_digits(weights: str, seed: int, steps: int = 200) -> nn.Module:
    """A sheet of 64 columns, one per pixel, without codes of position."""
    torch.manual_seed(seed)
    digits = data.digits()
    geometry = grid.sheet(SIDE, SIDE)
    model = sheet(
        geometry,
        connect.nearest(geometry, degree=9),
        image_size=digits.image_size,
        in_channels=digits.channels,
        num_classes=digits.num_classes,
        channels=C,
        depth=3,
        weights={"attention": weights},
        interface={"patch": 3, "stride": 1, "padding": 1, "position_embedding": False},
    )
    run = Path(mkdtemp()) / "run"
    train(model, digits, run=run, steps=steps, batch_size=32, lr=3e-3, seed=seed, progress=False)
    return model.eval()


def of_training(rows: Rows) -> None:
    """Shift consistency, accuracy at and around the place of training, errors in common."""
    digits = data.digits()
    correct = {}
    for weights in ARMS:
        for seed in SEEDS:
            model = columns_on_digits(weights, seed)
            found = shift_consistency(
                model, digits.test_inputs, 1, border="padded", targets=digits.test_targets
            )
            accuracy = found.accuracy
            assert accuracy is not None
            elsewhere = float((accuracy.sum() - accuracy[1, 1]) / 8)
            with torch.no_grad():
                answers = model(digits.test_inputs).prediction.argmax(1)
            correct[f"{weights} {seed}"] = answers == digits.test_targets
            error = lie_derivative_error(
                lambda x, model=model: model(x).prediction.softmax(1), digits.test_inputs[:100]
            )
            rows += [
                ("shift consistency", weights, seed, found.consistency),
                ("accuracy in place", weights, seed, float(accuracy[1, 1])),
                ("accuracy one pixel away", weights, seed, elsewhere),
                ("Lie derivative of probabilities", weights, seed, error.absolute),
            ]
            print(rows[-4:])
    table = error_consistency_table(correct)
    groups = {weights: [f"{weights} {seed}" for seed in SEEDS] for weights in ARMS}
    for weights in ARMS:
        rows.append(("kappa within", weights, -1, table.mean(groups[weights])))
    rows.append(("kappa between", "both", -1, table.mean(*groups.values())))
    rows.append(("undefined pairs", "both", -1, table.undefined()))


def of_layers(rows: Rows) -> None:
    """Errors of layers that are not trained."""
    graph = connect.nearest(grid.sheet(SIDE, SIDE), degree=9)
    for seed in SEEDS:
        torch.manual_seed(seed)
        x = torch.randn(SIDE**2, 4, C)
        for weights in ARMS:
            attention = ColumnAttention(SIDE**2, C, 4, weights=weights)
            column = Column(SIDE**2, attention, 2 * C, weights=weights, norm_weights=weights)
            for parameters in ("fixed", "permuted"):
                error = permutation_error(column, x, graph, parameters=parameters)
                rows.append((f"permutation error, {parameters}", weights, seed, error))
        _of_convolutions(rows, seed)


def _of_convolutions(rows: Rows, seed: int, side: int = 16) -> None:
    white = torch.randn(8, 3, side, side, dtype=torch.float64)
    low = torch.fft.fftfreq(side).abs() <= 1 / 8
    limited = torch.fft.ifft2(torch.fft.fft2(white) * (low[:, None] & low)).real
    circular = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular", bias=False).double()
    zeros = nn.Conv2d(3, 8, 3, padding=1, bias=False).double()
    zeros.load_state_dict(circular.state_dict())
    layers = {
        "circular": circular,
        "zeros": zeros,
        "circular and ReLU": nn.Sequential(circular, nn.ReLU()),
    }
    for stencil in ("fourier", "bilinear"):
        for inputs, images in (("white", white), ("band-limited", limited)):
            for name, layer in layers.items():
                error = lie_derivative_error(layer, images, stencil=stencil)
                what = f"relative Lie derivative, {stencil}, {inputs}"
                rows.append((what, name, seed, error.relative))


def main() -> None:
    """Writes invariance.csv and prints means with 95 % intervals over the seeds."""
    rows: Rows = []
    of_layers(rows)
    of_training(rows)
    with (Path(sys.argv[1]) / "invariance.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("measure", "arm", "seed", "value"))
        writer.writerows((*row[:3], f"{row[3]:.6g}") for row in rows)
    values: dict[tuple[str, str], list[float]] = {}
    for measure, arm, _, value in rows:
        values.setdefault((measure, arm), []).append(value)
    for key, numbers in values.items():
        print(key, mean_interval(numbers))
    shared, untied = (
        dict(zip(SEEDS, values["shift consistency", weights], strict=True)) for weights in ARMS
    )
    print("shared - untied", paired_interval(shared, untied))


if __name__ == "__main__":
    main()
