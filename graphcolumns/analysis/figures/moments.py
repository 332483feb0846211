"""The wiring on the sheet at a few moments."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from graphcolumns.analysis import draw
from graphcolumns.analysis.edge_lifetimes import Lifetimes, moments, totals
from graphcolumns.analysis.layout import Floats, Panel, panels
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.geometry import Geometry

Bools = NDArray[np.bool_]

SHOWN = 6  # moments
ROW = 3  # of them beside each other, when the geometry needs one panel
LINES, INK = 3000, 200  # most edges at one moment, and most breadths of the sheet they make
STYLES: dict[str, dict[str, Any]] = {
    "stays": {"colors": draw.STAYED, "linewidths": 0.5, "alpha": 0.6},
    "born since the last picture": {"colors": draw.BORN, "linewidths": 0.8},
    "gone in the next picture": {
        "colors": draw.DIED,
        "linewidths": 0.8,
        "linestyles": (0, (3, 1.5)),
    },
    "both": {"colors": draw.BRIEF, "linewidths": 0.8, "linestyles": (0, (3, 1.5))},
}


def wiring(found: Lifetimes, geometry: Geometry, lengths: Floats) -> Picture:
    """Newborn, brief and lasting edges at a few moments.

    Args:
        found: Lifetimes of ``L`` edges.
        geometry: Positions of the columns.
        lengths: Lengths of the edges, ``[L]``.
    """
    shown, sides = moments(found, SHOWN), _sides(geometry)
    share = drawable(found, geometry)
    # One draw per edge of the run: what is left out is left out at every moment.
    drawn = np.random.default_rng(0).random(len(found.born)) < share
    figure, cells = _cells(sides, len(shown))
    for row, moment, before, after in zip(
        cells, shown, [0, *shown], [*shown[1:], shown[-1]], strict=False
    ):
        parts = kinds(found, before, moment, after)
        title = f"step {found.steps[moment]:,}: {found.alive(moment).sum():,} edges"
        for axes, side in zip(row, sides, strict=True):
            axes.set_title(f"{side.title}\n{title}".strip(), fontsize=8)
            _sheet(axes, side, found, {name: part & drawn for name, part in parts.items()})
    _legend(figure)
    some = f"; a random {share:.0%} of them are drawn" if share < 1 else ""
    return Picture(
        "wiring_over_time",
        "The wiring as it changes",
        f"Edges at {len(shown)} moments, where both ends are on one panel{some}. The table has "
        "every edge that ever was, with the steps of its birth and death (-1: alive at the end).",
        png(figure),
        _table(found, lengths),
    )


def kinds(found: Lifetimes, before: int, moment: int, after: int) -> dict[str, Bools]:
    """What becomes of the edges alive at a moment, ``[L]`` bool for each of ``STYLES``.

    Args:
        found: Lifetimes of ``L`` edges.
        before: Moment since which a birth counts; initial edges are never newborn.
        moment: Moment that is shown.
        after: Moment until which a death counts.
    """
    alive, newborn, ends = found.alive(moment), found.born > before, found.died <= after
    both = (~newborn & ~ends, newborn & ~ends, ~newborn & ends, newborn & ends)
    return {name: alive & part for name, part in zip(STYLES, both, strict=True)}


def drawable(found: Lifetimes, geometry: Geometry) -> float:
    """The share of edges that can be drawn at every moment without blackening the sheet."""
    places = geometry.positions.detach().cpu().double().numpy()
    breadth = np.ptp(places, axis=0).max()
    straight = np.linalg.norm(places[found.target] - places[found.source], axis=1)
    count, ink = totals(found).max(), totals(found, straight).max() / max(breadth, 1e-300)
    return float(min(1.0, LINES / max(count, 1.0), INK / max(ink, 1.0)))


def _sheet(axes: Axes, side: Panel, found: Lifetimes, parts: dict[str, Bools]) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.plot(*side.places.T, ".", color="0.8", markersize=2)
    for name, part in parts.items():
        draw.lines(axes, side, found.target[part], found.source[part], **STYLES[name])


def _sides(geometry: Geometry) -> list[Panel]:
    """The panels of a geometry; of a surface, whose lines hide nothing, one side is enough."""
    sides = panels(geometry)
    if sides[0].triangles is None:
        return sides
    first: dict[bytes, Panel] = {}
    for side in sides:
        first.setdefault(side.members.tobytes(), side)
    return list(first.values())


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
