"""Figures with attributes, and an instruction: which attribute is meant?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from graphcolumns.data.dataset import HALVES, Batch, Dataset
from graphcolumns.data.displays.figures import FIGURES, draw_figures
from graphcolumns.data.questions import Encoding, PerImage, Questions
from graphcolumns.geometry.checks import check_choice
from graphcolumns.random.streams import generator

QUADRANTS = ("upper_left", "upper_right", "lower_left", "lower_right")
GREY: Mapping[str, tuple[str, ...]] = {
    "shape": FIGURES,
    "shade": ("dark", "medium", "bright"),
    "size": ("small", "large"),
    "quadrant": QUADRANTS,
}
COLOURED = {"colour" if k == "shade" else k: v for k, v in GREY.items()} | {
    "colour": ("red", "green", "blue")
}
SHADES = (0.4, 0.65, 0.9)
# Radii and largest shift along each axis, as shares of the side of the image: the corner of a large
# triangle stays in its quadrant.
RADII, SHIFT = (0.09, 0.14), 0.03
SIDES = ("left", "right")


def shapes(
    objects: Literal[1, 2] = 1,
    instructions: Sequence[str] | None = None,
    encoding: Encoding = "ids",
    training: PerImage = "one",
    size: int = 24,
    colour: bool = False,
    noise: float = 0.05,
    train_count: int = 4000,
    test_count: int = 1000,
    seed: int = 0,
) -> Dataset:
    """One or two figures with four attributes; an instruction says which attribute to name.

    ============ ==================================================== ======
    attribute    values                                               chance
    ============ ==================================================== ======
    ``shape``    disc, square, triangle, cross                        1/4
    ``shade``    dark, medium, bright (0.4, 0.65, 0.9 of white)       1/3
    ``size``     small, large (radius 0.09 and 0.14 of the image)     1/2
    ``quadrant`` upper_left, upper_right, lower_left, lower_right     1/4
    ============ ==================================================== ======

    ``colour=True`` has red, green and blue at 0.9 in place of shades, and three channels. Figures
    of one size have the same area whatever their shape, see ``displays.draw_figures``; the centre
    is moved by up to 0.03 of the image along each axis, so that no pixel gives an attribute away.

    With two objects one is on the left and one on the right, and instructions name the object and
    the attribute: ``left_shape``, ``right_size``, ... The quadrant is then upper or lower.

    **One head for unequal attributes.** The classes are the union of all values, 13 in all, so a
    class means one thing whatever the instruction, and an answer with a value of another attribute
    is visible as such. Chance within an attribute is that of the table. All combinations of values
    are equally frequent up to one in each half: no attribute says anything about another one. With
    one object and four instructions, a model that ignores the instruction is right in at most 1/4
    of the samples.

    Images depend on ``seed``, not on instructions. Halves are drawn apart and share combinations,
    not images. Folds of a training half with ``training="every"`` share images.

    Args:
        objects: Number of figures.
        instructions: Names of the instructions to keep, whose ids are then their places in this
            list (default: all).
        encoding: ``"ids"``: the input ``"instruction"`` holds ids ``[n]`` int64. ``"one_hot"``: one
            value per instruction ``[n, I]`` float32; with two objects 2 + 4 values, object and
            attribute, and the accuracy is given per object. ``"none"``: the inputs are the images
            alone; needs one instruction.
        training: ``"one"`` random instruction per training image, or ``"every"``. Test images
            always come with every instruction.
        size: Side of the image, in pixels, 12 or more.
        colour: Three channels and the attribute ``colour`` in place of ``shade``.
        noise: Standard deviation of the Gaussian pixel noise; values are not clipped.
        train_count: Number of training images.
        test_count: Number of test images.
        seed: Seed of images, noise and instructions.

    Returns:
        Inputs ``{"image": [n, 1 or 3, size, size], "instruction": ...}``, or images alone; targets
        ``[n]``, thirteen classes with their names.

    Raises:
        ValueError: An unknown name, or a number out of range.
    """
    _check(objects, training, size, noise, (train_count, test_count))
    attributes = COLOURED if colour else GREY
    parts = (tuple(attributes),) if objects == 1 else (SIDES, tuple(attributes))
    questions = Questions(parts, instructions, encoding)
    halves: list[Batch] = []
    for half, count, every in zip(
        HALVES, (train_count, test_count), (training == "every", True), strict=True
    ):
        draw, order = generator(seed, f"{half} images"), generator(seed, f"{half} instructions")
        values = torch.stack([_values(count, side, objects, draw) for side in range(objects)], 1)
        images = _images(values, size, colour, noise, draw)
        answers = (values + _first_class(attributes)).flatten(1)
        ids = torch.arange(answers.shape[1]).expand_as(answers)
        halves.append(questions.samples(images, ids, answers, every, order))
    classes = tuple(value for values in attributes.values() for value in values)
    return Dataset(*halves[0], *halves[1], len(classes), questions.task, classes=classes)


def _first_class(attributes: Mapping[str, tuple[str, ...]]) -> Tensor:
    sizes = torch.tensor([len(values) for values in attributes.values()])
    return sizes.cumsum(0) - sizes


def _values(count: int, side: int, objects: int, draw: torch.Generator) -> Tensor:
    """Values of the attributes, ``[count, 4]``: all combinations equally frequent up to one."""
    quadrants = torch.arange(4) if objects == 1 else torch.tensor([side, side + 2])
    combinations = torch.cartesian_prod(
        torch.arange(4), torch.arange(3), torch.arange(2), quadrants
    )
    combinations = combinations[torch.randperm(len(combinations), generator=draw)]
    return combinations[torch.randperm(count, generator=draw) % len(combinations)]


def _images(values: Tensor, size: int, colour: bool, noise: float, draw: torch.Generator) -> Tensor:
    """Images of figures with these values of attributes, ``[n, objects, 4]``."""
    channels = 3 if colour else 1
    images = torch.zeros(len(values), channels, size, size)
    for shape, shade, large, quadrant in (values[:, i].T for i in range(values.shape[1])):
        shift = (2 * torch.rand(len(values), 2, generator=draw) - 1) * SHIFT
        corner = torch.stack([quadrant // 2, quadrant % 2], 1)
        centre = (0.25 + 0.5 * corner + shift) * size
        figures = draw_figures(shape, centre, torch.tensor(RADII)[large] * size, size)
        paint = SHADES[-1] * torch.eye(3) if colour else torch.tensor(SHADES)[:, None]
        images += figures * paint[shade][:, :, None, None]
    return images + noise * torch.randn(images.shape, generator=draw)


def _check(objects: int, training: str, size: int, noise: float, counts: tuple[int, int]) -> None:
    check_choice("training", training, get_args(PerImage))
    if objects not in (1, 2):
        raise ValueError(f"objects must be 1 or 2. Got {objects}.")
    if size < 12 or not 0 <= noise < float("inf"):
        raise ValueError(f"need size >= 12 and noise >= 0. Got size={size}, noise={noise}.")
    if min(counts) < 1:
        raise ValueError(
            f"train_count and test_count must be at least 1. Got {counts[0]} and {counts[1]}."
        )
