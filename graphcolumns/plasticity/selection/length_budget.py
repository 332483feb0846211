"""Budgets of summed length: what has to go, and swaps that are worth the length they take."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs
from graphcolumns.plasticity.selection.greedy import (
    Limits,
    edge_and_reverse,
    iter_rows,
    take_greedily,
)


def summed_length(graph: ColumnGraph) -> float:
    """The length of all edges together."""
    assert graph.distance is not None
    return float(graph.distance.detach().double().sum())


def drop_to_length(
    old: EdgePairs, limits: Limits, wire: float, length: float, swaps: int
) -> Tensor:
    """Places of ``swaps`` edges to drop, and of more until no more than ``length`` is left.

    Args:
        old: Edges that may be dropped, the least worthy first.
        limits: Limits of degrees.
        wire: Summed length of all edges now.
        length: Budget of summed length.
        swaps: Number of edges to drop in any case.

    Raises:
        ValueError: All edges that may be dropped are not enough.
    """
    longest = torch.argsort(old.length, descending=True, stable=True)
    # Where the least worthy leave too much, constraints have kept long edges: longest first.
    for order in (torch.arange(len(old.length)), longest):
        places = order[take_greedily(*old.at(order)[:3], limits)]
        possible = old.at(places)
        left = wire - possible.length.double().cumsum(0)
        enough = int((left > length).sum()) + 1 if wire > length else 0
        if enough <= len(left):
            wanted = int((possible.size.cumsum(0) <= swaps).sum())
            return places[: max(enough, wanted)]
    raise ValueError(
        f"the edges that may be dropped leave {float(left[-1]) if len(left) else wire},"
        f" longer than the budget of {length}: the others are pinned, too young, or kept "
        "by the constraints. Raise the budget, or start from a shorter graph."
    )


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
    """Go through the pairs, best first; each takes the slack and the length of the next deletions.

    A pair grows if its score is above the summed scores of the edges that make room for it by more
    than ``margin``. If not, these stay, and a shorter pair may need fewer of them.

    Args:
        rules: Limits of degrees, kept after every single swap.
        degrees: In-edges per target ``[N]``, out-edges per source ``[M]``, and edges dropped so far
            per target ``[N]``.
        old: Edges that may be dropped, in order of preference.
        new: Pairs that may grow, in order of preference.
        slack: Length that is free, 0 or more.
        swaps: Number of edges that may be dropped.
        margin: Least gain.

    Returns:
        Places in ``old`` that are dropped and in ``new`` that grow, ascending.
    """
    state = _Degrees(rules, *degrees)
    deletions = _Deletions(old, state, swaps)
    grown: list[int] = []
    for place, (target, source, length, gain, _) in enumerate(iter_rows(*new)):
        edge = edge_and_reverse(target, source, rules.symmetric)
        if not state.may_grow(edge):
            continue
        # The edges that make room are dropped on trial: only the pair's gain decides about them.
        loss, freed = deletions.make_room(length - slack)
        if slack + freed >= length and gain > loss + margin:
            deletions.commit()
            state.grow(edge)
            # What the last deletion freed beyond need serves the pairs that come.
            slack += freed - length
            grown.append(place)
        else:
            deletions.take_back()
    dropped = sorted(deletions.final)
    return torch.tensor(dropped, dtype=torch.int64), torch.tensor(grown, dtype=torch.int64)


class _Deletions:
    """The next edges to drop, tentatively until committed."""

    def __init__(self, old: EdgePairs, state: _Degrees, swaps: int) -> None:
        self.source, self.rows = iter_rows(*old), list[tuple[Any, ...]]()  # read as far as needed
        self.state, self.left = state, swaps
        self.next = self.stop = 0
        self.final: list[int] = []
        self.tried: list[tuple[int, list[tuple[int, int]]]] = []

    def _row(self, place: int) -> tuple[Any, ...] | None:
        if place == len(self.rows) and (row := next(self.source, None)) is not None:
            self.rows.append(row)
        return self.rows[place] if place < len(self.rows) else None

    def make_room(self, needed: float) -> tuple[float, float]:
        """Drop edges until their length is what is needed: their summed score and length."""
        loss, freed, place, left = 0.0, 0.0, self.next, self.left
        while freed < needed and (row := self._row(place)) is not None and row[4] <= left:
            target, source, length, score, size = row
            edge = edge_and_reverse(target, source, self.state.rules.symmetric)
            if length > 0 and self.state.may_drop(edge):
                # Counted at once, so that the next one is tested against the degrees that are left.
                self.state.drop(edge, 1)
                self.tried.append((place, edge))
                loss, freed, left = loss + score, freed + length, left - size
            place += 1
        self.stop = place
        return loss, freed

    def commit(self) -> None:
        """Make the tentative deletions final."""
        self.final += [place for place, _ in self.tried]
        self.left -= sum(len(edge) for _, edge in self.tried)
        self.next, self.tried = self.stop, []

    def take_back(self) -> None:
        """Undo the tentative deletions."""
        for _, edge in self.tried:
            self.state.drop(edge, -1)
        self.tried = []


class _Degrees:
    """In- and out-edges now, and edges grown and dropped per target, in python numbers."""

    def __init__(self, rules: Constraints, into: Tensor, out: Tensor, dropped: Tensor) -> None:
        self.rules = rules
        self.into, self.out, self.dropped = into.tolist(), out.tolist(), dropped.tolist()
        self.grown = [0] * len(self.into)
        limits = (rules.max_in, rules.max_out, rules.max_new, rules.max_dropped)
        self.most = [math.inf if limit is None else limit for limit in limits]

    def may_drop(self, ends: list[tuple[int, int]]) -> bool:
        """Whether the limits allow to drop these edges."""
        return all(
            self.into[t] > self.rules.min_in
            and self.out[s] > self.rules.min_out
            and self.dropped[t] < self.most[3]
            for t, s in ends
        )

    def may_grow(self, ends: list[tuple[int, int]]) -> bool:
        """Whether the limits allow to grow these edges."""
        return all(
            self.into[t] < self.most[0]
            and self.out[s] < self.most[1]
            and self.grown[t] < self.most[2]
            for t, s in ends
        )

    def drop(self, ends: list[tuple[int, int]], sign: int) -> None:
        """Count deletions, or take them back with ``sign`` -1."""
        for t, s in ends:
            self.into[t] -= sign
            self.out[s] -= sign
            self.dropped[t] += sign

    def grow(self, ends: list[tuple[int, int]]) -> None:
        """Count edges that grow."""
        for t, s in ends:
            self.into[t] += 1
            self.out[s] += 1
            self.grown[t] += 1
