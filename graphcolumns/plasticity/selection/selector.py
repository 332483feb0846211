"""A selection in the making: what the rules and the budget allow, best first."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys, pair_keys
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs
from graphcolumns.plasticity.selection.greedy import Limits, take_greedily
from graphcolumns.plasticity.selection.length_budget import swap_within_length


class Selection(NamedTuple):
    """Edges to drop and pairs to grow, what `rewire` takes; the clearest cases first.

    `missing` is how many edges fewer than the budget asks for there will be (negative: more),
    because no more pairs were allowed, or no more edges could be dropped.
    """

    drop: Tensor  # [D] edge ids
    targets: Tensor  # [G]
    sources: Tensor  # [G]
    missing: int


class Gaining(NamedTuple):
    """Swaps that gain."""

    births: int  # units, those that the budget wants in any case included
    edges: int  # that are swapped


class SwapSelector:
    """A selection in the making: the graph, the rules, the budget."""

    def __init__(
        self,
        graph: ColumnGraph,
        rules: Constraints,
        edges: int | None,
        length: float | None,
        overhead: float | None = None,
    ) -> None:
        self.graph, self.rules, self.length, self.overhead = graph, rules, length, overhead
        self.now = graph.num_edges
        self.goal = self.now if edges is None else edges
        self.into, self.out = graph.in_degree.cpu(), graph.out_degree.cpu()
        self.both = rules.symmetric

    def swap(
        self, old: EdgePairs, new: EdgePairs, again: EdgePairs | None, swaps: int
    ) -> tuple[EdgePairs, EdgePairs]:
        """Drop `swaps` edges, and what the budget wants dropped; grow what the budget allows.

        Args:
            old: what may be dropped, lowest score first.
            new: what may grow, highest score first.
            again: the units of `old` with their score for growing; those dropped compete.
            swaps: how many edges to drop.
        """
        places = self._drop(old, swaps)
        dropped = old.at(places)
        if again is not None:
            new = new.merged(again.at(places), self.graph.num_sources)
            new = new.best(highest=True, overhead=self.overhead)
        number = math.inf if self.length is not None else self.goal - self.now + _number(dropped)
        slack = math.inf
        if self.length is not None:
            slack = self.length - self._wire() + float(dropped.length.double().sum())
        lost_in, lost_out = self._degrees(dropped)
        into = _least(
            None if self.rules.max_in is None else self.rules.max_in - self.into + lost_in,
            None if self.rules.max_new is None else torch.full_like(lost_in, self.rules.max_new),
            lost_in if self.rules.same_in_degree else None,
        )
        out = None if self.rules.max_out is None else self.rules.max_out - self.out + lost_out
        return dropped, new.at(_places(new, Limits(number, slack, into, out, self.both)))

    def _drop(self, old: EdgePairs, swaps: int) -> Tensor:
        rules = self.rules
        most = rules.max_dropped
        into = _least(
            self.into - rules.min_in if rules.min_in else None,
            None if most is None else torch.full_like(self.into, most),
        )
        out = self.out - rules.min_out if rules.min_out else None
        if self.length is None:
            return _places(old, Limits(swaps + self._forced(), math.inf, into, out, self.both))
        room = Limits(math.inf, math.inf, into, out, self.both)
        longest = torch.argsort(old.length, descending=True, stable=True)
        # Where the least worthy leave too much, constraints have kept long edges: longest first.
        for order in (torch.arange(len(old.length)), longest):
            places = order[_places(old.at(order), room)]
            possible = old.at(places)
            left = self._wire() - possible.length.double().cumsum(0)
            enough = int((left > self.length).sum()) + 1 if self._wire() > self.length else 0
            if enough <= len(left):
                wanted = int((possible.size.cumsum(0) <= swaps).sum())
                return places[: max(enough, wanted)]
        raise ValueError(
            f"the edges that may be dropped leave {float(left[-1]) if len(left) else self._wire()},"
            f" longer than the budget of {self.length}: the others are pinned, too young, or kept "
            "by the constraints. Raise the budget, or start from a shorter graph."
        )

    def _forced(self) -> int:
        """How many edges die because the budget shrinks."""
        return max(0, self.now - self.goal)

    def _wire(self) -> float:
        assert self.graph.distance is not None
        return float(self.graph.distance.detach().double().sum())

    def _degrees(self, some: EdgePairs) -> tuple[Tensor, Tensor]:
        """In- and out-edges per column among `some`."""
        targets, sources = some.edges(self.both)
        into = torch.bincount(targets, minlength=self.graph.num_columns)
        return into, torch.bincount(sources, minlength=self.graph.num_sources)

    def exchange(
        self, old: EdgePairs, new: EdgePairs, swaps: int, margin: float
    ) -> tuple[EdgePairs, EdgePairs]:
        """Under a budget of length: what it wants dropped, and swaps that gain."""
        assert self.length is not None
        forced = old.at(self._drop(old, 0))
        rest = old.at(~torch.isin(self._keys(old), self._keys(forced)))
        slack = self.length - self._wire() + float(forced.length.double().sum())
        lost = self._degrees(forced)
        degrees = self.into - lost[0], self.out - lost[1], lost[0]
        dies, born = swap_within_length(
            self.rules, degrees, rest, new, slack=slack, swaps=swaps, margin=margin
        )
        both = (torch.cat(parts) for parts in zip(forced, rest.at(dies), strict=True))
        return EdgePairs(*both), new.at(born)

    def gaining(self, dropped: EdgePairs, grown: EdgePairs, margin: float) -> Gaining | None:
        """The swaps before the first one that does not gain; None if all do."""
        forced = int((dropped.size.cumsum(0) - dropped.size < self._forced()).sum())
        extra = int((grown.size.cumsum(0) - grown.size < self.goal - self.now).sum())
        loss, gain = dropped.score[forced:], grown.score[extra:]
        pairs = min(len(loss), len(gain))
        bad = (~(gain[:pairs] > loss[:pairs] + margin)).nonzero()[:, 0]
        if not len(bad):
            return None
        first = int(bad[0])
        return Gaining(extra + first, int(dropped.size[forced : forced + first].sum()))

    def without_excess(self, dropped: EdgePairs, grown: EdgePairs) -> Tensor:
        """Which of the dropped edges die; where too few pairs could grow, the best of them stay."""
        dies = torch.ones(len(dropped.score), dtype=torch.bool)
        missing = self.goal - (self.now - _number(dropped) + _number(grown))
        if self.length is not None or missing <= 0:
            return dies
        lost, won = self._degrees(dropped), self._degrees(grown)
        now = [have - a + b for have, a, b in zip((self.into, self.out), lost, won, strict=True)]
        into = _least(
            None if self.rules.max_in is None else self.rules.max_in - now[0],
            lost[0] - won[0] if self.rules.same_in_degree else None,
        )
        out = None if self.rules.max_out is None else self.rules.max_out - now[1]
        places = torch.arange(len(dropped.score)).flip(0)  # the last to be dropped stays first
        places = places[~torch.isin(self._keys(dropped.at(places)), self._keys(grown))]
        stays = places[_places(dropped.at(places), Limits(missing, math.inf, into, out, self.both))]
        dies[stays] = False
        return dies

    def _keys(self, some: EdgePairs) -> Tensor:
        return pair_keys(some.target, some.source, self.graph.num_sources)

    def result(self, dropped: EdgePairs, grown: EdgePairs) -> Selection:
        """The units as edges, on the device of the graph."""
        keys = edge_keys(self.graph).cpu()
        drop = torch.searchsorted(
            keys, pair_keys(*dropped.edges(self.both), self.graph.num_sources)
        )
        targets, sources = (ends.long() for ends in grown.edges(self.both))
        missing = 0 if self.length is not None else self.goal - self.now + len(drop) - len(targets)
        device = self.graph.device
        return Selection(drop.to(device), targets.to(device), sources.to(device), missing)


def _places(some: EdgePairs, room: Limits) -> Tensor:
    return take_greedily(some.target, some.source, some.length, room)


def _number(some: EdgePairs) -> int:
    return int(some.size.sum())


def _least(*limits: Tensor | None) -> Tensor | None:
    """The tightest of several limits per column."""
    given = [limit for limit in limits if limit is not None]
    return torch.stack(given).amin(0) if given else None
