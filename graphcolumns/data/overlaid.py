"""Two images on one canvas, and which two."""

from __future__ import annotations

import torch
from torch import Tensor


def overlaid(left: Tensor, right: Tensor, offset: tuple[int, int]) -> Tensor:
    """Two images on one canvas; where they overlap, the brighter pixel is seen.

    Args:
        left: Images whose first pixel is the first one of the canvas, ``[n, Y, X]``.
        right: Images ``[n, Y, X]`` that are moved by ``offset``.
        offset: Rows and columns by which the right image is moved, in pixels, 0 or more.

    Returns:
        ``[n, Y + offset[0], X + offset[1]]``.
    """
    down, across = offset
    rows, columns = left.shape[1:]
    canvas = left.new_zeros(len(left), rows + down, columns + across)
    canvas[:, :rows, :columns] = left
    corner = canvas[:, down:, across:]
    torch.maximum(corner, right, out=corner)
    return canvas


def class_pairs(count: int, classes: int, distinct: bool, generator: torch.Generator) -> Tensor:
    """Ordered pairs of classes, ``[count, 2]`` int64: all equally frequent up to one.

    Args:
        count: Number of pairs.
        classes: Number of classes.
        distinct: Whether the two classes of a pair differ.
        generator: Source of the random order.
    """
    pairs = torch.cartesian_prod(torch.arange(classes), torch.arange(classes))
    if distinct:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    # Which pairs are there once more than others is random, too.
    pairs = pairs[torch.randperm(len(pairs), generator=generator)]
    return pairs[torch.randperm(count, generator=generator) % len(pairs)]


def random_members(classes: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """A random sample of each of these classes.

    Args:
        classes: Classes, ``[...]`` int64, each of which has a sample.
        labels: Class of every sample, ``[n]`` int64.
        generator: Source of the draw.

    Returns:
        Positions in ``labels``, in the shape of ``classes``.
    """
    order = labels.argsort(stable=True)
    sizes = labels.bincount()
    first = sizes.cumsum(0) - sizes
    share = torch.rand(classes.shape, generator=generator, dtype=torch.float64)
    return order[first[classes] + (share * sizes[classes]).long()]
