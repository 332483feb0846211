"""The wiring on the sheet at a few moments."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from graphcolumns.analysis import draw
from graphcolumns.analysis.edge_lifetimes import Lifetimes, births, deaths
from graphcolumns.analysis.figures.growing import (
    MILLISECONDS,
    STYLES,
    Bools,
    drawn_edges,
    growing,
    wiring_frames,
)
from graphcolumns.analysis.film import player
from graphcolumns.analysis.layout import Floats, Panel
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.analysis.wire_layout import wire_panels
from graphcolumns.geometry import Geometry

SHOWN = 6  # moments
ROW = 3  # of them beside each other, when the geometry needs one panel


def wiring(found: Lifetimes, geometry: Geometry, lengths: Floats) -> Picture:
    """Newborn, brief and lasting edges at a few moments.

    Args:
        found: Lifetimes of ``L`` edges.
        geometry: Positions of the columns.
        lengths: Lengths of the edges, ``[L]``.
    """
    shown, sides = wiring_frames(found, SHOWN), wire_panels(geometry)
    drawn, said = drawn_edges(found, geometry)
    figure, cells = _cells(sides, len(shown))
    for row, frame in zip(cells, shown, strict=True):
        title = f"step {frame.step:,}: {frame.edges:,} edges"
        for axes, side in zip(row, sides, strict=True):
            draw.backdrop(axes, side)
            axes.set_title(f"{side.title}\n{title}".strip(), fontsize=8)
            _edges(axes, side, found, {name: part & drawn for name, part in frame.kinds.items()})
    _legend(figure)
    film = growing(found, geometry, drawn)
    frames, labels = ([], [""]) if film is None else film
    title = "The wiring as it changes"
    return Picture(
        "wiring_over_time",
        title,
        f"Edges at {len(shown)} moments{_played(found, frames)}. Newborn: born since the moment "
        f"before. Pruned next: gone at the next moment. {said} The table has every edge that "
        "ever was, with the steps of its birth and death (-1: alive at the end).",
        png(figure),
        _table(found, lengths),
        player(frames, labels, title, MILLISECONDS) if frames else None,
        tuple(frames),
        MILLISECONDS,
    )


def _played(found: Lifetimes, frames: list[bytes]) -> str:
    """What the film has beyond the picture."""
    if not frames:
        return ""
    changes = int(((births(found) + deaths(found)) > 0).sum())
    if len(frames) == changes + 1:
        return "; the film has a frame for the start and for every update that changed something"
    return f"; the film has {len(frames)} of {changes + 1:,} moments"


def _edges(axes: Axes, side: Panel, found: Lifetimes, parts: dict[str, Bools]) -> None:
    for name, part in parts.items():
        draw.lines(axes, side, found.target[part], found.source[part], **STYLES[name])


def _cells(sides: list[Panel], count: int) -> tuple[Figure, NDArray[np.object_]]:
    """Axes ``[count, P]``; a single panel per moment leaves room for several in a row."""
    if len(sides) > 1:
        return draw.panel_rows(sides, count, height=2.4)
    wide = min(ROW, count)
    high = -(-count // wide)
    figure, axes = draw.panel_rows(sides * wide, high, height=2.7, width=2.7)
    for spare in axes.ravel()[count:]:
        spare.set_axis_off()
    return figure, axes.reshape(-1, 1)[:count]


def _legend(figure: Figure) -> None:
    lines = [
        Line2D([], [], color=style["colors"], ls=style.get("linestyles", "-"), label=name)
        for name, style in STYLES.items()
    ]
    columns = 4 if figure.get_figwidth() > 7 else 2
    figure.legend(
        handles=lines, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )


def _table(found: Lifetimes, lengths: Floats) -> str:
    steps = np.append(found.steps, -1)
    columns = {"target": found.target, "source": found.source, "length": lengths}
    return table(columns | {"born_at": steps[found.born], "died_at": steps[found.died]})
