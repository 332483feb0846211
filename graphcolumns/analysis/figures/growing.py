"""The wiring as it grows, played: a frame per update, the newborn and the ending edges coloured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from graphcolumns.analysis import draw
from graphcolumns.analysis.edge_lifetimes import Lifetimes, births, deaths, moments, totals
from graphcolumns.analysis.film import Pixels, small_pngs
from graphcolumns.analysis.layout import Panel
from graphcolumns.analysis.picture import DPI
from graphcolumns.analysis.wire_layout import wire_panels
from graphcolumns.geometry import Geometry

Bools = NDArray[np.bool_]

FRAMES = 30
MILLISECONDS = 700
LINES, INK = 3000, 200  # most edges at one moment, and most breadths of the sheet they make
STYLES: dict[str, dict[str, Any]] = {
    "stays": {"colors": draw.STAYED, "linewidths": 0.6, "alpha": 0.55},
    "pruned next": {"colors": draw.DIED, "linewidths": 1.3, "linestyles": (0, (3, 1.2))},
    "newborn": {"colors": draw.BORN, "linewidths": 1.4},
    "newborn, pruned next": {
        "colors": draw.BRIEF,
        "linewidths": 1.4,
        "linestyles": (0, (3, 1.2)),
    },
}


class WiringFrame(NamedTuple):
    """What one frame shows.

    Args:
        step: Optimizer step.
        edges: Number of edges.
        born: Number of births since the frame before.
        died: Number of deaths since the frame before.
        kinds: Whether each lifetime is drawn as newborn and so on, ``[L]`` by kind.
    """

    step: int
    edges: int
    born: int
    died: int
    kinds: dict[str, Bools]

    @property
    def label(self) -> str:
        """The frame in words."""
        return f"step {self.step:,}: {self.edges:,} edges, {self.born:,} born, {self.died:,} pruned"


def kinds(found: Lifetimes, before: int, moment: int, after: int) -> dict[str, Bools]:
    """What becomes of the edges alive at a moment, ``[L]`` bool for each of ``STYLES``.

    Args:
        found: Lifetimes of ``L`` edges.
        before: Moment since which a birth counts; initial edges are never newborn.
        moment: Moment that is shown.
        after: Moment until which a death counts.
    """
    alive, newborn, ends = found.alive(moment), found.born > before, found.died <= after
    every = (~newborn & ~ends, ~newborn & ends, newborn & ~ends, newborn & ends)
    return {name: alive & part for name, part in zip(STYLES, every, strict=True)}


def wiring_frames(found: Lifetimes, count: int = FRAMES) -> list[WiringFrame]:
    """A frame per update that changed the wiring; of more than ``count``, some of them.

    Births and deaths are counted since the frame before, those of edges between two frames too.
    """
    shown = moments(found, count)
    alive, born, died = totals(found), births(found).cumsum(), deaths(found).cumsum()
    frames = []
    for before, moment, after in zip([0, *shown], shown, [*shown[1:], shown[-1]], strict=False):
        frames.append(
            WiringFrame(
                int(found.steps[moment]),
                int(alive[moment]),
                int(born[moment] - born[before]),
                int(died[moment] - died[before]),
                kinds(found, before, moment, after),
            )
        )
    return frames


def drawable(found: Lifetimes, geometry: Geometry, chosen: Bools | None = None) -> float:
    """The share of edges that can be drawn at every moment without blackening the sheet.

    Args:
        found: Lifetimes of ``L`` edges.
        geometry: Positions of the columns.
        chosen: Whether each lifetime counts, ``[L]`` (default: all).
    """
    places = geometry.positions.detach().cpu().double().numpy()
    breadth = np.ptp(places, axis=0).max()
    straight = np.linalg.norm(places[found.target] - places[found.source], axis=1)
    one = np.ones(len(straight)) if chosen is None else chosen.astype(float)
    count, ink = (
        totals(found, one).max(),
        totals(found, one * straight).max() / max(breadth, 1e-300),
    )
    return float(min(1.0, LINES / max(count, 1.0), INK / max(ink, 1.0)))


def drawn_edges(found: Lifetimes, geometry: Geometry) -> tuple[Bools, str]:
    """Which lifetimes are drawn, ``[L]``, the same at every moment, and a sentence about it.

    Edges that change in the run have as much room as those that stay from start to end.
    """
    changed = ~(found.initial & found.survived)
    shares = [drawable(found, geometry, part) for part in (~changed, changed)]
    # One draw per edge of the run: what is left out is left out at every moment.
    drawn = np.random.default_rng(0).random(len(changed)) < np.where(changed, *shares[::-1])
    if min(shares) == 1:
        return drawn, "All edges between different columns are drawn."
    said = [f"a random {share:.0%}" if share < 1 else "all" for share in shares]
    return drawn, f"Drawn: {said[0]} of the edges that last from start to end, {said[1]} of others."


def growing(
    found: Lifetimes, geometry: Geometry, drawn: Bools
) -> tuple[list[bytes], list[str]] | None:
    """Frames, PNG, and their labels; None where the wiring never changes.

    Args:
        found: Lifetimes of ``L`` edges.
        geometry: Positions of the columns.
        drawn: Whether each lifetime is drawn, ``[L]``.
    """
    shown = wiring_frames(found)
    if len(shown) < 2:
        return None
    frames = small_pngs(list(_rendered(found, shown, wire_panels(geometry), drawn)))
    return frames, [frame.label for frame in shown]


def _rendered(
    found: Lifetimes, shown: list[WiringFrame], sides: list[Panel], drawn: Bools
) -> Iterator[Pixels]:
    """Pixels ``[Y, X, 3]`` of each frame: what stays is drawn once, and edges over it."""
    figure, cells, below = _page(sides)
    canvas = FigureCanvasAgg(figure)
    title = figure.suptitle("step 0", x=0.02, ha="left", fontsize=11)
    for cell, side in zip(cells, sides, strict=True):
        draw.backdrop(cell, side)
        cell.set_title(side.title, fontsize=9)
    _updates(below, found)
    canvas.draw()
    figure.set_layout_engine("none")
    title.set_visible(False)
    canvas.draw()
    empty = canvas.copy_from_bbox(figure.bbox)
    title.set_visible(True)
    styles = _styles(max(int(part.sum()) for frame in shown for part in _changing(frame, drawn)))
    for frame in shown:
        canvas.restore_region(empty)
        for cell, side in zip(cells, sides, strict=True):
            for name, part in frame.kinds.items():
                now = part & drawn
                lines = draw.lines(cell, side, found.target[now], found.source[now], **styles[name])
                if lines is not None:
                    cell.draw_artist(lines)
                    lines.remove()
        (mark,) = below.plot([frame.step], [0], "^", color="0.1", ms=7, clip_on=False)
        below.draw_artist(mark)
        mark.remove()
        title.set_text(frame.label)
        figure.draw_artist(title)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _changing(frame: WiringFrame, drawn: Bools) -> list[Bools]:
    """The edges of a frame that are drawn in a colour, by kind."""
    return [part & drawn for name, part in frame.kinds.items() if name != "stays"]


def _styles(most: int) -> dict[str, dict[str, Any]]:
    """Thinner lines where many edges change at once."""
    thin = float(np.clip((120 / max(most, 1)) ** 0.5, 0.45, 1.0))
    return {k: v | {"linewidths": v["linewidths"] * thin} for k, v in STYLES.items()}


def _page(sides: list[Panel]) -> tuple[Figure, list[Axes], Axes]:
    """Axes of the panels beside each other, and axes of the updates below them."""
    wide = [_width(side) for side in sides]
    figure = Figure(figsize=(max(sum(wide), 5.0), 5.6), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(2, len(sides), height_ratios=(5, 1), width_ratios=wide)
    cells = [figure.add_subplot(grid[0, i]) for i in range(len(sides))]
    below = figure.add_subplot(grid[1, :])
    lines = [
        Line2D([], [], color=s["colors"], ls=s.get("linestyles", "-"), lw=1.6, label=name)
        for name, s in STYLES.items()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure, cells, below


def _width(side: Panel) -> float:
    """Inches of a panel that is four inches high."""
    across, up = np.ptp(side.places, axis=0)
    return float(np.clip(4 * across / max(up, 1e-9), 2.4, 8.0)) if across > 0 else 3.0


def _updates(axes: Axes, found: Lifetimes) -> None:
    """Births and deaths of every update, along which a mark moves."""
    steps, born, died = found.steps[1:], births(found)[1:], deaths(found)[1:]
    axes.vlines(steps, 0, born, color=draw.BORN, lw=2)
    axes.vlines(steps, 0, -died, color=draw.DIED, lw=2)
    axes.axhline(0, color="0.3", lw=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.locator_params(axis="y", nbins=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("optimizer step", fontsize=8)
    axes.set_ylabel("born, pruned", fontsize=8)
    axes.set_xlim(found.steps[0], found.steps[-1] * 1.02 or 1)
