"""Checks of the options of nulls."""

from __future__ import annotations

import math

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def check_positive(name: str, value: float) -> None:
    """Raise unless a number is finite and above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0. Got {value!r}.")


def require_geometry(graph: ColumnGraph, geometry: Geometry | None, null: str) -> Geometry:
    """The geometry, or an error that names the null that needs it."""
    if geometry is None:
        raise ValueError(f"{null} needs the positions of the columns. Got None; pass geometry=.")
    geometry.require_columns(graph.num_columns)
    return geometry
