"""Take edges one after the other, each if it still fits: exact for several limits at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2**16  # edges that are looked at together, at least
SLOW = 1 / 16  # a round that decides a smaller share of its edges is the last one


@dataclass
class Limits:
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
        return self.into is None and self.out is None and self.only_degrees

    @property
    def only_degrees(self) -> bool:
        """Whether edges are counted, one by one, in all and per column."""
        return self.length == math.inf and not self.both


def take_greedily(targets: Tensor, sources: Tensor, lengths: Tensor, room: Limits) -> Tensor:
    """Places of the edges that fit, in the order given, each after what was taken before it.

    What does not fit is skipped, and a later edge may fit. `O(K)` without limits per column,
    `O(K log K)` with them.

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
    if not room.only_degrees:
        return _one_by_one((targets, sources, lengths), room)
    limited = ((targets, room.into), (sources, room.out))
    ends = [(ids, left.clone()) for ids, left in limited if left is not None]
    taken, first, edges = [torch.empty(0, dtype=torch.int64)], 0, room.edges
    while first < len(targets) and edges > 0:
        # An edge is decided by those before it, so it does not matter how many are looked at.
        last = first + max(CHUNK, int(min(2 * edges, len(targets))))
        found = _together([(ids[first:last], left) for ids, left in ends])
        found = found[: int(min(edges, len(found)))]
        taken.append(found + first)
        first, edges = last, edges - len(found)
    return torch.cat(taken)


def _together(ends: list[tuple[Tensor, Tensor]]) -> Tensor:
    """As one by one, in a few rounds; `ends` are ids and their limits, which are used up.

    An edge is safe if it would fit even if all undecided edges before it were taken, and it is
    out once nothing is left at an end: a safe edge counted those before it, so what is used up was
    used by edges before the one that is out. Every round decides at least the first edge.

    Source: Blelloch, Fineman & Shun, Greedy sequential maximal independent set and matching are
    parallel on average, SPAA 2012.
    """
    undecided = torch.arange(len(ends[0][0]))
    taken = torch.zeros(len(undecided), dtype=torch.bool)
    while len(undecided):
        before = len(undecided)
        safe = torch.ones(before, dtype=torch.bool)
        for ids, left in ends:
            safe &= _earlier(ids[undecided]) < left[ids[undecided]]
        taken[undecided[safe]] = True
        for ids, left in ends:
            left -= torch.bincount(ids[undecided[safe]], minlength=len(left))
        undecided = undecided[~safe]
        for ids, left in ends:
            undecided = undecided[left[ids[undecided]] > 0]
        if before - len(undecided) < SLOW * before:
            taken[undecided[_the_rest(ends, undecided)]] = True
            break
    return taken.nonzero()[:, 0]


def _earlier(ids: Tensor) -> Tensor:
    """How often each id has occurred before, `[K]`."""
    ordered, order = ids.sort(stable=True)
    place = torch.arange(len(ids))
    start = torch.zeros_like(place)
    start[1:] = torch.where(ordered[1:] != ordered[:-1], place[1:], 0)
    return torch.empty_like(place).index_copy_(0, order, place - start.cummax(0).values)


def _the_rest(ends: list[tuple[Tensor, Tensor]], places: Tensor) -> Tensor:
    """Which of the edges at `places` fit, one by one; uses the limits up."""
    columns = [(ids[places].tolist(), left.tolist()) for ids, left in ends]
    fit = []
    for place in range(len(places)):
        if all(left[ids[place]] > 0 for ids, left in columns):
            fit.append(place)
            for ids, left in columns:
                left[ids[place]] -= 1
    for (_, room), (_, now) in zip(ends, columns, strict=True):
        room.copy_(torch.tensor(now))
    return torch.tensor(fit, dtype=torch.int64)


def _one_by_one(edges: Iterable[Tensor], room: Limits) -> Tensor:
    """For limits of length, which add up in the order of the edges, and for edges both ways."""
    targets, sources, lengths = edges
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
    """A `Limits` in python numbers."""

    def __init__(self, room: Limits) -> None:
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
