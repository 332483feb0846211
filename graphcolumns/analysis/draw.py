"""Values of columns as colours on the panels of a geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from graphcolumns.analysis.layout import Floats, Ids, Panel

MAP = "viridis"
# Colours of edges, distinct for every kind of colour vision (Okabe and Ito).
BORN, DIED, BRIEF, STAYED = "#0072B2", "#D55E00", "#CC79A7", "#8C8C8C"

BOW = 0.08  # of an edge, as a share of its length


def scale(values: Floats, around_zero: bool = False) -> Normalize:
    """A colour scale over all finite values; a constant gets a little room on both sides.

    Args:
        values: Values of any shape.
        around_zero: Whether 0 lies in the middle of the scale.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        low, high = low - 0.5, high + 0.5
    if around_zero:
        high = max(abs(low), abs(high))
        low = -high
    return Normalize(low, high)


def panel_rows(
    panels: Sequence[Panel], count: int, height: float = 1.7, width: float | None = None
) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with ``count`` rows of panels: the figure and its axes ``[count, P]``."""
    width = height * 1.15 if width is None else width
    figure = Figure(figsize=(max(width * len(panels) + 1.2, 3.5), height * count + 0.5))
    figure.set_layout_engine("constrained")
    return figure, figure.subplots(count, len(panels), squeeze=False)


def paint(
    axes: Axes, panel: Panel, values: Floats, norm: Normalize, cmap: str | Colormap = MAP
) -> None:
    """Colour the columns of a panel by ``values`` ``[N]`` (of all columns, not of its members)."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    own = values[panel.members]
    if panel.grid is not None:
        box = _box(panel)
        axes.imshow(own.reshape(panel.grid), cmap=cmap, norm=norm, extent=box, aspect="equal")
    elif panel.triangles is not None and panel.shade is not None:
        colours = ScalarMappable(norm, cmap).to_rgba(own[panel.triangles].mean(1))
        colours[:, :3] *= panel.shade[:, None]
        corners = panel.places[panel.triangles]
        axes.add_collection(
            PolyCollection(list(corners), facecolors=colours, edgecolors=colours, linewidths=0.4)
        )
        axes.autoscale_view()
    else:
        across, up = panel.places.T
        axes.scatter(across, up, c=own, cmap=cmap, norm=norm, s=_dot(panel), linewidths=0)
        axes.margins(0.05)


def ring_column(axes: Axes, panel: Panel, column: int) -> None:
    """A ring around one column that is on the panel; a faint one if a surface hides it."""
    across, up = panel.places[panel.members == column].T
    seen = panel.shows(column)
    (ring,) = axes.plot(across, up, "o", markersize=9, markerfacecolor="none", color="#1f5fa8")
    ring.set(markeredgewidth=1.6 if seen else 0.8, alpha=None if seen else 0.35)


def edge_lines(
    axes: Axes, panel: Panel, targets: Ids, sources: Ids, values: Floats, norm: Normalize
) -> None:
    """Edges whose two ends are on the panel, as lines coloured by ``values`` ``[E]``."""
    ends, here = _ends(panel, targets, sources)
    lines = LineCollection(list(ends), cmap=MAP, norm=norm, linewidths=0.7, alpha=0.7)
    lines.set_array(values[here])
    axes.add_collection(lines)


def lines(
    axes: Axes, panel: Panel, targets: Ids, sources: Ids, **style: Any
) -> LineCollection | None:
    """Edges whose two ends are on the panel, as lines that all look the same; None without."""
    if not len(targets):
        return None
    drawn = LineCollection(list(_bowed(_ends(panel, targets, sources)[0])), clip_on=False, **style)
    axes.add_collection(drawn, autolim=False)
    return drawn


def backdrop(axes: Axes, panel: Panel) -> None:
    """What is behind edges: outlines of sheets, a grey surface, or a dot per column."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    for name, corners in panel.outlines.items():
        axes.fill(*corners.T, facecolor="#f4f5f8", edgecolor="#c9cdd6", lw=0.8, zorder=0)
        x, y = corners[0]
        axes.text(x - 0.2, y, name, ha="right", va="bottom", fontsize=8, color="0.3")
    if panel.triangles is not None and panel.shade is not None:
        shade = np.repeat(0.55 + 0.4 * panel.shade[:, None], 3, axis=1)
        corners = panel.places[panel.triangles]
        axes.add_collection(
            PolyCollection(list(corners), facecolors=shade, edgecolors=shade, linewidths=0.4)
        )
    else:
        axes.plot(*panel.places.T, ".", color="0.72", markersize=_point(panel))
    axes.autoscale_view()


def bar(figure: Figure, axes: Any, norm: Normalize, label: str, cmap: str = MAP) -> None:
    """The colour scale beside the axes."""
    figure.colorbar(ScalarMappable(norm, cmap), ax=axes, label=label, shrink=0.85, pad=0.01)


def shades(count: int) -> Floats:
    """Colours of ``count`` ordered curves, ``[count, 4]``."""
    colours: Floats = matplotlib.colormaps[MAP](np.linspace(0.05, 0.8, count))
    return colours


def key_above(axes: Axes, columns: int = 4) -> None:
    """The legend in a row above the axes, where it covers nothing."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize=8,
        borderaxespad=0.2, columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def _ends(panel: Panel, targets: Ids, sources: Ids) -> tuple[Floats, NDArray[np.bool_]]:
    """Both ends ``[K, 2, 2]`` of the edges on the panel, and which edges these are ``[E]``."""
    place = np.full(int(max(targets.max(), sources.max(), panel.members.max())) + 1, -1)
    place[panel.members] = np.arange(len(panel.members))
    here = (place[targets] >= 0) & (place[sources] >= 0) & (targets != sources)
    if panel.depth is not None:
        here &= panel.depth[place[targets]] + panel.depth[place[sources]] >= 0
    return np.stack([panel.places[place[e[here]]] for e in (targets, sources)], axis=1), here


def _bowed(ends: Floats, points: int = 9) -> Floats:
    """Lines ``[K, points, 2]`` that bow to one side: two directions and rows of a grid differ."""
    t = np.linspace(0, 1, points)[None, :, None]
    start, way = ends[:, 1:], ends[:, :1] - ends[:, 1:]
    across = np.stack([-way[..., 1], way[..., 0]], axis=-1)
    path: Floats = start + t * way + 4 * BOW * t * (1 - t) * across
    return path


def _point(panel: Panel) -> float:
    """Size of a column behind edges, in points."""
    return float(np.clip(60 / len(panel.members) ** 0.5, 0.6, 5))


def _box(panel: Panel) -> tuple[float, float, float, float]:
    """Edges of the image of a grid: half a spacing beyond its outer columns."""
    assert panel.grid is not None
    low, high = panel.places.min(0), panel.places.max(0)
    steps = (high - low) / (np.array(panel.grid[::-1]) - 1) / 2
    (left, bottom), (right, top) = low - steps, high + steps
    return float(left), float(right), float(bottom), float(top)


def _dot(panel: Panel) -> float:
    """Area of a dot in points^2, so that many columns do not cover each other."""
    return float(np.clip(4000 / len(panel.members), 2, 60))
