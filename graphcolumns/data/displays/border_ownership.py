"""Border ownership: one edge, which belongs to a figure on the one or on the other side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.random.streams import generator


class BorderDisplays(NamedTuple):
    """Displays with an edge through the centre of the image.

    Attributes:
        images: Images ``[n, 1, size, size]`` float32 in [0, 1].
        side: Side on which the figure is, ``[n]`` int64: 0 left or above, 1 right or below.
        light: Lighter side of the edge, ``[n]`` int64: 0 left or above, 1 right or below.
        direction: Direction of the edge, ``[n]`` int64: 0 vertical, 1 horizontal.
        first: First row and first column of the area where images that differ only in ``side`` are
            the same, ``[n, 2]`` int64.
        last: Row and column behind that area, ``[n, 2]`` int64.
    """

    images: Tensor
    side: Tensor
    light: Tensor
    direction: Tensor
    first: Tensor
    last: Tensor


def border_ownership(
    repeats: int = 1,
    size: int = 32,
    figure: int = 12,
    low: float = 0.25,
    high: float = 0.75,
    vary: bool = False,
    seed: int = 0,
) -> BorderDisplays:
    """A square on the one or on the other side of an edge, with the same contrast at the edge.

    One edge of the square passes through the centre of the image. A light square on the left of a
    dark ground, and a dark square on the right on a light ground, look the same at this edge: in an
    area of two squares side by side, ``figure`` x 2 ``figure`` pixels around the centre of the
    image. Whatever tells them apart is outside of it. Displays come in the order of repeats,
    directions, lighter sides and sides of the figure, the last one fastest: neighbours are the two
    images that are compared.

    The index of border ownership of a column is the difference of its responses to the two sides,
    over their sum, with both lighter sides taken together, so that a preference for contrast
    cancels.

    Args:
        repeats: Number of repeats of the eight displays.
        size: Side of the image, in pixels, an even number.
        figure: Side of the square, in pixels, an even number, less than half of ``size``.
        low: Value of the darker one of figure and ground.
        high: Value of the lighter one, above ``low``.
        vary: Whether repeats differ: the square is moved along the edge, by up to a quarter of its
            side, and contrast is drawn between a half and all of ``high - low``.
        seed: Seed of what varies.

    Returns:
        ``n = repeats * 8`` displays.

    Raises:
        ValueError: A number out of range.

    Source: Zhou, Friedman & von der Heydt, Coding of border ownership in monkey visual cortex,
    Journal of Neuroscience 2000.
    """
    _check(repeats, size, figure, low, high)
    draw = generator(seed, "border ownership")
    far = figure // 4
    shift = torch.randint(-far, far + 1, (repeats,), generator=draw) * vary
    weak = torch.rand(repeats, generator=draw) * 0.5 * vary * (high - low) / 2
    axes = torch.meshgrid(*map(torch.arange, (repeats, 2, 2, 2)), indexing="ij")
    repeat, direction, light, side = (axis.flatten() for axis in axes)
    inside = _squares(side, shift[repeat], size, figure)
    lighter = torch.where((side == light)[:, None, None], inside, ~inside)
    dark, bright = (low + weak)[repeat, None, None], (high - weak)[repeat, None, None]
    images = torch.where(lighter, bright, dark)
    flat = (direction == 1)[:, None, None]
    images = torch.where(flat, images.transpose(1, 2), images)
    first = torch.stack([(size - figure) // 2 + shift[repeat], _full(repeat, size // 2 - figure)])
    last = torch.stack([first[0] + figure, _full(repeat, size // 2 + figure)])
    first, last = (torch.where(direction == 1, x.flip(0), x).T for x in (first, last))
    return BorderDisplays(images[:, None], side, light, direction, first, last)


def _full(like: Tensor, value: int) -> Tensor:
    return torch.full_like(like, value)


def _squares(side: Tensor, shift: Tensor, size: int, figure: int) -> Tensor:
    """Where the square is, on the left or on the right of the edge: ``[n, size, size]`` bool."""
    place = torch.arange(size)
    row = place - (size - figure) // 2 - shift[:, None]
    column = place - size // 2 + figure * (1 - side)[:, None]
    rows, columns = ((x >= 0) & (x < figure) for x in (row, column))
    return rows[:, :, None] & columns[:, None, :]


def _check(repeats: int, size: int, figure: int, low: float, high: float) -> None:
    if repeats < 1 or size % 2 or figure % 2 or not 2 <= figure < size / 2:
        raise ValueError(
            "repeats must be at least 1, size and figure even numbers, and figure from 2 to less "
            f"than half of size. Got {repeats}, {size} and {figure}."
        )
    if not 0 <= low < high <= 1:
        raise ValueError(f"need 0 <= low < high <= 1. Got {low} and {high}.")
