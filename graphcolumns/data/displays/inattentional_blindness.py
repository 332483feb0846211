"""Inattentional blindness: a task, and an object that nothing prepares for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.data.displays.figures import FIGURES, draw_figures
from graphcolumns.random.streams import generator

# Lengths of the arms of the cross and distance of its centre from that of the image, as shares of
# the side of the image.
LONG, SHORT, AWAY = 0.40, 0.28, 0.22


class UnexpectedDisplays(NamedTuple):
    """Displays in pairs, with and without an object that the task does not need.

    Attributes:
        images: Images with the object, ``[n, 1, size, size]`` float32 in [0, 1].
        without: The same images without it.
        longer: Longer line of the cross, the answer to the task, ``[n]`` int64: 0 horizontal,
            1 vertical.
        quadrant: Quadrant of the cross, ``[n]`` int64: 0 upper left, 1 upper right, 2 lower left,
            3 lower right.
        object_quadrant: Quadrant of the object, another one, ``[n]`` int64.
        figure: Figure that the object is, ``[n]`` int64 into ``FIGURES``.
    """

    images: Tensor
    without: Tensor
    longer: Tensor
    quadrant: Tensor
    object_quadrant: Tensor
    figure: Tensor


def inattentional_blindness(
    count: int,
    size: int = 32,
    brightness: float = 0.8,
    contrast: float = 0.8,
    radius: float = 0.08,
    seed: int = 0,
) -> UnexpectedDisplays:
    """A cross of two lines in one quadrant, and a figure in another one that was not announced.

    The task: which line of the cross is longer? A model is trained on ``without`` (with another
    seed) and shown ``images``: is its answer the same, and does its state still say that there is
    an object, which one, and where? Longer lines are 0.40, shorter ones 0.28 of the side of the
    image, one pixel in 16 wide; their centre is 0.22 of the side from the centre of the image, up
    or down and left or right, and so is that of the object.

    Args:
        count: Number of pairs; answers are balanced up to one.
        size: Side of the image, in pixels, 16 or more.
        brightness: Value of the cross in (0, 1]; the background is 0.
        contrast: Value of the object in (0, 1].
        radius: Radius of the object as a share of ``size``, at most 0.15.
        seed: Seed of answers, quadrants and figures.

    Raises:
        ValueError: A number out of range.

    Source: Mack & Rock, Inattentional Blindness, MIT Press 1998.
    """
    _check(count, size, brightness, contrast, radius)
    draw = generator(seed, "inattentional blindness")
    longer = torch.randperm(count, generator=draw) % 2
    quadrant = torch.randint(0, 4, (count,), generator=draw)
    other = (quadrant + torch.randint(1, 4, (count,), generator=draw)) % 4
    figure = torch.randint(0, len(FIGURES), (count,), generator=draw)
    without = _crosses(longer, _centres(quadrant, size), size) * brightness
    reach = torch.full((count,), radius * size)
    objects = draw_figures(figure, _centres(other, size), reach, size) * contrast
    images = torch.maximum(without, objects)
    return UnexpectedDisplays(images, without, longer, quadrant, other, figure)


def _centres(quadrant: Tensor, size: int) -> Tensor:
    """Rows and columns of the centres, ``[n, 2]`` in pixels."""
    sides = torch.stack([quadrant // 2, quadrant % 2], 1) * 2 - 1
    return size / 2 + sides * AWAY * size


def _crosses(longer: Tensor, centre: Tensor, size: int) -> Tensor:
    """Two lines each, in whole pixels."""
    middle = torch.arange(size) + 0.5
    away = (middle - centre[:, :, None]).abs()
    thick = max(1, size // 16) / 2
    half = torch.where(longer == 0, LONG, SHORT) * size / 2
    tall = torch.where(longer == 1, LONG, SHORT) * size / 2
    # The pixels next to the centre, so that a line is as thick wherever it stands.
    near = (middle - centre[:, :, None].round()).abs()
    across = (near[:, 0, :, None] <= thick) & (away[:, 1, None, :] <= half[:, None, None])
    down = (away[:, 0, :, None] <= tall[:, None, None]) & (near[:, 1, None, :] <= thick)
    return (across | down).float()[:, None]


def _check(count: int, size: int, brightness: float, contrast: float, radius: float) -> None:
    if count < 1 or size < 16:
        raise ValueError(f"count must be at least 1, size at least 16. Got {count} and {size}.")
    if not (0 < brightness <= 1 and 0 < contrast <= 1 and 0 < radius <= 0.15):
        raise ValueError(
            "brightness and contrast must be in (0, 1], radius in (0, 0.15]. Got "
            f"{brightness}, {contrast} and {radius}."
        )
