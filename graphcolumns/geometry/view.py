"""Where each column is on a page, or looks in an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry

FLAT = 1e-6  # an axis whose extent is below this share of the longest has none


def view(geometry: Geometry) -> Tensor:
    """A place in the unit square for each column; neighbourhoods stay as far as a flat map can.

    - In the plane: the position. Row and column of a grid stay row and column.
    - Stacked sheets (3-D, areas that do not vary along the first axis): the place in its own sheet.
    - On a sphere, and on a cortex with its registration sphere (attribute ``"sphere"``):
      longitude, and the sine of the latitude, which keeps areas.
    - Any other surface: the two directions in which it is longest.

    An axis without extent becomes 0.5.

    Args:
        geometry: The columns.

    Returns:
        ``[N, 2]`` float64 in ``[0, 1]``, row then column; rows run from the top.

    Source: Lambert's cylindrical projection, for the sphere.
    """
    sphere = _sphere(geometry)
    if sphere is not None:
        return _cylinder(sphere)
    positions = geometry.positions.detach().cpu().double()
    if positions.shape[1] == 2:
        return _boxed(positions)
    if _is_stack(geometry):
        assert geometry.areas is not None
        placed = torch.empty(len(positions), 2, dtype=torch.float64)
        for area in geometry.areas.cpu().unique():
            members = geometry.areas.cpu() == area
            placed[members] = _boxed(positions[members, 1:])
        return placed
    centred = positions - positions.mean(0)
    return _boxed(centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T)


def _sphere(geometry: Geometry) -> Tensor | None:
    """Points on a sphere around the origin, if the geometry has them."""
    if geometry.metric == "great-circle":
        return geometry.positions.detach().cpu().double()
    attributes = geometry.attributes or {}
    return attributes["sphere"].cpu().double() if "sphere" in attributes else None


def _cylinder(sphere: Tensor) -> Tensor:
    x, y, z = torch.nn.functional.normalize(sphere, dim=1).T
    return torch.stack([(1 - z) / 2, (torch.atan2(y, x) / (2 * math.pi)) % 1], dim=1)


def _boxed(places: Tensor) -> Tensor:
    """Moved and scaled, axis by axis, to the unit square."""
    low, extent = places.amin(0), places.amax(0) - places.amin(0)
    wide = extent > FLAT * extent.amax()
    return torch.where(wide, (places - low) / torch.where(wide, extent, 1.0), 0.5)


def _is_stack(geometry: Geometry) -> bool:
    if geometry.areas is None or geometry.metric != "euclidean":
        return False
    height, areas = geometry.positions.detach()[:, 0].cpu(), geometry.areas.cpu()
    return all(len(height[areas == area].unique()) == 1 for area in areas.unique())
