"""Levels of columns where the columns are, and the axis along which they rise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from graphcolumns.analysis import draw
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.geometry import Geometry

COLOURS = "viridis"
NO_LEVEL = "#c4c4c4"


class HierarchyAxis(NamedTuple):
    r"""The direction in which levels rise.

    Args:
        direction: Direction of the steepest rise, ``[D]``, length 1; NaN for constant levels.
        slope: Rise along it, in units of the level per unit of length.
        r2: Share of the variance of the levels that a plane through positions explains,
            :math:`R^2` in [0, 1]; NaN for constant levels.
        place: Place of each column along the direction, ``[N]``, 0 in the middle.
    """

    direction: Floats
    slope: float
    r2: float
    place: Floats


def hierarchy_axis(levels: Tensor | Floats, geometry: Geometry) -> HierarchyAxis:
    r"""Direction in space along which levels rise most.

    Least squares of :math:`h_i = h_0 + g \cdot x_i` over the columns with a level; the direction is
    that of :math:`g`. On a folded surface positions are those in space, not along the surface.
    Where columns lie in a plane or on a line, :math:`g` lies in it too.

    Args:
        levels: Level of each column, ``[N]``; NaN for none.
        geometry: Positions of the columns.

    Raises:
        ValueError: Levels of another number of columns, or infinite.

    Example:
        >>> from geometries import grid
        >>> from graphcolumns.analysis.hierarchy import hierarchy_axis
        >>> sheet = grid.sheet(3, 4)
        >>> found = hierarchy_axis(2 * sheet.positions[:, 1], sheet)
        >>> found.direction.round(3).tolist(), round(found.slope, 3), round(found.r2, 3)
        ([0.0, 1.0], 2.0, 1.0)
    """
    value = _levels(levels, geometry)
    known = np.isfinite(value)
    positions = geometry.positions.detach().cpu().double().numpy()
    centred = positions - (positions[known].mean(0) if known.any() else 0)
    nothing = np.full(positions.shape[1], math.nan)
    if known.sum() < 2 or np.ptp(value[known]) <= 1e-12 * max(np.abs(value[known]).max(), 1e-300):
        return HierarchyAxis(nothing, 0.0, math.nan, np.full(len(value), math.nan))
    climbed = value[known] - value[known].mean()
    gradient = np.linalg.lstsq(centred[known], climbed, rcond=1e-9)[0]
    left = climbed - centred[known] @ gradient
    slope = float(np.linalg.norm(gradient))
    r2 = float(max(0.0, 1 - (left @ left) / (climbed @ climbed)))
    if slope <= 1e-12 * np.ptp(climbed) / max(np.abs(centred).max(), 1e-300):
        return HierarchyAxis(nothing, 0.0, r2, np.full(len(value), math.nan))
    direction = gradient / slope
    return HierarchyAxis(direction, slope, r2, centred @ direction)


def hierarchy_figure(
    levels: Mapping[str, Tensor | Floats],
    geometry: Geometry,
    units: Mapping[str, str] | None = None,
) -> Figure:
    """Levels of columns on their geometry, and beside them along the axis of their steepest rise.

    Levels are any numbers that order columns: trophic levels, laminar hierarchy, latency. Columns
    without one are grey. A row per kind of level: a panel per sheet or per side of a surface, with
    a colour scale, and a dot per column at its place along the axis, with R2 of the plane.

    Args:
        levels: Level of each column, ``[N]`` each, by name; NaN for none.
        geometry: Positions of the columns: a sheet, a stack, a sphere, a surface.
        units: Unit of each kind of level by name (default: no unit).

    Raises:
        ValueError: No levels, those of another number of columns, or infinite ones.

    Example:
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.analysis.hierarchy import hierarchy_figure, trophic_levels
        >>> sheet = grid.sheet(6, 6)
        >>> graph = connect.nearest(sheet, 5)
        >>> figure = hierarchy_figure({"trophic level": trophic_levels(graph).levels}, sheet)
        >>> figure.savefig("levels.png")  # doctest: +SKIP
    """
    if not levels:
        raise ValueError("a figure of levels needs one kind of level or more. Got none.")
    values = {name: _levels(each, geometry) for name, each in levels.items()}
    sides = panels(geometry)
    wide = [_width(np.ptp(side.places, axis=0)) for side in sides]
    figure = Figure(figsize=(sum(wide) + 4.6, 2.7 * len(values) + 0.3), layout="constrained")
    cells = figure.subplots(len(values), len(sides) + 1, squeeze=False, width_ratios=[*wide, 3.2])
    cmap = matplotlib.colormaps[COLOURS].with_extremes(bad=NO_LEVEL)
    for row, (name, value) in zip(cells, values.items(), strict=True):
        norm = draw.scale(value)
        for cell, side in zip(row[:-1], sides, strict=True):
            draw.paint(cell, side, value, norm, cmap)
            cell.set_title(side.title, fontsize=9)
        unit = (units or {}).get(name, "")
        label = f"{name} ({unit})" if unit else name
        draw.bar(figure, row[:-1].tolist(), norm, label, COLOURS)
        _along(row[-1], value, geometry, label, norm)
    return figure


def _along(axes: Axes, value: Floats, geometry: Geometry, label: str, norm: Normalize) -> None:
    """A dot per column: its level against its place along the axis."""
    found = hierarchy_axis(value, geometry)
    if not np.isfinite(found.place).any():
        why = "no direction in which levels rise"
        axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, fontsize=9)
        axes.set(xticks=[], yticks=[])
        return
    style: dict[str, Any] = {"s": float(np.clip(3000 / len(value), 2, 26)), "linewidths": 0}
    axes.scatter(found.place, value, c=value, norm=norm, cmap=COLOURS, **style)
    ends = np.array([np.nanmin(found.place), np.nanmax(found.place)])
    middle = np.nanmean(value)
    axes.plot(ends, middle + found.slope * ends, color="0.2", lw=1.2)
    axes.set_xlabel(f"place along {_named(found.direction)} ({geometry.unit})")
    axes.set_ylabel(label)
    axes.set_title(f"$R^2$ = {found.r2:.2f}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _named(direction: Floats) -> str:
    """The direction as numbers."""
    return "(" + ", ".join(f"{x + 0.0:.2f}" for x in direction.round(2)) + ")"


def _width(extent: Floats) -> float:
    """Inches of a panel that is some two inches high."""
    return float(np.clip(2.0 * extent[0] / max(extent[1], 1e-9), 1.4, 3.6))


def _levels(levels: Tensor | Floats, geometry: Geometry) -> Floats:
    given = levels.detach().cpu().numpy() if isinstance(levels, Tensor) else levels
    value: Floats = np.asarray(given, dtype=np.float64)
    if value.shape != (geometry.num_columns,):
        raise ValueError(
            f"levels must hold one number per column, shape ({geometry.num_columns},). "
            f"Got {value.shape}."
        )
    if np.isinf(value).any():
        raise ValueError("levels must be finite, or NaN for none. Got infinity.")
    return value
