"""Figures of equal area: what displays are made of."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TypeAlias

import torch
from torch import Tensor

FIGURES = ("disc", "square", "triangle", "cross")
# Points per pixel and axis at which it is tested whether a figure covers them.
SUBPIXELS = 8
Inside: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def draw_figures(figure: Tensor, centre: Tensor, radius: Tensor, size: int) -> Tensor:
    r"""One figure per image, as the share of each pixel that it covers.

    All figures of one radius ``r`` have the area of a disc, :math:`\pi r^2`, so that brightness
    does not give a figure away: a square of side :math:`\sqrt\pi r`, a triangle with three equal
    sides and one corner up, and a cross whose arms are as wide as a third of their length. What
    lies outside the image is not drawn.

    Args:
        figure: Places in ``FIGURES``, ``[n]`` int64.
        centre: Row and column of the centre of mass, ``[n, 2]``, in pixels from the upper left
            corner of the image.
        radius: Radius ``r``, ``[n]``, in pixels.
        size: Side of the image, in pixels.

    Returns:
        ``[n, 1, size, size]`` float32 in [0, 1].

    Raises:
        ValueError: Another number of figures, centres and radii, or an unknown figure.
    """
    _check(figure, centre, radius, size)
    images = torch.zeros(len(figure), size, size)
    for place, name in enumerate(FIGURES):
        which = figure == place
        if bool(which.any()):
            images[which] = _COVERED[name](centre[which], radius[which], size)
    return images[:, None]


def _disc(centre: Tensor, radius: Tensor, size: int) -> Tensor:
    return _sampled(lambda y, x: y**2 + x**2 <= 1, centre, radius, size)


def _square(centre: Tensor, radius: Tensor, size: int) -> Tensor:
    half = radius * sqrt(pi) / 2
    return _box(centre, half, half, size)


def _triangle(centre: Tensor, radius: Tensor, size: int) -> Tensor:
    # From the area: side, and from the centre to the base below and to the corner above.
    side = sqrt(4 * pi / sqrt(3))
    base, corner = side / sqrt(12), side / sqrt(3)

    def inside(y: Tensor, x: Tensor) -> Tensor:
        return (y <= base) & (x.abs() * sqrt(3) <= y + corner)

    return _sampled(inside, centre, radius, size)


def _cross(centre: Tensor, radius: Tensor, size: int) -> Tensor:
    # Half a length L and a third of it: the area is 20 / 9 L^2.
    half = radius * sqrt(9 * pi / 20)
    arms = _box(centre, half, half / 3, size) + _box(centre, half / 3, half, size)
    return arms - _box(centre, half / 3, half / 3, size)


_COVERED = {"disc": _disc, "square": _square, "triangle": _triangle, "cross": _cross}


def _box(centre: Tensor, tall: Tensor, wide: Tensor, size: int) -> Tensor:
    """The share of each pixel in boxes of these half sides, exactly: ``[n, size, size]``."""
    pixel = torch.arange(size)

    def along(axis: int, half: Tensor) -> Tensor:
        first, last = ((centre[:, axis] + sign * half)[:, None] for sign in (-1, 1))
        return (torch.minimum(last, pixel + 1) - torch.maximum(first, pixel)).clamp(min=0)

    return along(0, tall)[:, :, None] * along(1, wide)[:, None, :]


def _sampled(inside: Inside, centre: Tensor, radius: Tensor, size: int) -> Tensor:
    """The share of the points of each pixel that lie in a figure, ``[n, size, size]``.

    ``inside`` is called with rows and columns from the centre, in radii.
    """
    covered = torch.zeros(len(centre), size, size)
    steps = (torch.arange(SUBPIXELS) + 0.5) / SUBPIXELS
    for down in steps:
        y = (torch.arange(size) + down - centre[:, :1]) / radius[:, None]
        for across in steps:
            x = (torch.arange(size) + across - centre[:, 1:]) / radius[:, None]
            covered += inside(y[:, :, None], x[:, None, :])
    return covered / SUBPIXELS**2


def _check(figure: Tensor, centre: Tensor, radius: Tensor, size: int) -> None:
    count = len(figure)
    if figure.shape != (count,) or centre.shape != (count, 2) or radius.shape != (count,):
        raise ValueError(
            "draw_figures needs figure [n], centre [n, 2] and radius [n]. Got "
            f"{list(figure.shape)}, {list(centre.shape)} and {list(radius.shape)}."
        )
    if size < 1 or not bool((radius > 0).all()):
        raise ValueError(f"size and radius must be above 0. Got size={size}, radius {radius}.")
    if count and not 0 <= int(figure.min()) <= int(figure.max()) < len(FIGURES):
        raise ValueError(
            f"figure must be places in FIGURES, 0 to {len(FIGURES) - 1}. "
            f"Got {int(figure.min())} to {int(figure.max())}."
        )
