"""Patches of natural images, shipped with scikit-learn, to be cleaned of noise."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.tasks import TASKS

WHITENING_FLOOR = 1e-3  # added to the variance of every direction, in units of the mean variance


def natural_patches(
    size: int = 8,
    count: int = 4000,
    seed: int = 0,
    noise: float = 0.5,
    whitened: bool = False,
    masked: float = 0.0,
) -> Dataset:
    """Random grey patches of two photographs (a temple, a flower), to be cleaned of noise and gaps.

    Half of the patches, for training, come from the left half of each photograph, the test patches
    from the right half: no pixel is in both. Patches are standardised with the mean and standard
    deviation of the training patches; then Gaussian noise is added to the inputs.

    Args:
        size: Side of a patch in pixels.
        count: Patches in all.
        seed: Seed of the places and the noise.
        noise: Standard deviation of the noise, in standard deviations of the clean pixels.
        whitened: Decorrelate the pixels (ZCA, fitted on the training patches):
            ``W = (S + e I)^(-1/2)`` with the pixel covariance ``S``.
        masked: Share of the pixels of the inputs, drawn at random, that are set to 0, the mean.

    Returns:
        Task ``"reconstruction"``: inputs ``[n, 1, size, size]``, targets the clean patches.

    Raises:
        ValueError: A patch larger than half a photograph, fewer than 2 patches, negative noise, or
            a masked share outside [0, 1).

    Source: Olshausen & Field, Nature 381 (1996) for sparse codes of such patches;
        Bell & Sejnowski, Vision Research 37 (1997) for ZCA.
    """
    photographs = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    largest = min(min(p.shape[0], p.shape[1] // 2) for p in photographs)
    if not 1 <= size <= largest:
        raise ValueError(f"size must be in [1, {largest}], within a photograph. Got {size}.")
    if count < 2 or not 0 <= noise < float("inf"):
        raise ValueError(f"need count >= 2 and noise >= 0. Got count={count}, noise={noise}.")
    if not 0 <= masked < 1:
        raise ValueError(f"masked must be a share in [0, 1). Got {masked}.")
    generator = np.random.default_rng(seed)
    left = [p[:, : p.shape[1] // 2] for p in photographs]
    right = [p[:, p.shape[1] // 2 :] for p in photographs]
    train = _cut(left, size, count - count // 2, generator)
    test = _cut(right, size, count // 2, generator)
    train, test = _standardise(train, test)
    if whitened:
        train, test = _whiten(train, test)
    clean = [_as_images(patches, size) for patches in (train, test)]
    noisy = [
        c + noise * torch.from_numpy(generator.standard_normal(c.shape).astype("float32"))
        for c in clean
    ]
    if masked:
        noisy = [x * torch.from_numpy(generator.random(x.shape) >= masked) for x in noisy]
    return Dataset(noisy[0], clean[0], noisy[1], clean[1], task=TASKS["reconstruction"])


def _cut(
    photographs: list[np.ndarray], size: int, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Patches at random places of random photographs, ``[count, size * size]``."""
    patches = np.empty((count, size, size))
    for patch in patches:
        photograph = photographs[generator.integers(len(photographs))]
        row, column = (generator.integers(side - size + 1) for side in photograph.shape)
        patch[:] = photograph[row : row + size, column : column + size]
    return patches.reshape(count, -1)


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = train.mean(), train.std()
    return (train - mean) / deviation, (test - mean) / deviation


def _whiten(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = train.mean(axis=0)
    variance, directions = np.linalg.eigh(
        np.cov(train - mean, rowvar=False).reshape(-1, train.shape[1])
    )
    gain = 1 / np.sqrt(variance + WHITENING_FLOOR * variance.mean())
    matrix = (directions * gain) @ directions.T
    return (train - mean) @ matrix, (test - mean) @ matrix


def _as_images(patches: np.ndarray, size: int) -> Tensor:
    return torch.from_numpy(patches.astype(np.float32)).reshape(-1, 1, size, size)
