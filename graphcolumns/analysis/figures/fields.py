"""Receptive fields."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table


def fields(seen: Observation) -> Picture | None:
    """The part of the image that a few columns respond to; None if that was not seen."""
    if seen.fields is None:
        return None
    maps, count = seen.fields.numpy(), len(seen.chosen)
    figure = Figure(figsize=(1.5 * count + 0.4, 1.9), layout="constrained")
    for axes, column, field in zip(
        figure.subplots(1, count, squeeze=False)[0], seen.chosen.tolist(), maps, strict=True
    ):
        axes.imshow(field, cmap="magma", vmin=0)
        axes.set_title(f"column {column}", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    rows, columns = np.indices(maps.shape[1:]).reshape(2, -1)
    values = {f"column_{c}": m.ravel() for c, m in zip(seen.chosen.tolist(), maps, strict=True)}
    return Picture(
        "receptive_fields",
        "Receptive fields",
        "How strongly each pixel moves the last state of a column: mean |d sum(state) / d pixel| "
        "over held-out samples; each map has its own scale. A black map is that of a column that "
        "no pixel moves, such as a silent one.",
        png(figure),
        table({"row": rows, "column": columns, **values}),
    )
