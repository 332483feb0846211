"""Checks of degrees and lengths, with errors that say how many columns there are."""

from __future__ import annotations

import math

from graphcolumns.geometry import Geometry


def num_others(geometry: Geometry, degree: int, self_loops: bool) -> int:
    """Number of other columns that each column receives from."""
    available = geometry.num_columns - (0 if self_loops else 1)
    check_degree(degree, 1, available, "columns" if self_loops else "other columns")
    return degree - 1 if self_loops else degree


def check_degree(degree: int, least: int, most: int, what: str) -> None:
    """Raise unless there are ``degree`` columns (``what``) to choose from."""
    if not hasattr(degree, "__index__"):
        raise TypeError(f"degree must be a whole number. Got {degree!r}.")
    if not least <= degree <= most:
        raise ValueError(
            f"degree must be in [{least}, {most}], since there are {most} {what} to choose from. "
            f"Got {degree}."
        )


def check_length(name: str, value: float, geometry: Geometry) -> None:
    """Raise unless a length is positive and finite."""
    if not 0 < value < math.inf:
        raise ValueError(
            f"{name} must be positive and finite, in the unit of the geometry "
            f"({geometry.unit}). Got {value}."
        )
