"""Predicted against measured values of a regression."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphcolumns.analysis.layout import Floats
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.data.metrics import pearson_per_target, r2_per_target

DOTS = 5000
BINS = 40


def responses(seen: Observation, unit: str | None = None) -> Picture | None:
    """Predicted against measured, and how well each target is predicted.

    None unless every target has a prediction. Targets that are NaN were not measured.

    Args:
        seen: Observation of a model.
        unit: Unit of the targets.
    """
    targets, predicted = seen.targets.flatten(1), seen.prediction.flatten(1)
    if targets.shape != predicted.shape or not targets.is_floating_point():
        return None
    r2 = r2_per_target(predicted, targets).numpy()
    pearson = pearson_per_target(predicted, targets).numpy()
    figure = Figure(figsize=(8.2, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = _scatter(left, targets.numpy(), predicted.numpy(), unit)
    known = pearson[np.isfinite(pearson)]
    right.hist(known, np.linspace(-1, 1, BINS + 1))
    right.axvline(0, color="0.3", lw=0.8)
    right.set(xlabel="correlation over samples", ylabel="targets")
    middle = f", median {np.median(known):.3g}" if len(known) else ""
    measured = (~targets.isnan()).sum(0).numpy()
    return Picture(
        "responses",
        "Predicted and measured",
        f"Left: {shown} held-out values; on the dashed line the prediction is exact. Right: "
        f"Pearson's correlation of each of {targets.shape[1]:,} targets over the "
        f"{len(targets):,} held-out samples{middle} (no unit). The table also has the coefficient "
        "of determination R^2 and the number of samples that were measured.",
        png(figure),
        table(
            {"target": np.arange(len(r2)), "r2": r2, "correlation": pearson, "samples": measured}
        ),
    )


def _scatter(axes: Axes, measured: Floats, predicted: Floats, unit: str | None) -> str:
    """Draws the dots; returns which they are."""
    pairs = np.stack([measured, predicted], axis=-1)[~np.isnan(measured)]
    count = len(pairs)
    if count > DOTS:
        pairs = pairs[np.random.default_rng(0).choice(count, DOTS, replace=False)]
    axes.plot(*pairs.T, ".", ms=3, alpha=0.4)
    axes.axline((0, 0), slope=1, color="0.3", lw=0.8, ls="--")
    of = "" if unit is None else f" ({unit})"
    axes.set(xlabel=f"measured{of}", ylabel=f"predicted{of}")
    axes.grid(alpha=0.25)
    return f"all {count:,}" if count <= DOTS else f"{DOTS:,} of {count:,}, drawn at random,"
