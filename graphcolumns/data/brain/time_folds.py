"""Blocks of time, for series whose neighbouring times are alike."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.data.brain.splits import ThreeWay


def time_folds(num_times: int, folds: int = 5, gap: int = 0) -> list[ThreeWay]:
    """Contiguous blocks of time to test and to validate; the rest, less a gap, is to train on.

    Block ``f`` is the test part of fold ``f``, and block ``f + folds // 2``, counted round, its
    validation part. Neighbouring times of a series are alike: random rows would have almost the
    same times on both sides, and so would blocks without a gap, at their borders.

    Args:
        num_times: Number of times, ``T``.
        folds: Number of folds, at least 3.
        gap: Number of times left out on both sides of the two blocks.

    Returns:
        Times of every fold, int64, ascending.

    Raises:
        ValueError: A number out of range, or no time that is left to train on.

    Example:
        >>> first = time_folds(12, folds=4, gap=1)[0]
        >>> [part.tolist() for part in first]
        [[4, 10, 11], [6, 7, 8], [0, 1, 2]]
    """
    if folds < 3 or gap < 0 or num_times < folds:
        raise ValueError(
            "time_folds needs folds >= 3, gap >= 0 and a time per fold. Got "
            f"num_times={num_times}, folds={folds}, gap={gap}."
        )
    blocks = torch.arange(num_times).tensor_split(folds)
    pairs = [(block, blocks[(f + folds // 2) % folds]) for f, block in enumerate(blocks)]
    return [_fold(num_times, test, validation, gap) for test, validation in pairs]


def _fold(num_times: int, test: Tensor, validation: Tensor, gap: int) -> ThreeWay:
    train = torch.ones(num_times, dtype=torch.bool)
    for block in (test, validation):
        train[max(0, int(block[0]) - gap) : int(block[-1]) + 1 + gap] = False
    if not train.any():
        raise ValueError(
            f"a fold must have a time to train on. Got none: {num_times} times, of which gap={gap} "
            "are left out on both sides of two blocks; take a smaller gap or more folds."
        )
    return ThreeWay(train.nonzero()[:, 0], validation, test)
