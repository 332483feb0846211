"""How swaps are selected: drop the least worthy, grow the best, as rules and budget allow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs
from graphcolumns.plasticity.selection.greedy import Limits, take_greedily
from graphcolumns.plasticity.selection.length_budget import (
    drop_to_length,
    summed_length,
    swap_within_length,
)


class Selection(NamedTuple):
    """Edges to drop and pairs to grow, what ``rewire`` takes; the clearest cases first.

    ``missing`` is how many edges fewer than the budget wants there will be (negative: more),
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
    """State kept while swaps are selected: the graph, the rules, the budget.

    Args:
        graph: Edges as they are.
        rules: Constraints for the edges afterwards.
        edges: Budget of edges, or None for as many as now.
        length: Budget of summed length in its place, or None.
        overhead: Cost of an edge whatever its length, see ``select``.
    """

    def __init__(
        self,
        graph: ColumnGraph,
        rules: Constraints,
        edges: int | None,
        length: float | None,
        overhead: float | None = None,
    ) -> None:
        self.graph, self.rules, self.length, self.overhead = graph, rules, length, overhead
        self.more = 0 if edges is None else edges - graph.num_edges  # edges that the budget adds
        self.into, self.out = graph.in_degree.cpu(), graph.out_degree.cpu()
        self.both = rules.symmetric

    def swap(
        self, old: EdgePairs, new: EdgePairs, again: EdgePairs | None, swaps: int
    ) -> tuple[EdgePairs, EdgePairs]:
        """Drop ``swaps`` edges, and what the budget wants dropped; grow what the budget allows.

        Args:
            old: Edges that may be dropped, lowest score first.
            new: Pairs that may grow, highest score first.
            again: Units of ``old`` with their score for growing; those dropped compete.
            swaps: Number of edges to drop.
        """
        places = self.drop(old, swaps)
        dropped = old.at(places)
        if again is not None:
            # By key, so that equal scores are taken in the order of their keys.
            new = EdgePairs(*(torch.cat(x) for x in zip(new, again.at(places), strict=True)))
            new = new.at(torch.argsort(new.keys(self.graph)))
            new = new.at(new.order(True, self.overhead))
        return dropped, self._grow(new, dropped)

    def drop(self, old: EdgePairs, swaps: int) -> Tensor:
        """Places of ``swaps`` edges to drop, the least worthy, and of what the budget wants."""
        rules = self.rules
        into = _tightest(
            self.into - rules.min_in if rules.min_in else None,
            None if rules.max_dropped is None else torch.full_like(self.into, rules.max_dropped),
        )
        out = self.out - rules.min_out if rules.min_out else None
        if self.length is not None:
            limits = Limits(into=into, out=out, both=self.both)
            return drop_to_length(old, limits, summed_length(self.graph), self.length, swaps)
        return take_greedily(
            *old[:3], Limits(swaps + max(0, -self.more), math.inf, into, out, self.both)
        )

    def _grow(self, new: EdgePairs, dropped: EdgePairs) -> EdgePairs:
        """The best pairs that fit in the place of what was dropped."""
        number, slack, rules = math.inf, math.inf, self.rules
        if self.length is None:
            number = self.more + int(dropped.size.sum())
        else:
            slack = self.length - summed_length(self.graph) + float(dropped.length.double().sum())
        lost_in, lost_out = self.degrees(dropped)
        into = _tightest(
            None if rules.max_in is None else rules.max_in - self.into + lost_in,
            None if rules.max_new is None else torch.full_like(lost_in, rules.max_new),
            lost_in if rules.same_in_degree else None,
        )
        out = None if rules.max_out is None else rules.max_out - self.out + lost_out
        return new.at(take_greedily(*new[:3], Limits(number, slack, into, out, self.both)))

    def swap_within_length(
        self, old: EdgePairs, new: EdgePairs, swaps: int, margin: float
    ) -> tuple[EdgePairs, EdgePairs]:
        """Under a budget of length: what it wants dropped, and swaps that gain."""
        assert self.length is not None
        # First what the budget demands, whatever it costs; the rest competes with the pairs.
        forced = old.at(self.drop(old, 0))
        rest = old.at(~torch.isin(old.keys(self.graph), forced.keys(self.graph)))
        slack = self.length - summed_length(self.graph) + float(forced.length.double().sum())
        lost_in, lost_out = self.degrees(forced)
        degrees = self.into - lost_in, self.out - lost_out, lost_in
        drop, grow = swap_within_length(
            self.rules, degrees, rest, new, slack=slack, swaps=swaps, margin=margin
        )
        dropped = (torch.cat(parts) for parts in zip(forced, rest.at(drop), strict=True))
        return EdgePairs(*dropped), new.at(grow)

    def gaining(self, dropped: EdgePairs, grown: EdgePairs, margin: float) -> Gaining | None:
        """The swaps before the first one that does not gain; None if all do."""
        # What the budget adds or takes away is no swap: it need not gain, and comes first.
        forced = int((dropped.size.cumsum(0) - dropped.size < max(0, -self.more)).sum())
        extra = int((grown.size.cumsum(0) - grown.size < self.more).sum())
        loss, gain = dropped.score[forced:], grown.score[extra:]
        pairs = min(len(loss), len(gain))
        bad = (~(gain[:pairs] > loss[:pairs] + margin)).nonzero()[:, 0]
        if not len(bad):
            return None
        first = int(bad[0])
        return Gaining(extra + first, int(dropped.size[forced : forced + first].sum()))

    def without_excess(self, dropped: EdgePairs, grown: EdgePairs) -> EdgePairs:
        """The edges that are dropped; where too few pairs could grow, the best of them stay."""
        missing = self.more + int(dropped.size.sum()) - int(grown.size.sum())
        if self.length is not None or missing <= 0:
            return dropped
        rules, lost, won = self.rules, self.degrees(dropped), self.degrees(grown)
        now = [have - a + b for have, a, b in zip((self.into, self.out), lost, won, strict=True)]
        into = _tightest(
            None if rules.max_in is None else rules.max_in - now[0],
            lost[0] - won[0] if rules.same_in_degree else None,
        )
        out = None if rules.max_out is None else rules.max_out - now[1]
        # The last to be dropped is the first to stay. What has grown again has stayed already.
        places = torch.arange(len(dropped.score)).flip(0)
        keys = dropped.at(places).keys(self.graph)
        places = places[~torch.isin(keys, grown.keys(self.graph))]
        limits = Limits(missing, math.inf, into, out, self.both)
        stays = places[take_greedily(*dropped.at(places)[:3], limits)]
        drop = torch.ones(len(dropped.score), dtype=torch.bool)
        drop[stays] = False
        return dropped.at(drop)

    def degrees(self, some: EdgePairs) -> tuple[Tensor, Tensor]:
        """In- and out-edges per column among ``some``."""
        targets, sources = some.edges(self.both)
        into = torch.bincount(targets, minlength=self.graph.num_columns)
        return into, torch.bincount(sources, minlength=self.graph.num_sources)

    def result(self, dropped: EdgePairs, grown: EdgePairs) -> Selection:
        """The units as edges, on the device of the graph."""
        device = self.graph.device
        ends = (x.to(device) for x in dropped.edges(self.both))
        drop = edge_ids(self.graph, *ends)
        targets, sources = (x.long().to(device) for x in grown.edges(self.both))
        missing = 0 if self.length is not None else self.more + len(drop) - len(targets)
        return Selection(drop, targets, sources, missing)


def _tightest(*limits: Tensor | None) -> Tensor | None:
    """The tightest of several limits per column."""
    given = [limit for limit in limits if limit is not None]
    return torch.stack(given).amin(0) if given else None
