"""Gain modulation: a grating or bar of every orientation, at a cued or at an uncued place."""

from __future__ import annotations

from math import pi
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcolumns.geometry.checks import check_choice
from graphcolumns.random.streams import generator

Pattern = Literal["grating", "bar"]
Opposite = Literal["random", "blank"]


class TuningDisplays(NamedTuple):
    """Displays for tuning curves with and without a cue.

    Attributes:
        images: Images ``[n, 1, size, size]`` float32 in [0, 1]; the background is 0.5 for gratings
            and 0 for bars.
        orientation: Orientation of the pattern, ``[n]`` float32 in [0, 180) degrees: 0 is
            horizontal, 90 vertical, counted anticlockwise.
        place: Place of the pattern, ``[n]`` int64: 0 left, 1 right.
        cue: Place that is cued, ``[n]`` int64, an instruction for a model: 0 left, 1 right.
        cued: Whether the pattern stands at the cued place, ``[n]`` bool.
    """

    images: Tensor
    orientation: Tensor
    place: Tensor
    cue: Tensor
    cued: Tensor


def gain_modulation(
    orientations: int = 12,
    repeats: int = 4,
    pattern: Pattern = "grating",
    opposite: Opposite = "random",
    contrast: float = 1.0,
    size: int = 32,
    seed: int = 0,
) -> TuningDisplays:
    r"""Every orientation at both places, each image with the cue on it and on the other place.

    Displays come in the order of repeats, orientations, places and cues, the last one fastest: two
    neighbours are one image with two cues. The tuning curve of a column is its mean response over
    repeats, and attention changes its gain if the curve under the cue is a multiple of the other.

    A grating at :math:`(x, y)` from the centre of its place, to the right and down, is

    .. math::
        \tfrac12 + \tfrac c2 \cos(2 \pi (x \sin\theta + y \cos\theta) / \lambda + \phi)
        \exp(-(x^2 + y^2) / 2 \sigma^2)

    with contrast :math:`c`, :math:`\lambda` = ``size`` / 6, :math:`\sigma` = ``size`` / 12 and a
    random phase :math:`\phi` per repeat. A bar is 0.06 ``size`` wide and 0.36 ``size`` long, of
    value :math:`c`. Places are ``size`` / 4 left and right of the centre of the image; what a
    grating adds beyond the middle is less than 1 % of the contrast, and a bar adds nothing.

    Args:
        orientations: Number of orientations, spread evenly over 180 degrees.
        repeats: Number of repeats, each with its own phase, and its own pattern at the other place.
        pattern: Kind of pattern.
        opposite: Pattern of random orientation at the other place, or nothing there.
        contrast: Contrast in (0, 1].
        size: Side of the image, in pixels, 16 or more.
        seed: Seed of phases and of orientations at the other place.

    Returns:
        ``n = repeats * orientations * 2 * 2`` displays.

    Raises:
        ValueError: A number out of range, or an unknown name.

    Source: McAdams & Maunsell, Effects of attention on orientation-tuning functions of single
    neurons in macaque cortical area V4, Journal of Neuroscience 1999.
    """
    _check(orientations, repeats, pattern, opposite, contrast, size)
    draw = generator(seed, "gain modulation")
    sizes = (repeats, orientations, 2, 2)
    repeat, step, place, cue = (axis.flatten() for axis in _axes(sizes))
    angle = step * (180 / orientations)
    phase = (torch.rand(repeats, 2, generator=draw) * 2 * pi)[repeat]
    # One other orientation per image: the same under both cues.
    aside = torch.randint(0, orientations, sizes[:3], generator=draw)[repeat, step, place]
    one = _pattern(angle, phase[:, 0], place, pattern, size)
    if opposite == "random":
        turned = aside * (180 / orientations)
        one = one + _pattern(turned, phase[:, 1], 1 - place, pattern, size)
    background = 0.5 if pattern == "grating" else 0.0
    images = (background + contrast * one).clamp(0, 1)[:, None]
    return TuningDisplays(images, angle.float(), place, cue, place == cue)


def _axes(sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return torch.meshgrid(*map(torch.arange, sizes), indexing="ij")


def _pattern(angle: Tensor, phase: Tensor, place: Tensor, pattern: str, size: int) -> Tensor:
    """One pattern per image, as a difference from the background, ``[n, size, size]``."""
    middle = torch.arange(size) + 0.5
    y = (middle - size / 2)[None, :, None]
    x = (middle - (0.25 + 0.5 * place[:, None]) * size)[:, None, :]
    turn = (angle * pi / 180)[:, None, None]
    # Along and across the stripes; rows count downwards.
    along = x * turn.cos() - y * turn.sin()
    across = x * turn.sin() + y * turn.cos()
    if pattern == "bar":
        # Edges are one pixel wide, so that a bar is as bright at every orientation.
        sides = (0.03 * size + 0.5 - across.abs()).clamp(0, 1)
        return sides * (0.18 * size + 0.5 - along.abs()).clamp(0, 1)
    window = torch.exp(-(x**2 + y**2) / (2 * (size / 12) ** 2))
    return 0.5 * torch.cos(across * (2 * pi * 6 / size) + phase[:, None, None]) * window


def _check(
    orientations: int, repeats: int, pattern: str, opposite: str, contrast: float, size: int
) -> None:
    check_choice("pattern", pattern, get_args(Pattern))
    check_choice("opposite", opposite, get_args(Opposite))
    if min(orientations, repeats) < 1 or size < 16 or not 0 < contrast <= 1:
        raise ValueError(
            "orientations and repeats must be at least 1, size at least 16, contrast in (0, 1]. "
            f"Got {orientations}, {repeats}, {size} and {contrast}."
        )
