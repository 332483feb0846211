"""Swaps under a budget of length: an edge is born if it is worth more than what makes room."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs
from graphcolumns.plasticity.selection.greedy import CHUNK

Row = tuple[int, int, float, float, int]  # target, source, length, score, size
Ends = list[tuple[int, int]]


def swap_within_length(
    rules: Constraints,
    degrees: tuple[Tensor, Tensor, Tensor],
    old: EdgePairs,
    new: EdgePairs,
    *,
    slack: float,
    swaps: int,
    margin: float,
) -> tuple[Tensor, Tensor]:
    """Go through the births, best first; each takes the slack and the wire of the next deaths.

    A birth happens if its score is above the summed scores of the deaths that make room for it by
    more than `margin`. If not, they live on, and a shorter birth may need fewer of them.

    Args:
        rules: limits of degrees, kept after every single swap.
        degrees: in-edges per target `[N]`, out-edges per source `[M]`, and deaths so far per
            target `[N]`.
        old: what may die, in order of preference.
        new: what may be born, in order of preference.
        slack: length that is free, 0 or more.
        swaps: how many edges may die.
        margin: least gain.

    Returns:
        Places in `old` that die and in `new` that are born, ascending.
    """
    state = _Degrees(rules, *degrees)
    deaths = _Deaths(old, state, swaps)
    born: list[int] = []
    for place, (target, source, length, gain, _) in enumerate(_rows(new)):
        ends = state.ends(target, source)
        if not state.may_grow(ends):
            continue
        loss, freed = deaths.make_room(length - slack)
        if slack + freed >= length and gain > loss + margin:
            deaths.commit()
            state.grow(ends)
            slack += freed - length
            born.append(place)
        else:
            deaths.take_back()
    return torch.tensor(sorted(deaths.final), dtype=torch.int64), torch.tensor(
        born, dtype=torch.int64
    )


class _Deaths:
    """The next edges to die, tentatively until committed."""

    def __init__(self, old: EdgePairs, state: _Degrees, swaps: int) -> None:
        self.source, self.rows = _rows(old), list[Row]()  # read as far as needed
        self.state, self.left = state, swaps
        self.next = self.stop = 0
        self.final: list[int] = []
        self.tried: list[tuple[int, Ends]] = []

    def _row(self, place: int) -> Row | None:
        if place == len(self.rows):
            self.rows += islice(self.source, 1)
        return self.rows[place] if place < len(self.rows) else None

    def make_room(self, needed: float) -> tuple[float, float]:
        """Let edges die until their length is what is needed: their summed score and length."""
        loss, freed, place, left = 0.0, 0.0, self.next, self.left
        while freed < needed and (row := self._row(place)) is not None and row[4] <= left:
            target, source, length, score, size = row
            ends = self.state.ends(target, source)
            if length > 0 and self.state.may_drop(ends):
                self.state.drop(ends, 1)
                self.tried.append((place, ends))
                loss, freed, left = loss + score, freed + length, left - size
            place += 1
        self.stop = place
        return loss, freed

    def commit(self) -> None:
        """They are dead."""
        self.final += [place for place, _ in self.tried]
        self.left -= sum(len(ends) for _, ends in self.tried)
        self.next, self.tried = self.stop, []

    def take_back(self) -> None:
        """They live."""
        for _, ends in self.tried:
            self.state.drop(ends, -1)
        self.tried = []


class _Degrees:
    """In- and out-edges now, and births and deaths per target, in python numbers."""

    def __init__(self, rules: Constraints, into: Tensor, out: Tensor, died: Tensor) -> None:
        self.rules, self.both = rules, rules.symmetric
        self.into, self.out, self.died = into.tolist(), out.tolist(), died.tolist()
        self.born = [0] * len(self.into)
        limits = (rules.max_in, rules.max_out, rules.max_new, rules.max_dropped)
        self.most = [math.inf if limit is None else limit for limit in limits]

    def ends(self, target: int, source: int) -> Ends:
        """The edge, and its reverse where edges are symmetric."""
        mirrored = self.both and target != source
        return [(target, source), (source, target)] if mirrored else [(target, source)]

    def may_drop(self, ends: Ends) -> bool:
        """Whether the limits allow these deaths."""
        return all(
            self.into[t] > self.rules.min_in
            and self.out[s] > self.rules.min_out
            and self.died[t] < self.most[3]
            for t, s in ends
        )

    def may_grow(self, ends: Ends) -> bool:
        """Whether the limits allow these births."""
        return all(
            self.into[t] < self.most[0]
            and self.out[s] < self.most[1]
            and self.born[t] < self.most[2]
            for t, s in ends
        )

    def drop(self, ends: Ends, sign: int) -> None:
        """Count deaths, or take them back with `sign` -1."""
        for t, s in ends:
            self.into[t] -= sign
            self.out[s] -= sign
            self.died[t] += sign

    def grow(self, ends: Ends) -> None:
        """Count births."""
        for t, s in ends:
            self.into[t] += 1
            self.out[s] += 1
            self.born[t] += 1


def _rows(units: EdgePairs) -> Iterator[Row]:
    """The units as python numbers, some at a time."""
    for first in range(0, len(units.score), CHUNK):
        yield from zip(*(x[first : first + CHUNK].tolist() for x in units), strict=True)
