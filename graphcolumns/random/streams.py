"""Randomness as a function of (seed, step): a resumed run draws what an unbroken one draws."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from graphcolumns.random.counter import derive


def generator(seed: int, stream: str, number: int = 0) -> torch.Generator:
    """A fresh CPU generator at the start of one stream."""
    return torch.Generator().manual_seed(derive(seed, stream, number))


def batch_indices(step: int, batch_size: int, num_samples: int, seed: int) -> Tensor:
    """The samples of one batch, ``[batch_size]`` int64.

    Epochs follow each other without a gap: position ``p`` of the endless stream is element
    ``p mod n`` of the permutation drawn from (seed, p // n). Every batch is full, and within an
    epoch every sample is seen once.

    Args:
        step: Number of the batch, from 0.
        batch_size: Samples per batch; may be larger than ``num_samples``.
        num_samples: Number of samples, ``n``.
        seed: Seed of the order.
    """
    positions = range(step * batch_size, (step + 1) * batch_size)
    epochs = range(positions[0] // num_samples, positions[-1] // num_samples + 1)
    stream = torch.cat([_permutation(num_samples, seed, epoch) for epoch in epochs])
    start = positions[0] - epochs[0] * num_samples
    return stream[start : start + batch_size]


@lru_cache(maxsize=2)  # a batch may straddle two epochs
def _permutation(num_samples: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(num_samples, generator=generator(seed, "order", epoch))
