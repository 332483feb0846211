"""Two overlapping digits, and an instruction that says which of them is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from sklearn.model_selection import train_test_split
from torch import Tensor

from graphcolumns.data.dataset import HALVES, Batch, Dataset, HeldOut
from graphcolumns.data.digit_pairs import DIGITS, PARTS, DigitTasks, pair_instructions
from graphcolumns.data.digits import digits
from graphcolumns.data.overlaid import class_pairs, overlaid, random_members
from graphcolumns.data.questions import Encoding, PerImage, Questions
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import first_tensor
from graphcolumns.random.streams import generator

# Of the images of the training digits that a validation half is made of.
VALIDATION = 0.25


def two_digits(
    tasks: DigitTasks = "left_right",
    instructions: Sequence[str] | None = None,
    encoding: Encoding = "ids",
    training: PerImage = "one",
    offset: Sequence[int] = (2, 4),
    train_count: int = 5000,
    test_count: int = 1000,
    held_out: HeldOut = "test",
    split: Literal["halves", "random"] = "halves",
    seed: int = 0,
) -> Dataset:
    """Two of the digits of scikit-learn on one canvas, and an instruction: which one is meant?

    The small analogue of Multi-MNIST. The left digit stands at row 0 and column 0 of the canvas,
    the right one at ``offset``; where they overlap, the brighter pixel is seen.

    - ``tasks="left_right"``: instructions ``left`` and ``right``, the answer is that digit.
    - ``tasks="left_of_right_of"``: instructions ``left_of_D`` and ``right_of_D`` for the ten
      digits ``D``: which digit is to the left (right) of ``D``? The two digits differ, and only
      the two questions that an image has an answer to are put: about 3 on the left and 8 on the
      right, ``left_of_8`` (3) and ``right_of_3`` (8).

    **Offset.** In Multi-MNIST the ink of a digit fills 20 x 20 pixels and the right digit is moved
    by 6 of them, 30 % of the ink, along both axes. The ink of these digits fills all 8 rows and the
    6 columns in the middle, and 30 % of it is 2 pixels: ``(2, 2)`` on 10 x 10 pixels is the same
    construction, but at this resolution people cannot tell the digits apart any more. The default
    moves by 2 rows and 4 columns. How much of the ink of the left digit is under ink of the right
    one (training half, above a quarter of white), and how often a support vector machine without an
    instruction names the left digit of the test half (96 % for a digit alone):

    ========== ======= ======= ========
    offset     canvas  covered accuracy
    ========== ======= ======= ========
    ``(2, 2)`` 10 x 10 30 %    92 %
    ``(2, 3)`` 10 x 11 17 %    94 %
    ``(2, 4)`` 10 x 12 7 %     95 %
    ``(0, 5)`` 8 x 13  1 %     97 %
    ========== ======= ======= ========

    The canvas is not resized: it has no pixels to spare.

    **No leakage.** The digits are split into halves first, and both digits of an image are drawn
    from the same half. Folds of the training half share digits, if not images: to choose between
    models, take ``held_out="validation"``, which makes both halves from the training digits, 3 in 4
    of them to train on, and leaves the test digits alone.

    **Balance.** All ordered pairs of classes are equally frequent up to one; so are ``left`` and
    ``right``. Images depend on ``seed``, not on instructions: networks of one instruction each and
    one network of all of them see the same images.

    Args:
        tasks: Kind of instructions.
        instructions: Names of the instructions to keep, whose ids are then their places in this
            list (default: all). Images that have none of them are left out.
        encoding: ``"ids"``: the input ``"instruction"`` holds ids ``[n]`` int64. ``"one_hot"``: one
            value per instruction ``[n, I]`` float32; for ``"left_of_right_of"`` 2 + 10 values,
            direction and given digit, and the accuracy is given per direction. ``"none"``: the
            inputs are the images alone, for one network per instruction; needs one instruction.
        training: ``"one"`` random instruction per training image, or ``"every"``. Held-out images
            always come with every instruction.
        offset: Rows and columns by which the right digit is moved, in pixels, 0 or more.
        train_count: Number of training images.
        test_count: Number of held-out images.
        held_out: ``"test"``, or ``"validation"``: both halves from the training digits.
        split: Split of the digits, as of ``digits``.
        seed: Seed of the images, the instructions and a random split.

    Returns:
        Inputs ``{"image": [n, 1, Y, X] in [0, 1], "instruction": ...}``, or images alone; targets
        ``[n]``, ten classes.

    Raises:
        ValueError: An unknown name, or a number out of range.

    Source: Sener & Koltun, Multi-task learning as multi-objective optimization, NeurIPS 2018,
    https://arxiv.org/abs/1810.04650 (the canvas); Abel & Ullman, Biologically-motivated learning
    model for instructed visual processing, 2023, https://arxiv.org/abs/2306.02415 (the
    instructions).
    """
    _check(tasks, training, held_out, offset, (train_count, test_count))
    questions = Questions(PARTS[tasks], instructions, encoding)
    down, across = offset
    halves: list[Batch] = []
    for half, source, count, every in zip(
        HALVES,
        _sources(split, seed, held_out),
        (train_count, test_count),
        (training == "every", True),
        strict=True,
    ):
        # Streams of their own: the images are the same whatever questions are put about them.
        draw, order = generator(seed, f"{half} images"), generator(seed, f"{half} instructions")
        pairs = class_pairs(count, len(DIGITS), tasks == "left_of_right_of", draw)
        chosen = random_members(pairs, source.labels, draw)
        left, right = (source.images[chosen[:, side]] for side in (0, 1))
        images = overlaid(left, right, (down, across))[:, None]
        ids = pair_instructions(tasks, pairs)
        halves.append(questions.samples(images, ids, pairs, every, order))
    task = questions.task
    return Dataset(*halves[0], *halves[1], len(DIGITS), task, held_out, classes=DIGITS)


class _Digits(NamedTuple):
    """Digits ``[n, 8, 8]`` and their classes ``[n]``."""

    images: Tensor
    labels: Tensor


def _sources(split: Literal["halves", "random"], seed: int, held_out: str) -> list[_Digits]:
    """The digits that images of either half are made of."""
    data = digits(split, seed=seed)
    train = _Digits(first_tensor(data.train_inputs)[:, 0], data.train_targets)
    if held_out == "test":
        return [train, _Digits(first_tensor(data.test_inputs)[:, 0], data.test_targets)]
    kept = train_test_split(
        np.arange(len(train.labels)), test_size=VALIDATION, stratify=train.labels, random_state=seed
    )
    return [_Digits(train.images[part], train.labels[part]) for part in kept]


def _check(
    tasks: str,
    training: str,
    held_out: str,
    offset: Sequence[int],
    counts: tuple[int, int],
) -> None:
    check_choice("tasks", tasks, get_args(DigitTasks))
    check_choice("training", training, get_args(PerImage))
    check_choice("held_out", held_out, get_args(HeldOut))
    if len(offset) != 2 or min(offset) < 0:
        raise ValueError(
            f"offset must be rows and columns, two whole numbers of 0 or more. Got {offset!r}."
        )
    if min(counts) < 1:
        raise ValueError(
            f"train_count and test_count must be at least 1. Got {counts[0]} and {counts[1]}."
        )
