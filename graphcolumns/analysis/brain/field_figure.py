"""Receptive fields of queries on the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from graphcolumns.analysis import draw
from graphcolumns.analysis.brain.image_axes import token_extent
from graphcolumns.analysis.brain.query_fields import QueryFields
from graphcolumns.analysis.layout import Floats

# Distinct for every kind of colour vision (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", ":")
NAMED = len(COLOURS) * len(LINES)


def field_figure(fields: QueryFields, names: Sequence[str], grid: tuple[int, int]) -> Figure:
    """Centre and one standard deviation of each receptive field, as an ellipse on the image.

    In degrees of visual angle where the width of the image is known, else in tokens. More than 21
    fields are dots, coloured by their size.

    Args:
        fields: Receptive fields of ``R`` queries.
        names: Names of the queries.
        grid: Rows and columns of tokens.

    Raises:
        ValueError: Names of another number of queries.
    """
    centre, deviation, size = (x.numpy() for x in (fields.centre, fields.deviation, fields.size))
    if len(names) != len(centre):
        raise ValueError(f"names must be one per query, {len(centre)}. Got {len(names)}.")
    angles = bool(fields.size_degrees.isfinite().any())
    # Degrees per token, the same for all.
    scale = float((fields.size_degrees / fields.size).nanmedian()) if angles else 1.0
    middle = (np.array(grid) - 1) / 2 if angles else np.zeros(2)
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    left, right, bottom, top = token_extent(*grid)
    corner, extent = (left - middle[1], top - middle[0]), (right - left, bottom - top)
    frame = [scale * x for x in (*corner, *extent)]
    axes.add_patch(Rectangle((frame[0], frame[1]), frame[2], frame[3], fill=False, ec="0.6"))
    places = (centre - middle) * scale
    if len(names) > NAMED:
        norm = draw.scale(size * scale)
        down, across = places.T
        axes.scatter(across, down, c=size * scale, norm=norm, cmap=draw.MAP, s=6)
        draw.bar(figure, axes, norm, f"size ({'degrees' if angles else 'tokens'})")
    else:
        _ellipses(axes, places, deviation * scale, names)
    unit = "degrees of visual angle" if angles else "tokens"
    axes.set(xlabel=f"across ({unit})", ylabel=f"down ({unit})", aspect="equal")
    if angles:
        # As positions in the visual field are given: up is positive.
        axes.set_ylabel(f"up ({unit})")
        axes.yaxis.set_major_formatter(lambda y, _: f"{-y:z.3g}")
    axes.set_xlim(frame[0], frame[0] + frame[2])
    axes.set_ylim(frame[1] + frame[3], frame[1])
    return figure


def _ellipses(axes: Axes, places: Floats, deviation: Floats, names: Sequence[str]) -> None:
    styles = [(colour, line) for line in LINES for colour in COLOURS]
    for (row, column), (high, wide), name, (colour, line) in zip(
        places, deviation, names, styles, strict=False
    ):
        if not np.isfinite(row):
            continue
        axes.add_patch(
            Ellipse((column, row), 2 * wide, 2 * high, fill=False, ec=colour, ls=line, lw=1.4)
        )
        axes.plot([column], [row], "+", color=colour, ms=7)
        axes.plot([], [], color=colour, ls=line, label=name)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=7)
