"""Parts of a choice, so that each can be tried on its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.selection.selector import Selection


def groups_of_swaps(chosen: Selection, groups: int, by_target: bool) -> Iterator[Selection]:
    """First what changes the number of edges, then the swaps, the clearest first.

    Args:
        chosen: All edges to drop and pairs to grow.
        groups: Number of groups of swaps, about.
        by_target: Whether swaps are within a column, so that a part of them keeps its in-degree.
    """
    swaps = min(len(chosen.drop), len(chosen.targets))
    lost, more = len(chosen.drop) - swaps, len(chosen.targets) - swaps
    if by_target:
        order = chosen.targets.argsort(stable=True)
        ends = chosen.targets[order], chosen.sources[order]
        chosen = Selection(chosen.drop.sort().values, *ends, chosen.missing)
    return _groups(chosen, groups, more, [lost] * more + list(range(lost, lost + swaps + 1)))


def groups_of_wire(
    chosen: Selection, groups: int, graph: ColumnGraph, born: Tensor, length: float
) -> Iterator[Selection]:
    """First what the budget wants dropped, then pairs with the edges that make room for them.

    Args:
        chosen: All edges to drop and pairs to grow.
        groups: Number of groups of pairs, about.
        graph: Edges as they are, with lengths.
        born: Length of every pair, ``[G]``.
        length: Budget of summed length.
    """
    assert graph.distance is not None
    freed = graph.distance[chosen.drop].tolist()
    slack, dropped, drops = length - float(graph.distance.double().sum()), 0, []
    # The edges are dropped in order, so each pair needs those before it and perhaps some more.
    for needed in [0.0, *born.tolist()]:
        while slack < needed and dropped < len(freed):
            slack, dropped = slack + freed[dropped], dropped + 1
        slack -= needed
        drops.append(dropped)
    return _groups(chosen, groups, 0, drops)


def joined(first: Selection, second: Selection) -> Selection:
    """Two parts in one."""
    drop = torch.cat([first.drop, second.drop])
    targets = torch.cat([first.targets, second.targets])
    return Selection(drop, targets, torch.cat([first.sources, second.sources]), first.missing)


def _groups(chosen: Selection, groups: int, forced: int, drops: list[int]) -> Iterator[Selection]:
    """The first ``forced`` pairs, then the others in groups; ``drops[n]`` edges go with ``n``."""
    pairs = len(chosen.targets)
    size = max(1, -(-(pairs - forced) // groups))
    stops = sorted({forced, *range(forced, pairs, size), pairs})
    cuts = [(stop, drops[stop]) for stop in stops]
    if drops[pairs] < len(chosen.drop):  # edges that make room for nothing
        cuts.append((pairs, len(chosen.drop)))
    grown, dropped = 0, 0
    for grow, drop in cuts:
        ends = chosen.targets[grown:grow], chosen.sources[grown:grow]
        yield Selection(chosen.drop[dropped:drop], *ends, chosen.missing)
        grown, dropped = grow, drop
