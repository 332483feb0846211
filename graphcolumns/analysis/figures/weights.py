"""Weights of edges in linear layers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis import draw
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.picture import Picture, png, table

BINS = 40


def weights(seen: Observation, wiring: Wiring) -> Picture | None:
    """Weights by size, and against length where lengths are known; None without weights."""
    if wiring.weights is None or not len(wiring.weights):
        return None
    values, graph = wiring.weights.numpy(), wiring.graph
    columns = {"target": graph.target.numpy(), "source": graph.source.numpy(), "weight": values}
    measured = graph.distance is not None
    figure = Figure(figsize=(8.6 if measured else 5, 2.9), layout="constrained")
    cells = figure.subplots(1, 1 + measured, squeeze=False)[0]
    norm = draw.scale(values)
    cells[0].hist(values, np.linspace(norm.vmin or 0.0, norm.vmax or 0.0, BINS + 1))
    cells[0].axvline(0, color="0.3", lw=0.8)
    cells[0].set(xlabel="weight", ylabel="edges")
    if graph.distance is not None:
        columns["distance"] = graph.distance.numpy()
        cells[1].axhline(0, color="0.3", lw=0.8)
        cells[1].plot(columns["distance"], values, ".", ms=3, alpha=0.5)
        cells[1].set(xlabel=f"length ({seen.unit})", ylabel="weight")
    beside = " Right: against the length of the edge." if measured else ""
    return Picture(
        "weights",
        "Weights of edges",
        f"{len(values):,} weights (no unit): {(values > 0).mean():.0%} are positive, "
        f"{(values < 0).mean():.0%} negative, mean {values.mean():.3g}, standard deviation "
        f"{values.std():.3g}. Several heads, channels or layers count with their mean.{beside}",
        png(figure),
        table(columns),
    )
