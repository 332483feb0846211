"""How edges are laid out on paper: panels on which every edge has a place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphcolumns.analysis.layout import (
    Floats,
    Ids,
    Panel,
    level_sheets,
    panels,
    seen_surface,
    triangles,
)
from graphcolumns.geometry import Geometry

# A step in row and in column of a sheet of a stack -> (across, up).
ROW, COLUMN = np.array([-0.62, -0.42]), np.array([1.25, 0.0])
GAP = 1.25  # from one sheet of a stack to the next, in heights of a sheet on the page
ABOVE = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]


def wire_panels(geometry: Geometry) -> list[Panel]:
    """Panels that show edges: each edge on one of them, or on both sides of a cloud.

    Columns in a plane: one panel. Stacked sheets: one panel, the sheets above each other, so that
    edges between sheets are seen. A surface: two sides, an edge on that where its middle lies.
    Several surfaces, such as two hemispheres: all of them from above.
    """
    sheets = level_sheets(geometry)
    if sheets is not None and len(sheets) > 1:
        return [_slanted(geometry, sheets)]
    shown = panels(geometry)
    if shown[0].triangles is None:
        return shown
    parts = {panel.members.tobytes() for panel in shown}
    if len(parts) > 1:
        return [_from_above(geometry)]
    return shown


def _slanted(geometry: Geometry, sheets: list[Ids]) -> Panel:
    """The sheets of a stack above each other, the lowest at the bottom."""
    positions = geometry.positions.detach().cpu().double().numpy()
    rows, columns = positions[:, 1], positions[:, 2]
    flat = np.outer(rows, ROW) + np.outer(columns, COLUMN)
    rise = GAP * max(np.ptp(rows) * -ROW[1], 1.0)
    outlines: dict[str, Floats] = {}
    for level, members in enumerate(sheets):
        flat[members, 1] += level * rise
        outlines[f"sheet {level}"] = _outline(rows[members], columns[members], level * rise)
    return Panel("", np.arange(len(positions)), flat, outlines=outlines)


def _outline(rows: Floats, columns: Floats, rise: float) -> Floats:
    """Corners of a sheet, half a step beyond its outer columns."""
    (top, bottom), (left, right) = _ends(rows), _ends(columns)
    corners = np.array([(bottom, left), (bottom, right), (top, right), (top, left)])
    places: Floats = corners[:, :1] * ROW + corners[:, 1:] * COLUMN + np.array([0.0, rise])
    return places


def _ends(values: Floats) -> tuple[float, float]:
    """The first and the last value, half a step further out."""
    different = np.unique(values)
    half = float(np.diff(different).min()) / 2 if len(different) > 1 else 0.5
    return different[0] - half, different[-1] + half


def _from_above(geometry: Geometry) -> Panel:
    """All surfaces from above (x runs right, y up); all edges are shown."""
    positions = geometry.positions.detach().cpu().double().numpy()
    ids = np.arange(len(positions))
    faces = triangles(geometry)
    if positions.shape[1] == 2 or faces is None:
        return Panel("", ids, positions[:, :2])
    seen = seen_surface("from above", ids, positions, faces, ABOVE)
    return replace(seen, depth=None)
