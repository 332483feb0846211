"""The long-range task: do two distant patches show the same symbol?"""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset


def matching(
    size: int = 8,
    patch: int = 2,
    symbols: int = 4,
    noise: float = 0.1,
    count: int = 4800,
    seed: int = 0,
) -> Dataset:
    """Images whose first and last patch show one of a few binary symbols each: same or different?

    The symbols stand in opposite corners (top left, bottom right); every other pixel is a fair
    coin, 0 or 1, and Gaussian noise is added everywhere. Label 1: the same symbol.

    Each symbol is equally frequent in each corner within each label. A model that adds up evidence
    column by column, ``logit = sum_n f_n(patch_n)``, therefore cannot beat chance: at ``f = 0`` the
    gradient of the logistic loss, the sum over samples of ``(label - 1/2) df_n(patch_n)``, vanishes
    for every ``f``, and the loss is convex. The two corners have to be brought together.

    All symbols have the same number of pixels on, so that brightness says nothing either.

    Args:
        size: Side of the image in pixels, at least two patches.
        patch: Side of a symbol in pixels.
        symbols: Number of different symbols, at least 2.
        noise: Standard deviation of the pixel noise.
        count: Samples in all, the first half to train on; a multiple of
            ``4 * symbols * (symbols - 1)`` gives exact balance.
        seed: Seed of symbols, samples and noise.

    Returns:
        Inputs ``[n, 1, size, size]``, two balanced classes.

    Raises:
        ValueError: No room for two patches, more symbols than patterns, too few samples.
    """
    pixels = patch * patch
    most = comb(pixels, pixels // 2)
    if not 1 <= patch <= size // 2:
        raise ValueError(f"two patches must fit: need size >= 2 * patch. Got {size} and {patch}.")
    if not 2 <= symbols <= most:
        raise ValueError(
            f"symbols must be in [2, {most}] for a {patch} x {patch} patch. Got {symbols}."
        )
    if count < 4 or not 0 <= noise < float("inf"):
        raise ValueError(f"need count >= 4 and noise >= 0. Got count={count}, noise={noise}.")
    generator = torch.Generator().manual_seed(seed)
    alphabet = _alphabet(symbols, patch, generator)
    train = _half(count - count // 2, size, alphabet, noise, generator)
    test = _half(count // 2, size, alphabet, noise, generator)
    return Dataset(*train, *test, num_classes=2)


def _alphabet(symbols: int, patch: int, generator: torch.Generator) -> Tensor:
    """Different binary patterns with half of their pixels on, ``[symbols, patch, patch]``."""
    on = torch.arange(patch * patch) < patch * patch // 2
    found: list[Tensor] = []
    while len(found) < symbols:
        pattern = on[torch.randperm(patch * patch, generator=generator)]
        if not any(torch.equal(pattern, other) for other in found):
            found.append(pattern)
    return torch.stack(found).reshape(symbols, patch, patch).float()


def _half(
    count: int, size: int, alphabet: Tensor, noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    symbols, patch = alphabet.shape[:2]
    labels = torch.arange(count) % 2
    turn = torch.arange(count) // 2
    first = turn % symbols
    # Different pairs go through all shifts 1 .. symbols - 1: both corners stay balanced.
    shift = 1 + (turn // symbols) % (symbols - 1)
    second = torch.where(labels == 1, first, (first + shift) % symbols)
    images = torch.randint(0, 2, (count, size, size), generator=generator).float()
    images[:, :patch, :patch] = alphabet[first]
    images[:, -patch:, -patch:] = alphabet[second]
    images += noise * torch.randn(images.shape, generator=generator)
    order = torch.randperm(count, generator=generator)
    return images[order, None], labels[order]
