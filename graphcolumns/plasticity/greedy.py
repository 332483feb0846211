"""Take edges one after the other, each if it still fits: exact for several limits at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2**16  # edges turned into python numbers at a time


@dataclass
class Room:
    """How much can still be taken; every edge that is taken uses some of it up.

    Args:
        edges: how many edges.
        length: their summed length.
        into: how many per target, `[N]`, or None for no limit.
        out: how many per source, `[M]`, or None.
        both: an edge comes with its reverse.
    """

    edges: float = math.inf
    length: float = math.inf
    into: Tensor | None = None
    out: Tensor | None = None
    both: bool = False

    @property
    def only_counts(self) -> bool:
        """Whether the number of edges is the only limit."""
        return self.into is None and self.out is None and self.length == math.inf and not self.both


def take(targets: Tensor, sources: Tensor, lengths: Tensor, room: Room) -> Tensor:
    """Places of the edges that fit, in the order given, each after what was taken before it.

    What does not fit is skipped, and a later edge may fit. `O(K)`.

    Args:
        targets: `[K]`, the best edge first.
        sources: `[K]`.
        lengths: `[K]`, in total for an edge and its reverse with `room.both`.
        room: the limits.

    Returns:
        Ascending places in `[0, K)`.
    """
    if room.only_counts:
        return torch.arange(int(min(max(room.edges, 0), len(targets))))
    taken: list[int] = []
    limits = _Limits(room)
    for first in range(0, len(targets), CHUNK):
        rows = (x[first : first + CHUNK].tolist() for x in (targets, sources, lengths))
        for place, edge in enumerate(zip(*rows, strict=True), first):
            if limits.edges <= 0:
                break
            if limits.fits(*edge):
                taken.append(place)
    return torch.tensor(taken, dtype=torch.int64)


class _Limits:
    """A `Room` in python numbers."""

    def __init__(self, room: Room) -> None:
        self.edges, self.length, self.both = room.edges, room.length, room.both
        self.into = None if room.into is None else room.into.tolist()
        self.out = None if room.out is None else room.out.tolist()

    def fits(self, target: int, source: int, length: float) -> bool:
        """Whether an edge fits; if so, its room is used up."""
        ends = [(target, source)]
        if self.both and target != source:
            ends.append((source, target))
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
