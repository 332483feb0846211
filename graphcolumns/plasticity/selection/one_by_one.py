"""Take edges one by one in python, for limits of length and for edges that come in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from graphcolumns.plasticity.selection.greedy import Limits

CHUNK = 2**16  # edges that are python numbers at a time


def iter_rows(*columns: Tensor) -> Iterator[tuple[Any, ...]]:
    """The entries of several tensors of one length as python numbers, read some at a time."""
    for first in range(0, len(columns[0]), CHUNK):
        yield from zip(*(x[first : first + CHUNK].tolist() for x in columns), strict=True)


def ends(target: int, source: int, both: bool) -> list[tuple[int, int]]:
    """The edge, and its reverse where edges are symmetric."""
    mirrored = both and target != source
    return [(target, source), (source, target)] if mirrored else [(target, source)]


def take_one_by_one(targets: Tensor, sources: Tensor, lengths: Tensor, limits: Limits) -> Tensor:
    """As :func:`~graphcolumns.plasticity.selection.greedy.take_greedily`, for any limits."""
    taken: list[int] = []
    left = _Left(limits)
    for place, (target, source, length) in enumerate(iter_rows(targets, sources, lengths)):
        if left.edges <= 0:
            break
        if left.take(ends(target, source, limits.both), length):
            taken.append(place)
    return torch.tensor(taken, dtype=torch.int64)


class _Left:
    """What is left of limits, in python numbers."""

    def __init__(self, limits: Limits) -> None:
        self.edges, self.length = limits.edges, limits.length
        self.into = None if limits.into is None else limits.into.tolist()
        self.out = None if limits.out is None else limits.out.tolist()

    def take(self, ends: list[tuple[int, int]], length: float) -> bool:
        """Whether the edges fit; if so, they use up what is left."""
        if len(ends) > self.edges or length > self.length:
            return False
        for t, s in ends:  # the two edges of a pair have different targets and different sources
            if self.into is not None and self.into[t] < 1:
                return False
            if self.out is not None and self.out[s] < 1:
                return False
        for t, s in ends:
            if self.into is not None:
                self.into[t] -= 1
            if self.out is not None:
                self.out[s] -= 1
        self.edges -= len(ends)
        self.length -= length
        return True
