"""Multi-MNIST and Multi-Fashion, from the IDX files of MNIST or Fashion-MNIST on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from graphcolumns.data.dataset import HALVES, Batch, Dataset, HeldOut
from graphcolumns.data.digit_pairs import DIGITS, PARTS, DigitTasks, pair_instructions
from graphcolumns.data.mnist import mnist
from graphcolumns.data.overlaid import overlaid
from graphcolumns.data.questions import Encoding, PerImage, Questions
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import first_tensor
from graphcolumns.nn.checks import check_counts
from graphcolumns.random.streams import generator

SIDE, CANVAS, OFFSET = 28, 36, 6
# Of all training pixels of MNIST; used for Fashion-MNIST, too.
MEAN, DEVIATION = 0.1307, 0.3081
# The last sixth of the training images: 10,000 of 60,000.
VALIDATION = 6


def multi_mnist(
    path: str | os.PathLike[str],
    tasks: DigitTasks = "left_right",
    instructions: Sequence[str] | None = None,
    encoding: Encoding = "ids",
    training: PerImage = "one",
    held_out: HeldOut = "test",
    normalised: bool = True,
    train_count: int | None = None,
    test_count: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Two images of MNIST or Fashion-MNIST on one canvas, and an instruction: which one is meant?

    The left image stands at row 0 and column 0 of a canvas of 36 x 36 pixels, the right one at row
    6 and column 6. Where they overlap, the brighter pixel is seen. The canvas is reduced to 28 x 28
    pixels by taking the nearest ones (of pixel centres, as Pillow does). Pixels are in [0, 1],
    minus 0.1307 and over 0.3081.

    The first 50,000 training images are the left ones of the training half, the last 10,000 those
    of a validation half, and the 10,000 test images those of the test half. The right one is drawn
    at random from the same part, so no image is in two halves. In the original it was drawn anew by
    every user; here it depends on ``seed`` alone.

    Args:
        path: Folder with the four IDX files, see ``mnist``. Nothing is downloaded.
        tasks: ``"left_right"``, or ``"left_of_right_of"``: which digit is left of 3? The two
            classes then differ. Classes have the names of digits in either data set.
        instructions: Names of the instructions to keep, see ``two_digits``.
        encoding: ``"ids"``, ``"one_hot"`` or ``"none"``, see ``two_digits``.
        training: ``"one"`` random instruction per training image, or ``"every"``. Held-out images
            always come with every instruction.
        held_out: ``"test"``, or ``"validation"``.
        normalised: Whether the mean is subtracted and the standard deviation divided by.
        train_count: Number of training images, the first ones (default: all).
        test_count: Number of held-out images, the first ones (default: all).
        seed: Seed of the right images and of the instructions.

    Returns:
        Inputs ``{"image": [n, 1, 28, 28], "instruction": ...}``, or images alone; targets ``[n]``,
        ten classes.

    Raises:
        FileNotFoundError: The folder or one of the files is missing.
        ValueError: A file is not what ``mnist`` requires, images are not 28 x 28 pixels of ten
            classes, or an unknown name.

    Source: Sener & Koltun, Multi-task learning as multi-objective optimization, NeurIPS 2018,
    https://arxiv.org/abs/1810.04650; Abel & Ullman, Biologically-motivated learning model for
    instructed visual processing, 2023, https://arxiv.org/abs/2306.02415.
    """
    check_choice("tasks", tasks, get_args(DigitTasks))
    check_choice("training", training, get_args(PerImage))
    check_choice("held_out", held_out, get_args(HeldOut))
    for name, count in (("train_count", train_count), ("test_count", test_count)):
        if count is not None:
            check_counts(**{name: count})
    questions = Questions(PARTS[tasks], instructions, encoding)
    halves: list[Batch] = []
    for half, source, count, every in zip(
        HALVES,
        _sources(path, held_out),
        (train_count, test_count),
        (training == "every", True),
        strict=True,
    ):
        draw, order = generator(seed, f"{half} images"), generator(seed, f"{half} instructions")
        right = _right(source.labels, tasks == "left_of_right_of", draw)[:count]
        pairs = torch.stack([source.labels[:count], source.labels[right]], 1)
        images = _reduced(overlaid(source.images[:count], source.images[right], (OFFSET, OFFSET)))
        if normalised:
            images = (images - MEAN) / DEVIATION
        ids = pair_instructions(tasks, pairs)
        halves.append(questions.samples(images[:, None], ids, pairs, every, order))
    task = questions.task
    return Dataset(*halves[0], *halves[1], len(DIGITS), task, held_out, classes=DIGITS)


class _Part(NamedTuple):
    """Images ``[n, 28, 28]`` and their classes ``[n]``."""

    images: Tensor
    labels: Tensor


def _sources(path: str | os.PathLike[str], held_out: str) -> tuple[_Part, _Part]:
    data = mnist(path)
    if data.image_size != (SIDE, SIDE) or data.num_classes != len(DIGITS):
        rows, columns = data.image_size
        raise ValueError(
            f"images in {path} must be {SIDE} x {SIDE} pixels of {len(DIGITS)} classes. "
            f"Got {rows} x {columns} of {data.num_classes}; give the folder of MNIST or "
            "Fashion-MNIST."
        )
    train = _Part(first_tensor(data.train_inputs)[:, 0], data.train_targets)
    kept = len(train.labels) - len(train.labels) // VALIDATION
    held = _Part(train.images[kept:], train.labels[kept:])
    if held_out == "test":
        held = _Part(first_tensor(data.test_inputs)[:, 0], data.test_targets)
    return _Part(train.images[:kept], train.labels[:kept]), held


def _right(labels: Tensor, distinct: bool, draw: torch.Generator) -> Tensor:
    """A random image beside each one, ``[n]``; of another class, if they are to be distinct."""
    order = labels.argsort(stable=True)
    sizes = labels.bincount() if distinct else torch.zeros(len(DIGITS), dtype=torch.int64)
    before = (sizes.cumsum(0) - sizes)[labels]
    own = sizes[labels]
    # A place in the order without the class of the left image, which is then jumped over.
    share = torch.rand(len(labels), generator=draw, dtype=torch.float64)
    place = (share * (len(labels) - own)).long()
    return order[torch.where(place >= before, place + own, place)]


def _reduced(canvas: Tensor) -> Tensor:
    """The nearest pixels of 34 x 34, filled up to 36 x 36: ``[n, 28, 28]``."""
    nearest = ((torch.arange(SIDE) + 0.5) * CANVAS / SIDE).long()
    filled = canvas.new_zeros(len(canvas), CANVAS, CANVAS)
    rows, columns = canvas.shape[1:]
    filled[:, :rows, :columns] = canvas
    return filled[:, nearest][:, :, nearest]
