"""Swaps of targets until the weights at each column add up to what is wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphcolumns.analysis.connectome.nulls.slots import EdgeSlots, Ids
from graphcolumns.analysis.connectome.nulls.swaps import Bools, Swaps

Floats = NDArray[np.float64]

# Share of the rounds in which the temperature falls; in the rest it is lowest.
COOLING = 0.8
# Lowest temperature, as a share of that at which the mean error is the tolerance.
COLDEST = 0.02
# Part of the rounds in which a fast annealing cools.
FAST = 8


class Annealing:
    """Metropolis steps by the energy ``sum_i (s_i - wanted_i)^2``.

    The weight of a slot stays with it, so a swap of targets changes the sums of two columns. Of
    swaps that change the same sum at once the first is tried alone, so that each is a step.

    Args:
        state: Edges, changed in place.
        values: Weight of each slot, ``[S]``.
        wanted: Sum of the weights at each column, ``[N]``: of in-edges, or of all edges if the
            graph is undirected.
        generator: Source of random numbers.
    """

    def __init__(
        self, state: EdgeSlots, values: Floats, wanted: Floats, generator: np.random.Generator
    ) -> None:
        self.state, self.values, self.wanted, self.generator = state, values, wanted, generator
        self.excess = self.sums() - wanted
        self.scale = float(wanted @ wanted)
        self.temperature = np.inf
        self.rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")

    def run(self, tolerance: float, rounds: int) -> None:
        """Rounds of swaps until the error is within the tolerance.

        Most strengths are reached by a fast annealing; others anneal once more, slowly.

        Raises:
            ValueError: The error is larger after the last round.
        """
        swaps = Swaps(self.state, self.generator, pairs=self.pairs, accept=self.accept)
        if not any(self.anneal(swaps, tolerance, n) for n in (rounds // FAST, rounds)):
            raise ValueError(
                f"strengths must be within tolerance={tolerance}. Got an error of "
                f"{self.error:.2g} after {rounds} rounds; raise rounds or the tolerance."
            )

    def anneal(self, swaps: Swaps, tolerance: float, rounds: int) -> bool:
        """Cool once in a number of rounds, and say whether the tolerance was reached."""
        # Each sum has the mean energy T / 2, as a degree of freedom at temperature T.
        last = COLDEST * 2 * tolerance**2 * self.scale / len(self.wanted)
        first = max(4 * float(self.values.var()), last)
        for count in range(rounds):
            if self.error <= tolerance:
                return True
            progress = min(1.0, count / (COOLING * rounds))
            self.temperature = first * (last / first) ** progress
            swaps.round()
            self.exchange(swaps)
        return self.error <= tolerance

    @property
    def error(self) -> float:
        """Root of the energy, over that of the wanted sums."""
        return float(np.sqrt(self.excess @ self.excess / self.scale)) if self.scale else 0.0

    def exchange(self, swaps: Swaps) -> None:
        """Exchange weights of edges with the same source, which is possible in any graph."""
        state = self.state
        # One sort by source and, within, by rank, which is below the step of a source.
        order = np.argsort(state.source * (2.0 * len(self.rank) + 1) + self.noisy_rank())
        start = int(self.generator.integers(2))
        pairs = in_pairs(order[start:], self.generator)
        first, second = pairs[:, state.source[pairs[0]] == state.source[pairs[1]]]
        taken = self.accept(first, second)
        first, second = first[taken], second[taken]
        for values in (state.target, swaps.keys):
            values[first], values[second] = values[second], values[first]

    def noisy_rank(self) -> Floats:
        """Rank of the weight of each slot, blurred by nothing up to everything."""
        reach = len(self.rank) ** self.generator.random()
        return self.rank + reach * self.generator.random(len(self.rank))

    def sums(self) -> Floats:
        """Sum of the weights at each column, ``[N]``."""
        state = self.state
        ends, values = state.target, self.values
        if state.undirected:
            ends, values = np.append(ends, state.source), np.append(values, values)
        return np.bincount(ends, values, state.columns).astype(np.float64)

    def pairs(self, state: EdgeSlots, generator: np.random.Generator) -> tuple[Ids, Ids]:
        """Slots in pairs of similar weights, from neighbours in rank to any."""
        # A large weight fits where another large one is, and small steps come last.
        order = np.argsort(self.noisy_rank())
        first, second = in_pairs(order[int(generator.integers(2)) :], generator)
        return first, second

    def accept(self, first: Ids, second: Ids) -> Bools:
        """Which pairs of slots swap their targets, some of the pairs after the others."""
        taken = np.zeros(len(first), dtype=bool)
        # Of many pairs at once most would share a column with an earlier one, and be left out.
        some = max(1, self.state.columns // 4)
        for start in range(0, len(first), some):
            part = slice(start, start + some)
            taken[part] = self.accept_at_once(first[part], second[part])
        return taken

    def accept_at_once(self, first: Ids, second: Ids) -> Bools:
        """Which pairs of slots swap their targets, all by the present sums."""
        ours, theirs = self.state.target[first], self.state.target[second]
        tried = first_to_have(ours, theirs, self.state.columns)
        change = self.values[second] - self.values[first]
        energy = 2 * change * (change + self.excess[ours] - self.excess[theirs])
        chance = self.generator.exponential(size=len(energy)) * self.temperature
        taken = tried & (energy <= chance)
        self.excess[ours[taken]] += change[taken]
        self.excess[theirs[taken]] -= change[taken]
        return taken


def first_to_have(ours: Ids, theirs: Ids, columns: int) -> Bools:
    """Whether no earlier pair has one of the two columns of each pair."""
    ends, place = np.stack([ours, theirs], 1), np.arange(len(ours))
    owner = np.zeros(columns, dtype=np.int64)
    owner[ends[::-1]] = place[::-1, None]
    return (owner[ends] == place[:, None]).all(1)


def in_pairs(order: Ids, generator: np.random.Generator) -> Ids:
    """Neighbours in an order, ``[2, P]``, the pairs shuffled."""
    return generator.permutation(order[: len(order) // 2 * 2].reshape(-1, 2)).T
