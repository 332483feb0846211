"""Perceptual load: a target among distractors, and a flanker that is to be ignored."""

from __future__ import annotations

from math import pi
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcolumns.data.displays.figures import FIGURES, draw_figures
from graphcolumns.geometry.checks import check_choice
from graphcolumns.random.streams import generator

Flanker = Literal["none", "same", "other", "neutral"]
PLACES = 6
TARGETS = (FIGURES.index("square"), FIGURES.index("triangle"))
NEUTRAL = FIGURES.index("disc")
DISTRACTOR = FIGURES.index("cross")


class LoadDisplays(NamedTuple):
    """Displays with a target on a ring.

    Attributes:
        images: Images ``[n, 1, size, size]`` float32 in [0, 1].
        target: Which of the two targets is there, ``[n]`` int64: 0 square, 1 triangle.
        place: Place of the target on the ring, ``[n]`` int64 in [0, 6): 0 at the top, then
            clockwise.
        figures: Figure at every place of the ring, ``[n, 6]`` int64 into ``FIGURES``, -1 for none.
        flanker: Figure in the margin, ``[n]`` int64 into ``FIGURES``, -1 for none.
    """

    images: Tensor
    target: Tensor
    place: Tensor
    figures: Tensor
    flanker: Tensor


def perceptual_load(
    count: int,
    distractors: int,
    flanker: Flanker = "none",
    size: int = 32,
    brightness: float = 0.8,
    seed: int = 0,
) -> LoadDisplays:
    """A square or a triangle on a ring of six places, among ``distractors`` crosses.

    Load is the number of distractors, 0 (low) to 5 (high). The flanker stands in the left or right
    margin, is as large as the target, and says nothing about it: it is ``"same"``, the ``"other"``
    target, or a ``"neutral"`` disc. What load does to its interference is the measure of what is
    processed beside the target. For one seed, targets, their places and the side of the flanker are
    the same under every load and with every flanker, and a higher load adds distractors to those of
    a lower one: displays can be compared one by one.

    At ``size`` 32 the ring has a radius of 7.7 pixels around the centre, figures have radius 2.6
    (see ``draw_figures``), and flankers stand 3.8 pixels from the edge of the image, 6.7 from the
    next places of the ring; everything grows with ``size``.

    Args:
        count: Number of displays; targets are balanced up to one.
        distractors: Number of distractors, 0 to 5.
        flanker: Figure in the margin.
        size: Side of the image, in pixels, 16 or more.
        brightness: Value of the figures in (0, 1]; the background is 0.
        seed: Seed of targets, places and sides.

    Raises:
        ValueError: A number out of range, or an unknown flanker.

    Source: Lavie, Perceptual load as a necessary condition for selective attention, Journal of
    Experimental Psychology: Human Perception and Performance 1995.
    """
    _check(count, distractors, flanker, size, brightness)
    draw = generator(seed, "perceptual load")
    target = torch.randperm(count, generator=draw) % 2
    # The first of six places in a random order is that of the target, the next ones those of
    # distractors.
    order = torch.rand(count, PLACES, generator=draw).argsort(1)
    right = torch.rand(count, generator=draw) < 0.5
    shown = torch.tensor(TARGETS)
    figures = torch.full((count, PLACES), -1)
    figures.scatter_(1, order[:, 1 : 1 + distractors], DISTRACTOR)
    figures.scatter_(1, order[:, :1], shown[target][:, None])
    aside = {"none": torch.full_like(target, -1), "neutral": torch.full_like(target, NEUTRAL)}
    aside |= {"same": shown[target], "other": shown[1 - target]}
    columns = torch.cat([figures, aside[flanker][:, None]], 1)
    images = _drawn(columns, right, size) * brightness
    return LoadDisplays(images, target, order[:, 0], figures, aside[flanker])


def _drawn(figures: Tensor, right: Tensor, size: int) -> Tensor:
    """The figures of the ring, and the flanker behind them, as coverage."""
    angle = torch.arange(PLACES) * (2 * pi / PLACES)
    ring = size / 2 + 0.24 * size * torch.stack([-angle.cos(), angle.sin()], 1)
    margin = torch.where(right, 0.88 * size, 0.12 * size)
    middle = torch.full_like(margin, size / 2)
    images = torch.zeros(len(figures), 1, size, size)
    for place in range(PLACES + 1):
        centre = ring[place].expand(len(figures), 2) if place < PLACES else None
        centre = torch.stack([middle, margin], 1) if centre is None else centre
        there = figures[:, place] >= 0
        radius = torch.full((int(there.sum()),), 0.08 * size)
        images[there] += draw_figures(figures[there, place], centre[there], radius, size)
    return images.clamp(max=1)


def _check(count: int, distractors: int, flanker: str, size: int, brightness: float) -> None:
    check_choice("flanker", flanker, get_args(Flanker))
    if count < 1 or not 0 <= distractors < PLACES:
        raise ValueError(
            f"count must be at least 1 and distractors 0 to {PLACES - 1}, the places beside the "
            f"target. Got {count} and {distractors}."
        )
    if size < 16 or not 0 < brightness <= 1:
        raise ValueError(
            f"size must be at least 16 and brightness in (0, 1]. Got {size} and {brightness}."
        )
