"""Handwritten digits of 8 x 8 pixels, shipped with scikit-learn."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from graphcolumns.data.dataset import Dataset

TRAIN_SAMPLES = 898  # of 1797: the first half, as in scikit-learn's own example


def digits(
    split: Literal["halves", "random"] = "halves",
    permuted: bool = False,
    seed: int = 0,
    train_size: int | None = None,
    scale: Literal["unit", "standard"] = "unit",
    margin: int = 0,
    permuted_labels: bool = False,
) -> Dataset:
    """The 1797 digits of scikit-learn in ten classes: 898 to train on, 899 to test.

    Args:
        split: ``"halves"``: the first 898 train, the last 899 test. The writers of the second half
            are other people, which makes it harder. ``"random"``: stratified, drawn from ``seed``.
        permuted: Move the pixels by one fixed random permutation, drawn from ``seed``, so that
            neighbours in the image say nothing about neighbours in the digit.
        seed: Seed of the random split, the permutation and the training subset.
        train_size: Keep only that many training samples, stratified by class (default: all).
        scale: ``"unit"``: pixels in [0, 1], background 0. ``"standard"``: that, minus the mean and
            over the standard deviation of all training pixels.
        margin: Number of empty pixels on every side, so that a shift by as many cuts nothing off.
        permuted_labels: Whether training labels are exchanged at random, drawn from ``seed``: the
            control that nothing can be learned from but by heart. Labels to test on stay.

    Returns:
        Inputs ``[n, 1, Y, X]`` with sides of ``8 + 2 margin`` pixels.

    Raises:
        ValueError: An unknown ``split`` or ``scale``, a ``train_size`` out of range, or a margin
            below 0.

    Source: Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI (1998).
    """
    _check(split, scale, train_size, margin)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    if permuted:
        images = images[:, np.random.default_rng(seed).permutation(64)]
    order = np.arange(len(images))
    train, test = order[:TRAIN_SAMPLES], order[TRAIN_SAMPLES:]
    if split == "random":
        train, test = train_test_split(
            order, train_size=TRAIN_SAMPLES, stratify=labels, random_state=seed
        )
    if train_size not in (None, TRAIN_SAMPLES):
        train, _ = train_test_split(
            train, train_size=train_size, stratify=labels[train], random_state=seed
        )
    images = np.pad(images.reshape(-1, 8, 8), ((0, 0), (margin, margin), (margin, margin)))
    if scale == "standard":
        images = (images - images[train].mean()) / images[train].std()
    if permuted_labels:
        labels[train] = np.random.default_rng(seed).permutation(labels[train])
    inputs = torch.from_numpy(images)[:, None]
    targets = torch.from_numpy(labels.astype(np.int64))
    return Dataset(inputs[train], targets[train], inputs[test], targets[test], num_classes=10)


def _check(split: str, scale: str, train_size: int | None, margin: int) -> None:
    if split not in ("halves", "random"):
        raise ValueError(f"split must be 'halves' or 'random'. Got {split!r}.")
    if scale not in ("unit", "standard"):
        raise ValueError(f"scale must be 'unit' or 'standard'. Got {scale!r}.")
    if margin < 0:
        raise ValueError(f"margin must be 0 pixels or more. Got {margin}.")
    # The part left out of a stratified subset must hold every class too: scikit-learn's rule.
    largest = TRAIN_SAMPLES - 10
    if train_size not in (None, TRAIN_SAMPLES) and not 10 <= (train_size or 0) <= largest:
        raise ValueError(
            f"train_size must be between 10 (one per class) and {largest}, or {TRAIN_SAMPLES} for "
            f"all. Got {train_size}."
        )
