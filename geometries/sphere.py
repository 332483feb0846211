"""Columns on a sphere, with distances along great circles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geometries.hull import outward_faces
from graphcolumns.geometry import Geometry, Unit

MOST_LEVELS = 8


def fibonacci(n: int, radius: float = 1.0, unit: Unit | None = None) -> Geometry:
    """``n`` columns on a spiral from pole to pole, each with the same share of the sphere.

    Column ``i`` is at height ``z_i = 1 - (2 i + 1) / n`` and longitude ``i * pi (3 - sqrt 5)``, the
    golden angle, on the unit sphere.

    Args:
        n: Number of columns.
        radius: Radius of the sphere, in ``unit``.
        unit: Unit of all lengths (default: ``"rad"`` on the unit sphere, where a length is an
            angle, and ``"mm"`` on any other).

    Returns:
        ``n`` columns with positions ``[N, 3]``.

    Raises:
        ValueError: ``n`` below 1, or a radius that is not positive and finite.

    Source: Gonzalez, Measurement of areas on a sphere using Fibonacci and latitude-longitude
    lattices, Mathematical Geosciences 42 (2010).
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a whole number of columns, 1 or more. Got {n!r}.")
    _check_radius(radius)
    i = torch.arange(n, dtype=torch.float64)
    z = 1 - (2 * i + 1) / n
    longitude = i * (math.pi * (3 - math.sqrt(5)))
    ring = torch.sqrt(1 - z * z)
    unit_sphere = torch.stack([ring * longitude.cos(), ring * longitude.sin(), z], dim=1)
    return _on_sphere(unit_sphere, radius, unit)


def icosphere(level: int, radius: float = 1.0, unit: Unit | None = None) -> Geometry:
    """An icosahedron whose triangles are cut in four ``level`` times, every corner on the sphere.

    Levels are nested: the first columns of a level are those of the level below, the others stand
    on the middles of its edges, in the order of the ids of their ends. All columns have six
    neighbours but for the twelve of level 0, which have five.

    Args:
        level: 0 (12 columns) to 8 (655,362 columns).
        radius: Radius of the sphere, in ``unit``.
        unit: Unit of all lengths (default: ``"rad"`` on the unit sphere, where a length is an
            angle, and ``"mm"`` on any other).

    Returns:
        ``10 * 4**level + 2`` columns with positions ``[N, 3]`` and ``faces``
        ``[20 * 4**level, 3]``, whose corners run counter-clockwise seen from outside.

    Raises:
        ValueError: A level out of range, or a radius that is not positive and finite.

    Source: Sadourny, Arakawa and Mintz, Integration of the nondivergent barotropic vorticity
    equation with an icosahedral-hexagonal grid for the sphere, Monthly Weather Review 96 (1968).
    """
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= MOST_LEVELS:
        raise ValueError(f"level must be a whole number from 0 to {MOST_LEVELS}. Got {level!r}.")
    _check_radius(radius)
    points = _icosahedron()
    faces = outward_faces(points)
    for _ in range(level):
        points, faces = _subdivided(points, faces)
    return _on_sphere(points, radius, unit, faces)


def _icosahedron() -> Tensor:
    """Its twelve corners ``[12, 3]``, on the unit sphere: three golden rectangles."""
    golden = (1 + math.sqrt(5)) / 2
    rectangle = torch.tensor([[0, y, z] for y in (1, -1) for z in (golden, -golden)])
    corners = torch.cat([rectangle.roll(shift, dims=1) for shift in range(3)])
    return torch.nn.functional.normalize(corners.double(), dim=1)


def _subdivided(points: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Each triangle cut in four, at the middles of its edges: three corners and the centre."""
    edges = torch.stack([faces, faces.roll(-1, dims=1)], dim=2).sort(dim=2).values
    ends, place = torch.unique(edges.flatten(0, 1), dim=0, return_inverse=True)
    middles = torch.nn.functional.normalize(points[ends].sum(1), dim=1)
    (a, b, c), (ab, bc, ca) = faces.unbind(1), (place.view(-1, 3) + len(points)).unbind(1)
    quarters = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    cut = torch.stack([torch.stack(corners, dim=1) for corners in quarters], dim=1)
    return torch.cat([points, middles]), cut.flatten(0, 1)


def _on_sphere(
    unit_sphere: Tensor, radius: float, unit: Unit | None, faces: Tensor | None = None
) -> Geometry:
    return Geometry(
        (unit_sphere * radius).float(),
        metric="great-circle",
        unit=unit or ("rad" if radius == 1 else "mm"),
        faces=faces,
        radius=float(radius),
    )


def _check_radius(radius: float) -> None:
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be positive and finite. Got {radius!r}.")
