"""The rules that a ``Geometry`` checks when it is made. Each raises a ValueError or a TypeError."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from graphcolumns.geometry import Geometry

# Points further than this fraction of the radius from the sphere are an error, not rounding.
SPHERE_TOLERANCE = 1e-3


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Got {value!r}.")


def close_names(name: object, known: Iterable[str]) -> str:
    """For a misspelt name the question whether one of the nearest was meant, or nothing.

    Args:
        name: Name that is not known.
        known: Names that are.
    """
    close = get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def check_positions(positions: Tensor) -> None:
    """``[N, 2 or 3]``, float32 or float64, finite, at least one column."""
    if not torch.is_tensor(positions) or positions.dtype not in (torch.float32, torch.float64):
        got = positions.dtype if torch.is_tensor(positions) else type(positions).__name__
        raise TypeError(
            f"positions must be a float32 tensor. Got {got}; call .float() on a tensor."
        )
    if positions.ndim != 2 or positions.shape[1] not in (2, 3) or positions.shape[0] < 1:
        raise ValueError(
            "positions must have shape (N, 2) or (N, 3) with at least one column. "
            f"Got {tuple(positions.shape)}."
        )
    bad = ~torch.isfinite(positions).all(1)
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"positions must be finite. Column {i} is at {positions[i].tolist()} "
            f"({int(bad.sum())} such columns); drop these columns or fill in their positions."
        )


def check_torus(geometry: Geometry) -> None:
    """A period per axis with all positions inside, and only for metric 'torus'."""
    period, positions = geometry.period, geometry.positions
    if geometry.metric != "torus":
        if period is not None:
            raise ValueError(f"period belongs to metric 'torus'. Got metric {geometry.metric!r}.")
        return
    axes = positions.shape[1]
    sides = period if isinstance(period, tuple | list) else ()
    if len(sides) != axes or not all(0 < side < float("inf") for side in sides):
        raise ValueError(
            f"metric 'torus' needs a positive finite period per axis, {axes} in all. Got {period}."
        )
    outside = ((positions < 0) | (positions >= positions.new_tensor(sides))).any(1)
    if outside.any():
        i = int(outside.nonzero()[0])
        raise ValueError(
            f"torus positions must lie in [0, period), period {tuple(sides)}. Column {i} is at "
            f"{positions[i].tolist()}; wrap them with torch.remainder(positions, period)."
        )


def check_sphere(geometry: Geometry) -> None:
    """All positions on the sphere, and a radius only for metric 'great-circle'."""
    radius, positions = geometry.radius, geometry.positions
    if geometry.metric != "great-circle":
        if radius is not None:
            raise ValueError(
                f"radius belongs to metric 'great-circle'. Got metric {geometry.metric!r}."
            )
        return
    if positions.shape[1] != 3:
        raise ValueError(
            f"metric 'great-circle' needs positions (N, 3). Got {tuple(positions.shape)}."
        )
    if radius is None or not 0 < radius < float("inf"):
        raise ValueError(f"metric 'great-circle' needs a positive finite radius. Got {radius}.")
    norm = torch.linalg.vector_norm(positions.double(), dim=1)
    off = (norm - radius).abs() > SPHERE_TOLERANCE * radius
    if off.any():
        i = int(off.nonzero()[0])
        raise ValueError(
            f"great-circle positions must lie on the sphere of radius {radius} around the origin. "
            f"Column {i} is at {float(norm[i])} from it; rescale the positions or the radius."
        )


def check_areas(areas: Tensor | None, num_columns: int) -> None:
    """One label >= 0 per column."""
    if areas is None:
        return
    if not torch.is_tensor(areas) or areas.dtype != torch.int64:
        raise TypeError(f"areas must be an int64 tensor. Got {getattr(areas, 'dtype', areas)}.")
    if areas.shape != (num_columns,) or bool((areas < 0).any()):
        raise ValueError(
            f"areas must hold one label >= 0 per column, shape ({num_columns},). "
            f"Got shape {tuple(areas.shape)}, smallest {areas.min() if areas.numel() else None}."
        )


def check_mesh_ids(name: str, ids: Tensor | None, ndim: int, num_columns: int) -> None:
    """Column ids: triangles ``[F, 3]`` for ``ndim`` 2, a list ``[A]`` for ``ndim`` 1."""
    if ids is None:
        return
    if not torch.is_tensor(ids) or ids.dtype != torch.int64:
        raise TypeError(f"{name} must be an int64 tensor. Got {getattr(ids, 'dtype', ids)}.")
    if ids.ndim != ndim or (ndim == 2 and ids.shape[1] != 3):
        expected = "(F, 3)" if ndim == 2 else "(A,)"
        raise ValueError(f"{name} must have shape {expected}. Got {tuple(ids.shape)}.")
    bad = ids[(ids < 0) | (ids >= num_columns)]
    if len(bad):
        raise ValueError(f"{name} must be column ids in [0, {num_columns}). Got {int(bad[0])}.")


def check_mesh(geometry: Geometry) -> None:
    """Metric 'geodesic' runs along the edges of faces, whose lengths no gradient reaches."""
    if geometry.metric != "geodesic":
        return
    if geometry.faces is None or not len(geometry.faces):
        raise ValueError(
            "metric 'geodesic' runs along the edges of a mesh and needs faces (F, 3). Got "
            f"{None if geometry.faces is None else tuple(geometry.faces.shape)}; set faces, or use "
            "metric='euclidean'."
        )
    if geometry.learnable:
        raise ValueError(
            "positions on metric 'geodesic' cannot be learned: a shortest path is not a smooth "
            "function of them. Got learnable=True; use metric='euclidean' or 'great-circle'."
        )


def check_spacing(geometry: Geometry) -> None:
    """A length, and only for positions that move."""
    spacing = geometry.spacing
    if spacing is None:
        return
    if isinstance(spacing, bool) or not isinstance(spacing, int | float):
        raise TypeError(f"spacing must be a number. Got {spacing!r}.")
    if not 0 < spacing < float("inf"):
        raise ValueError(
            f"spacing must be positive and finite, in the unit of the geometry ({geometry.unit}). "
            f"Got {spacing}."
        )
    if not geometry.learnable:
        raise ValueError(
            "spacing is what learned positions keep between them. Got learnable=False; set "
            "learnable=True or leave spacing out."
        )


def check_attributes(attributes: Mapping[str, Tensor] | None, num_columns: int) -> None:
    """A tensor ``[N, ...]`` per name."""
    if attributes is None:
        return
    if not isinstance(attributes, Mapping):
        raise TypeError(
            f"attributes must be a mapping from names to tensors. Got {type(attributes).__name__}."
        )
    for name, values in attributes.items():
        if not isinstance(name, str) or not torch.is_tensor(values):
            raise TypeError(
                f"attributes must be tensors under names. Got {type(values).__name__} under "
                f"{name!r}; call torch.as_tensor on it."
            )
        if values.ndim < 1 or values.shape[0] != num_columns:
            raise ValueError(
                f"attribute {name!r} must have one entry per column, {num_columns} in its first "
                f"dimension. Got shape {tuple(values.shape)}."
            )
