"""Take edges one after the other, each if it still fits: exact for several limits at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK = 2**16  # edges that are looked at together, at least
ROWS = 2**16  # edges that are python numbers at a time
SLOW = 1 / 16  # a round that decides a smaller share of its edges is the last one


@dataclass
class Limits:
    """How much can still be taken; every edge that is taken uses some of it up.

    Args:
        edges: Number of edges.
        length: Summed length of the edges.
        into: Number of edges per target, ``[N]``, or None for no limit.
        out: Number of edges per source, ``[M]``, or None.
        both: Whether an edge comes with its reverse.
    """

    edges: float = math.inf
    length: float = math.inf
    into: Tensor | None = None
    out: Tensor | None = None
    both: bool = False


def take_greedily(targets: Tensor, sources: Tensor, lengths: Tensor, limits: Limits) -> Tensor:
    """Places of the edges that fit, in the order given, each after what was taken before it.

    What does not fit is skipped, and a later edge may fit. ``O(K)`` without limits per column,
    ``O(K log K)`` with them.

    Args:
        targets: Targets ``[K]``, the best edge first.
        sources: Sources ``[K]``.
        lengths: Lengths ``[K]``, in total for an edge and its reverse with ``limits.both``.
        limits: Limits of what is taken.

    Returns:
        Ascending places in ``[0, K)``.
    """
    if limits.both or limits.length < math.inf:
        # Lengths add up in the order of the edges, and a pair of edges has two ends to fit.
        return take_one_by_one(targets, sources, lengths, limits)
    limited = ((targets, limits.into), (sources, limits.out))
    ends = [(ids, left.clone()) for ids, left in limited if left is not None]
    if not ends:
        return torch.arange(int(min(max(limits.edges, 0), len(targets))))
    taken, first, edges = [torch.empty(0, dtype=torch.int64)], 0, limits.edges
    while first < len(targets) and edges > 0:
        # An edge is decided by those before it, so it does not matter how many are looked at.
        last = first + max(CHUNK, int(min(2 * edges, len(targets))))
        found = _take_in_rounds([(ids[first:last], left) for ids, left in ends])
        found = found[: int(min(edges, len(found)))]
        taken.append(found + first)
        first, edges = last, edges - len(found)
    return torch.cat(taken)


def _take_in_rounds(ends: list[tuple[Tensor, Tensor]]) -> Tensor:
    """As one by one, in a few rounds; ``ends`` are ids and their limits, which are used up.

    Source: Blelloch, Fineman & Shun, Greedy sequential maximal independent set and matching are
    parallel on average, SPAA 2012.
    """
    undecided = torch.arange(len(ends[0][0]))
    taken = torch.zeros(len(undecided), dtype=torch.bool)
    while len(undecided):
        before = len(undecided)
        # Safe edges fit even if all undecided edges before them are taken. Every round has one, the
        # first.
        safe = torch.ones(before, dtype=torch.bool)
        for ids, left in ends:
            safe &= _earlier(ids[undecided]) < left[ids[undecided]]
        taken[undecided[safe]] = True
        for ids, left in ends:
            left -= torch.bincount(ids[undecided[safe]], minlength=len(left))
        undecided = undecided[~safe]
        # Out are those at an end where nothing is left: a safe edge counted all before it, so what
        # is used up was used by edges before the one that is out.
        for ids, left in ends:
            undecided = undecided[left[ids[undecided]] > 0]
        # Where rounds decide little, python is faster.
        if before - len(undecided) < SLOW * before:
            taken[undecided[_take_the_rest(ends, undecided)]] = True
            break
    return taken.nonzero()[:, 0]


def _earlier(ids: Tensor) -> Tensor:
    """How often each id has occurred before, ``[K]``."""
    ordered, order = ids.sort(stable=True)
    place = torch.arange(len(ids))
    start = torch.zeros_like(place)
    start[1:] = torch.where(ordered[1:] != ordered[:-1], place[1:], 0)
    return torch.empty_like(place).index_copy_(0, order, place - start.cummax(0).values)


def _take_the_rest(ends: list[tuple[Tensor, Tensor]], places: Tensor) -> Tensor:
    """Which of the edges at ``places`` fit, one by one; uses the limits up."""
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


def iter_rows(*columns: Tensor) -> Iterator[tuple[Any, ...]]:
    """The entries of several tensors of one length as python numbers, read some at a time."""
    for first in range(0, len(columns[0]), ROWS):
        yield from zip(*(x[first : first + ROWS].tolist() for x in columns), strict=True)


def edge_and_reverse(target: int, source: int, both: bool) -> list[tuple[int, int]]:
    """The edge, and its reverse where edges are symmetric."""
    mirrored = both and target != source
    return [(target, source), (source, target)] if mirrored else [(target, source)]


def take_one_by_one(targets: Tensor, sources: Tensor, lengths: Tensor, limits: Limits) -> Tensor:
    """As ``take_greedily``, for any limits."""
    taken: list[int] = []
    left = _Left(limits)
    for place, (target, source, length) in enumerate(iter_rows(targets, sources, lengths)):
        if left.edges <= 0:
            break
        if left.take(edge_and_reverse(target, source, limits.both), length):
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
