"""How active each column is after each step, on the sheet."""

from __future__ import annotations

import numpy as np

from graphcolumns.analysis import draw
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import panels
from graphcolumns.analysis.observe import Observation
from graphcolumns.analysis.picture import Picture, png, table

SHOWN = 6  # steps


def activity(seen: Observation) -> Picture:
    """Mean `|state|` of every column, a row of panels per step."""
    values = seen.activity.numpy()
    steps = np.unique(np.linspace(0, len(values) - 1, min(SHOWN, len(values))).round().astype(int))
    sides = panels(seen.geometry)
    figure, axes = draw.rows(sides, len(steps))
    norm = draw.scale(values)
    for row, step in zip(axes, steps, strict=True):
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values[step], norm)
            cell.set_title(f"{side.title}\nstep {step + 1}".strip(), fontsize=8)
    draw.bar(figure, axes, norm, "activity: mean |state|")
    columns = {"column": np.arange(values.shape[1])}
    columns |= {f"step_{step + 1}": values[step] for step in range(len(values))}
    return Picture(
        "activity",
        "Activity on the sheet",
        f"Mean |state| of every column over {len(seen.inputs)} held-out samples and all channels, "
        "after each step (no unit). Columns are where the geometry puts them.",
        png(figure),
        table(columns),
        spatial(
            seen.geometry,
            {f"step {step + 1}": values[step] for step in range(len(values))},
            "activity",
        ),
    )
