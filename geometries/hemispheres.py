"""Geometries of one hemisphere of a cortex, or of both, left first."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry, Metric

Hemisphere = Literal["left", "right", "both"]

SPHERE_RADIUS = 100.0  # mm, of registration spheres


def sides_of(hemisphere: Hemisphere) -> tuple[str, ...]:
    """The hemispheres that are meant, left first."""
    return ("left", "right") if hemisphere == "both" else (hemisphere,)


def joined(halves: list[dict[str, Tensor]], metric: Metric) -> Geometry:
    """One geometry of one or two hemispheres."""
    before = [0, len(halves[0]["positions"])]
    faces = [half.pop("faces") + start for half, start in zip(halves, before, strict=False)]
    together = {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
    return Geometry(
        together.pop("positions"),
        metric=metric,
        unit="mm",
        faces=torch.cat(faces),
        radius=SPHERE_RADIUS if metric == "great-circle" else None,
        attributes=together,
    )


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless a value is one of the choices."""
    if isinstance(value, bool) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Got {value!r}.")
