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
        chosen: all deaths and births.
        groups: how many groups of swaps, about.
        by_target: swaps within a column, so that a part of them leaves it its in-degree.
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
    """First the deaths that the budget demands, then births with those that make room for them.

    Args:
        chosen: all deaths and births.
        groups: how many groups of births, about.
        graph: the edges now, with lengths.
        born: the length of every birth, `[G]`.
        length: the budget.
    """
    assert graph.distance is not None
    freed = graph.distance[chosen.drop].tolist()
    slack, died, deaths = length - float(graph.distance.double().sum()), 0, []
    for needed in [0.0, *born.tolist()]:
        while slack < needed and died < len(freed):
            slack, died = slack + freed[died], died + 1
        slack -= needed
        deaths.append(died)
    return _groups(chosen, groups, 0, deaths)


def joined(first: Selection, second: Selection) -> Selection:
    """Two parts in one."""
    drop = torch.cat([first.drop, second.drop])
    targets = torch.cat([first.targets, second.targets])
    return Selection(drop, targets, torch.cat([first.sources, second.sources]), first.missing)


def _groups(chosen: Selection, groups: int, forced: int, deaths: list[int]) -> Iterator[Selection]:
    """The first `forced` births, then the others in groups; `deaths[n]` go with `n` births."""
    births = len(chosen.targets)
    size = max(1, -(-(births - forced) // groups))
    stops = sorted({forced, *range(forced, births, size), births})
    cuts = [(stop, deaths[stop]) for stop in stops]
    if deaths[births] < len(chosen.drop):  # deaths that make room for nothing
        cuts.append((births, len(chosen.drop)))
    before, dead = 0, 0
    for stop, died in cuts:
        ends = chosen.targets[before:stop], chosen.sources[before:stop]
        yield Selection(chosen.drop[dead:died], *ends, chosen.missing)
        before, dead = stop, died
