"""How a model that settles arrives at its fixed point."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from graphcolumns.analysis import draw
from graphcolumns.analysis.film import player
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.geometry import Geometry
from graphcolumns.nn.dynamics import Relaxation


def settling(seen: Observation) -> Picture | None:
    """Energy and residual of every sample over iterations; None for a model that does not settle.

    Where the states are those of columns, ``[T, N, B, C]``, the first sample can be played.
    """
    found = seen.relaxation
    if found is None:
        return None
    steps, residual = found.steps.numpy(), found.residual.numpy()
    columns = {"iteration": steps}
    if found.energy is not None:
        columns |= _per_sample("energy", found.energy.numpy())
    columns |= _per_sample("residual", residual)
    film = _film(seen, found)
    return Picture(
        "relaxation",
        "On the way to the fixed point",
        f"{len(residual[0])} held-out samples, a line each, the median thick. "
        + ("" if found.energy is None else "Left: energy, which small enough steps lower. ")
        + "Residual: distance from the fixed point, on a logarithmic scale."
        + ("" if film is None else " The film shows the state of the first sample."),
        png(_curves(found)),
        table(columns),
        film,
    )


def _per_sample(name: str, values: Floats) -> dict[str, Floats]:
    return {f"{name}_{i}": column for i, column in enumerate(values.T)}


def _curves(found: Relaxation) -> Figure:
    shown = [("residual", found.residual.numpy())]
    if found.energy is not None:
        shown.insert(0, ("energy", found.energy.numpy()))
    figure = Figure(figsize=(3.8 * len(shown), 2.8), layout="constrained")
    cells = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (name, values) in zip(cells, shown, strict=True):
        _lines(axes, found.steps.numpy(), values)
        axes.set(xlabel="iteration", ylabel=name)
        if name == "residual":
            axes.set_yscale("log", nonpositive="mask")
    return figure


def _lines(axes: Axes, steps: Floats, values: Floats) -> None:
    axes.plot(steps, values, color="#1f77b4", alpha=0.25, linewidth=0.8)
    axes.plot(steps, np.median(values, 1), color="#1f5fa8", linewidth=2)
    axes.grid(alpha=0.25)


def _film(seen: Observation, found: Relaxation) -> str | None:
    """States of the first sample on the panels of the geometry: signed mean over channels."""
    if found.output.ndim != 4:
        return None
    values = found.output[:, :, 0].double().mean(2).numpy()
    geometry = seen.places(values.shape[1])
    if geometry is None:
        return None
    norm = draw.scale(values, around_zero=bool((values < 0).any()))
    frames = [png(_frame(geometry, frame, norm)) for frame in values]
    return player(frames, [f"iteration {step}" for step in found.steps.tolist()], "state")


def _frame(geometry: Geometry, values: Floats, norm: Normalize) -> Figure:
    sides = panels(geometry)
    figure, axes = draw.panel_rows(sides, 1, height=2.2)
    for cell, side in zip(axes[0], sides, strict=True):
        draw.paint(cell, side, values, norm)
    draw.bar(figure, axes, norm, "state")
    return figure
