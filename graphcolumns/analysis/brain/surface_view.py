"""Surfaces that a reader can turn, in a page that stands alone."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex

from graphcolumns.analysis.brain.surface_maps import SurfaceMap
from graphcolumns.analysis.brain.surface_script import FRAGMENT, PAGE
from graphcolumns.analysis.brain.vertex_columns import (
    Vertices,
    ids_in_mesh,
    on_columns,
    side_of_columns,
)
from graphcolumns.analysis.interactive import installed, plotly_script
from graphcolumns.checkpoint import write_text
from graphcolumns.checkpoint.disk import place_for
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.regions import HEMISPHERES

STEPS = 256  # colours of a scale
NO_DATA = "#bdbdbd"
IN_SULCUS = "#9a9a9a"  # without data, below the mean depth: folds help to find one's way


def surface_view(
    maps: Mapping[str, SurfaceMap],
    surfaces: Mapping[str, Geometry],
    vertices: Vertices | None = None,
) -> str:
    """HTML of surfaces coloured by maps, without the library plotly, which a page needs once.

    Args:
        maps: Maps by name, of which the reader chooses one.
        surfaces: Surfaces by name, such as ``{"inflated": ..., "flat": ...}`` of
            ``geometries.cortex.fsaverage``, of which the reader chooses one. Their columns may
            differ.
        vertices: Ids or masks of the vertices of the maps by hemisphere, see ``vertex_columns``.
            None: values are those of the columns.

    Raises:
        ValueError: No map or surface, a surface without faces, or vertices that do not fit.
    """
    if not maps or not surfaces:
        raise ValueError(
            f"a view needs a map and a surface. Got {len(maps)} maps and {len(surfaces)} surfaces."
        )
    for name, surface in surfaces.items():
        if surface.faces is None or not len(surface.faces):
            raise ValueError(
                f"a surface must have faces. Got none in {name!r}; pass a mesh, such as "
                "geometries.cortex.fsaverage(surface='inflated')."
            )
    content = {
        "maps": [{"name": name, **_scale(each)} for name, each in maps.items()],
        "surfaces": [
            {"name": name, **_surface(surface, list(maps.values()), vertices)}
            for name, surface in surfaces.items()
        ],
        "grey": [NO_DATA, IN_SULCUS],
    }
    # Names stand in a script: no character may end it.
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return FRAGMENT.replace("CONTENT", text)


def write_surface_page(
    path: str | os.PathLike[str],
    maps: Mapping[str, SurfaceMap],
    surfaces: Mapping[str, Geometry],
    vertices: Vertices | None = None,
    *,
    title: str = "Responses on the cortex",
    text: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a page of surfaces that can be turned in a browser. It stands alone: no server.

    Plotly's library (5 MB) is inside, and some 1 MB for each surface of 20,000 vertices.

    Args:
        path: File ``.html``; its folder must exist.
        maps: Maps by name.
        surfaces: Surfaces by name.
        vertices: Ids or masks of the vertices by hemisphere, see ``surface_view``.
        title: Heading.
        text: Paragraph below the heading.
        overwrite: Whether a file of that name is replaced.

    Returns:
        The path.

    Raises:
        FileExistsError: There is such a file, and it is not to be replaced.
        ImportError: Plotly is not installed.
        ValueError: As ``surface_view``.

    Example:
        >>> import torch
        >>> from geometries import cortex
        >>> from graphcolumns.analysis.brain import SurfaceMap, write_surface_page
        >>> surfaces = {kind: cortex.fsaverage(4, surface=kind) for kind in ("inflated", "flat")}
        >>> some = {"left": torch.arange(500), "right": torch.arange(700)}
        >>> maps = {"correlation": SurfaceMap(torch.rand(1200), "correlation r")}
        >>> write_surface_page("cortex.html", maps, surfaces, some)  # doctest: +SKIP
    """
    path = place_for(path, overwrite)
    if not installed():
        raise ImportError(
            "surfaces that can be turned need plotly. Got none; pip install 'graphcolumns[viz]'."
        )
    parts = {"TITLE": html.escape(title), "TEXT": html.escape(text), "SCRIPT": plotly_script()}
    parts["VIEW"] = surface_view(maps, surfaces, vertices)
    # In one pass: what is filled in holds such words itself.
    write_text(path, re.sub("|".join(parts), lambda found: parts[found[0]], PAGE))
    return path


def _scale(shown: SurfaceMap) -> dict[str, Any]:
    """The colours of a map and what is written beside them."""
    low, high = shown.ends()
    known = shown.values.detach().double().cpu()
    known = known[known.isfinite()]
    colours = matplotlib.colormaps[shown.colours](np.linspace(0, 1, STEPS))
    return {
        "label": shown.title,
        "low": low,
        "high": high,
        "below": bool((known < low).any()),
        "above": bool((known > high).any()),
        "colours": [to_hex(colour) for colour in colours],
    }


def _surface(
    geometry: Geometry, maps: list[SurfaceMap], vertices: Vertices | None
) -> dict[str, Any]:
    """Places, faces and values of each hemisphere."""
    values = [on_columns(each.values, geometry, vertices) for each in maps]
    shown = int(values[0].shape[0]) if vertices is None else int(_placed(geometry, vertices))
    places = geometry.positions.detach().cpu().double()
    places = places - places.mean(0)
    flat = places.shape[1] == 2
    if flat:
        places = torch.cat([places, torch.zeros_like(places[:, :1])], 1)
    side, ids = side_of_columns(geometry), ids_in_mesh(geometry)
    depth = (geometry.attributes or {}).get("sulcal")
    assert geometry.faces is not None
    faces = geometry.faces.cpu()
    parts = []
    for number, name in enumerate(("",) if side is None else HEMISPHERES):
        columns = torch.arange(len(places)) if side is None else (side == number).nonzero()[:, 0]
        if not len(columns):
            continue
        local = torch.full((len(places),), -1)
        local[columns] = torch.arange(len(columns))
        own = local[faces]
        part = {
            "name": name,
            "xyz": [_packed(axis, "<f4") for axis in places[columns].t()],
            "ijk": [_packed(corner, "<i4") for corner in own[(own >= 0).all(1)].t()],
            "ids": _packed(ids[columns], "<i4"),
            "values": [_packed(each[columns], "<f4") for each in values],
        }
        if depth is not None:
            # FreeSurfer's depth is positive in a sulcus.
            part["sulcus"] = _packed(depth.cpu()[columns] > 0, "<i4")
        parts.append(part)
    total = len(maps[0].values)
    return {"parts": parts, "flat": flat, "shown": shown, "total": total}


def _placed(geometry: Geometry, vertices: Vertices) -> torch.Tensor:
    """The number of vertices that are columns."""
    counted = torch.ones(sum(_count(each) for each in vertices.values()), dtype=torch.float64)
    return on_columns(counted, geometry, vertices).isfinite().sum()


def _count(given: Any) -> int:
    found = torch.as_tensor(given)
    return int(found.sum()) if found.dtype == torch.bool else len(found)


def _packed(values: torch.Tensor, kind: str) -> str:
    return base64.b64encode(values.numpy().astype(kind).tobytes()).decode()
