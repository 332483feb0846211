"""Columns on a sphere, with distances along great circles."""

from __future__ import annotations

import math

import torch

from graphcolumns.geometry import Geometry, Unit


def fibonacci(n: int, radius: float = 1.0, unit: Unit | None = None) -> Geometry:
    """`n` columns on a spiral from pole to pole, each with the same share of the sphere.

    Column `i` is at height `z_i = 1 - (2 i + 1) / n` and longitude `i * pi (3 - sqrt 5)`, the
    golden angle, on the unit sphere.

    Args:
        n: number of columns.
        radius: of the sphere, in `unit`.
        unit: of all lengths (default: `"rad"` on the unit sphere, where a length is an angle, and
            `"mm"` on any other).

    Returns:
        `n` columns with positions `[N, 3]`.

    Raises:
        ValueError: `n` below 1, or a radius that is not positive and finite.

    Source: Gonzalez, Measurement of areas on a sphere using Fibonacci and latitude-longitude
    lattices, Mathematical Geosciences 42 (2010).
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a whole number of columns, 1 or more. Got {n!r}.")
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be positive and finite. Got {radius!r}.")
    i = torch.arange(n, dtype=torch.float64)
    z = 1 - (2 * i + 1) / n
    longitude = i * (math.pi * (3 - math.sqrt(5)))
    ring = torch.sqrt(1 - z * z)
    unit_sphere = torch.stack([ring * longitude.cos(), ring * longitude.sin(), z], dim=1)
    return Geometry(
        (unit_sphere * radius).float(),
        metric="great-circle",
        unit=unit or ("rad" if radius == 1 else "mm"),
        radius=float(radius),
    )
