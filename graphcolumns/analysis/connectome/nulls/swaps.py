"""Random swaps of the targets of two edges, many at a time, without preferring any graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphcolumns.analysis.connectome.nulls.slots import EdgeSlots, Ids

Bools = NDArray[np.bool_]
Pairs = Callable[[EdgeSlots, np.random.Generator], tuple[Ids, Ids]]
Bins = Callable[[Ids, Ids], Ids]
Accept = Callable[[Ids, Ids], Bools]

# Proposals of one round per cell of the adjacency matrix: more would exclude each other.
SHARE = 0.25
# Rounds and pairs that estimate how many swaps are possible, and the lowest share to count on.
PILOT, PILOT_PAIRS, LOWEST = 10, 200, 0.01
# Rounds per swap and edge where no swap is possible; cycles may still be reversed.
BARREN = 10


def random_pairs(state: EdgeSlots, generator: np.random.Generator) -> tuple[Ids, Ids]:
    """All slots in pairs at random; one is left over if their number is odd."""
    order = generator.permutation(len(state.source))
    return order[: len(order) // 2], order[len(order) // 2 : len(order) // 2 * 2]


@dataclass
class Swaps:
    """A Markov chain over graphs of the same degrees whose only stationary law is uniform.

    In a round slots are paired at random, whatever the graph is, and a coin is thrown for each
    pair. Those that show heads exchange their targets unless

    - an end would be a self-edge, or of another bin of length (a property of the pair alone);
    - one of the two edges that the pair has, or of the two that it would have, is also an edge of
      another slot, or would become one in this round.

    Both conditions are the same before and after the swap, so that a round from a graph to another
    is as probable as the round back. In a directed graph without self-edges some graphs are joined
    only by reversing a cycle of three edges, which each round tries once.

    Args:
        state: Edges, changed in place.
        generator: Source of random numbers.
        self_edges: Whether a swap may make a self-edge.
        pairs: Function that pairs the slots, independent of their targets.
        bins: Bin of the length of pairs (source, target), ``[S]`` each; None: any length will do.
        accept: Function of pairs of slots that says which of the possible swaps are made, for laws
            that are not uniform; cycles are not reversed then. None: all.

    Source: Berger and Müller-Hannemann, Uniform sampling of digraphs with a fixed degree sequence,
    WG 2010; Artzy-Randrup and Stone, Generating uniformly distributed random networks, Physical
    Review E 72 (2005).
    """

    state: EdgeSlots
    generator: np.random.Generator
    self_edges: bool = False
    pairs: Pairs = random_pairs
    bins: Bins | None = None
    accept: Accept | None = None
    keys: Ids = field(init=False)
    bin: Ids = field(init=False)
    pointers: Ids = field(init=False)

    def __post_init__(self) -> None:
        state = self.state
        self.keys = state.keys(state.source, state.target)
        if self.bins is not None:
            self.bin = self.bins(state.source, state.target)
        self.pointers = np.searchsorted(state.source, np.arange(state.columns + 1))

    def run(self, swaps_per_edge: float) -> None:
        """As many rounds as make ``swaps_per_edge`` swaps for each slot, on average.

        Their number is set before the first swap: to stop after a number of swaps would prefer
        graphs from which many swaps are possible.
        """
        if len(self.state.source) < 2:
            return
        possible = self.swaps_per_round()
        rounds = len(self.state.source) / possible if possible else BARREN
        for _ in range(int(np.ceil(swaps_per_edge * rounds))):
            self.round()

    def swaps_per_round(self) -> float:
        """Mean number of swaps in a round from the present graph, estimated by proposals."""
        pairs = len(self.state.source) // 2
        rounds = max(PILOT, -(-PILOT_PAIRS // pairs))
        possible = sum(len(self._proposals()[0]) for _ in range(rounds))
        return max(possible / rounds, LOWEST * pairs) if possible else 0.0

    def round(self) -> None:
        """One round of swaps."""
        state = self.state
        if state.undirected:
            # Both ends of a pair of edges are alike, so either may stay.
            turned = self.generator.random(len(state.source)) < 0.5
            state.source, state.target = (
                np.where(turned, state.target, state.source),
                np.where(turned, state.source, state.target),
            )
        first, second, key_first, key_second = self._proposals()
        if self.accept is not None:
            taken = self.accept(first, second)
            first, second = first[taken], second[taken]
            key_first, key_second = key_first[taken], key_second[taken]
        kept = state.target[first]
        state.target[first], state.target[second] = state.target[second], kept
        self.keys[first], self.keys[second] = key_first, key_second
        self._measure(np.append(first, second))
        if not state.undirected and not self.self_edges and self.accept is None:
            self._reverse_cycle()

    def _proposals(self) -> tuple[Ids, Ids, Ids, Ids]:
        """Pairs of slots that can swap, and the keys of the edges that they would have."""
        state = self.state
        first, second = self.pairs(state, self.generator)
        most = SHARE * state.columns**2 / (2 if state.undirected else 1)
        heads = 0.5 * min(1.0, max(most, 1.0) / max(len(first), 1))
        thrown = self.generator.random(len(first)) < heads
        first, second = first[thrown], second[thrown]
        able = self._able(first, second)
        first, second = first[able], second[able]
        a, b = state.source[first], state.source[second]
        new = state.keys(np.append(a, b), state.target[np.append(second, first)])
        taken = repeated(np.append(self.keys, new), state.columns**2)
        ours, theirs = np.split(taken[len(self.keys) :], 2)
        free = ~(ours | theirs | taken[first] | taken[second])
        key_first, key_second = np.split(new, 2)
        return first[free], second[free], key_first[free], key_second[free]

    def _able(self, first: Ids, second: Ids) -> Bools:
        """Whether the new edges of each pair, wherever others are, would be allowed."""
        source, target = self.state.source, self.state.target
        a, b, c, d = source[first], target[first], source[second], target[second]
        able = (a != c) & (b != d)
        if not self.self_edges:
            able &= (a != d) & (c != b)
        return able if self.bins is None else self._within_bins(self.bins, first, second, able)

    def _within_bins(self, bins: Bins, first: Ids, second: Ids, able: Bools) -> Bools:
        """Of the pairs that are able, those whose new edges are in the bins of the old ones."""
        source, target = self.state.source, self.state.target
        place = np.flatnonzero(able)
        ours, theirs = self.bin[first[place]], self.bin[second[place]]
        new = bins(source[first[place]], target[second[place]])
        # Most fail here, so that the other edge of few pairs is measured.
        fits = np.flatnonzero((new == ours) | (new == theirs))
        place, wanted = place[fits], (ours + theirs - new)[fits]
        other = bins(source[second[place]], target[first[place]])
        within = np.zeros_like(able)
        within[place[other == wanted]] = True
        return within

    def _reverse_cycle(self) -> None:
        """Turn a cycle a -> b -> c -> a round, if one is met and no reverse edge is there."""
        target, pointers = self.state.target, self.pointers
        first = int(self.generator.integers(len(target)))
        a, b = int(self.state.source[first]), int(target[first])
        out = pointers[b + 1] - pointers[b]
        chance = self.generator.random(2)
        if not out or chance[1] < 0.5:
            return
        second = int(pointers[b] + int(chance[0] * out))
        c = int(target[second])
        third = np.flatnonzero(target[pointers[c] : pointers[c + 1]] == a) + pointers[c]
        if c == a or not len(third):
            return
        if any(t in target[pointers[s] : pointers[s + 1]] for s, t in ((a, c), (b, a), (c, b))):
            return
        changed = np.array([first, second, third[0]])
        target[changed] = [c, a, b]
        self.keys[changed] = self.state.keys(self.state.source[changed], target[changed])
        self._measure(changed)

    def _measure(self, changed: Ids) -> None:
        """Keep the bins of slots whose targets have changed."""
        if self.bins is not None:
            self.bin[changed] = self.bins(self.state.source[changed], self.state.target[changed])


def repeated(keys: Ids, cells: int) -> Bools:
    """Whether each key, of ``cells`` possible ones, is there more than once."""
    if cells <= 8 * len(keys):
        return np.bincount(keys, minlength=cells)[keys] > 1
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    # Few keys repeat, and a small table excludes most others at once.
    table = np.zeros(2**16, dtype=bool)
    table[twice & 0xFFFF] = True
    found = table[keys & 0xFFFF]
    maybe = np.flatnonzero(found)
    found[maybe] = np.isin(keys[maybe], twice)
    return found
