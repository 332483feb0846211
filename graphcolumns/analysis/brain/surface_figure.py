"""Maps of vertices on paper."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from graphcolumns.analysis import draw
from graphcolumns.analysis.brain.surface_maps import SurfaceMap
from graphcolumns.analysis.brain.vertex_columns import Vertices, on_columns
from graphcolumns.analysis.layout import panels
from graphcolumns.geometry import Geometry

NO_DATA = "#bdbdbd"


def surface_figure(
    maps: Mapping[str, SurfaceMap], geometry: Geometry, vertices: Vertices | None = None
) -> Figure:
    """A row of views of a surface for each map; vertices without data are grey.

    Args:
        maps: Maps by name.
        geometry: Surface, or other columns.
        vertices: Ids or masks of the vertices of the maps by hemisphere, see ``vertex_columns``.
            None: values are those of the columns.

    Raises:
        ValueError: No map, or vertices that do not fit.
    """
    if not maps:
        raise ValueError("a figure needs a map. Got none.")
    sides = panels(geometry)
    figure, axes = draw.panel_rows(sides, len(maps))
    for row, shown in zip(axes, maps.values(), strict=True):
        values = on_columns(shown.values, geometry, vertices).numpy()
        norm = Normalize(*shown.ends())
        cmap = matplotlib.colormaps[shown.colours].with_extremes(bad=NO_DATA)
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values, norm, cmap)
            cell.set_title(side.title, fontsize=8)
        draw.bar(figure, row, norm, shown.title, shown.colours)
    return figure
