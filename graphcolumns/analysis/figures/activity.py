"""How active each column is after each step."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis import draw
from graphcolumns.analysis.film import player
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.geometry import Geometry

SHOWN = 6  # steps
FRAMES, MILLISECONDS = 16, 500


def activity(seen: Observation) -> Picture | None:
    """Mean ``|state|`` of every column, a row of panels per step; None without a state."""
    if seen.activity is None:
        return None
    values = seen.activity.numpy()
    steps, count = _steps(len(values)), values.shape[1]
    geometry = seen.places(count)
    columns = {"column": np.arange(count)}
    columns |= {f"step_{step + 1}": values[step] for step in range(len(values))}
    where = "Columns are where the geometry puts them." if geometry else "Columns are in order."
    frames, labels = ([], []) if geometry is None else _film(values, geometry)
    played = player(frames, labels, "Activity", MILLISECONDS) if frames else ""
    turned = None if geometry is None else _turned(values, geometry)
    return Picture(
        "activity",
        "Activity on the sheet" if geometry else "Activity",
        f"Mean |state| of every column over {len(seen.targets)} held-out samples and all channels, "
        f"after each step (no unit). {where}",
        png(_curves(values, steps) if geometry is None else _maps(values, steps, geometry)),
        table(columns),
        played + (turned or "") or None,
        tuple(frames),
        MILLISECONDS,
    )


def _turned(values: Floats, geometry: Geometry) -> str | None:
    """A view that can be turned, of every step."""
    maps = {f"step {step + 1}": values[step] for step in range(len(values))}
    return spatial(geometry, maps, "activity")


def _film(values: Floats, geometry: Geometry) -> tuple[list[bytes], list[str]]:
    """A frame per step, all on one scale, and its label; none for a single step."""
    if len(values) < 2:
        return [], []
    sides, norm = panels(geometry), draw.scale(values)
    frames, labels = [], []
    for step in _steps(len(values), FRAMES):
        figure, axes = draw.panel_rows(sides, 1, height=2.6)
        for cell, side in zip(axes[0], sides, strict=True):
            draw.paint(cell, side, values[step], norm)
            cell.set_title(side.title, fontsize=9)
        draw.bar(figure, axes, norm, "activity: mean |state|")
        labels.append(f"step {step + 1} of {len(values)}")
        figure.suptitle(labels[-1], x=0.02, ha="left", fontsize=11)
        frames.append(png(figure))
    return frames, labels


def _steps(count: int, most: int = SHOWN) -> list[int]:
    """At most ``most`` steps, the first and the last among them."""
    places = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    steps: list[int] = np.unique(places).tolist()
    return steps


def _maps(values: Floats, steps: list[int], geometry: Geometry) -> Figure:
    sides = panels(geometry)
    figure, axes = draw.panel_rows(sides, len(steps))
    norm = draw.scale(values)
    for row, step in zip(axes, steps, strict=True):
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values[step], norm)
            cell.set_title(f"{side.title}\nstep {step + 1}".strip(), fontsize=8)
    draw.bar(figure, axes, norm, "activity: mean |state|")
    return figure


def _curves(values: Floats, steps: list[int]) -> Figure:
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    for step, colour in zip(steps, draw.shades(len(steps)), strict=True):
        axes.plot(values[step], ".", color=colour, label=f"step {step + 1}")
    # Above the largest: matplotlib's own margin is a share of the range, and cuts even values.
    top = 1.05 * float(np.nanmax(values[steps])) or None
    axes.set(xlabel="column", ylabel="activity: mean |state|", ylim=(0, top))
    axes.grid(alpha=0.25)
    if len(steps) > 1:
        draw.key_above(axes, 6)
    return figure
