"""Find places for columns that need less wire, by swaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import connected_parts
from graphcolumns.graph import ColumnGraph
from graphcolumns.placement.swap import swap_change, wire_cost
from graphcolumns.random.column_draws import random_ids, random_source
from graphcolumns.random.counter import uniform

NEAR = 9  # places around that of a neighbour, among which a column may look for its own
ROUNDING = 1e-9  # of the mean cost of an edge: smaller savings are rounding


@dataclass(frozen=True, eq=False)
class Placement:
    r"""The result of a placement.

    Attributes:
        geometry: The same places in another order: column ``n`` is at its position ``n``.
        slot: The former column at whose place column ``n`` is now, ``[N]`` int64.
        cost_before: Cost of all wire before, :math:`\sum_e w_e d_e^p`.
        cost_after: Cost of all wire after.
        swaps: Number of accepted swaps.
    """

    geometry: Geometry
    slot: Tensor
    cost_before: float
    cost_after: float
    swaps: int


def place_columns(
    graph: ColumnGraph,
    geometry: Geometry,
    *,
    weight: Tensor | None = None,
    power: float = 1.0,
    rounds: int = 200,
    temperature: float = 0.0,
    seed: int = 0,
) -> Placement:
    r"""Columns exchange places while that saves wire, :math:`\sum_e w_e d_e^p`.

    A round proposes a swap to every column: in even rounds with a random one, in odd rounds with
    one whose place is near that of a source. Swaps that save wire are accepted, and others with
    probability :math:`e^{-\Delta / \tau}`, a temperature that falls linearly to 0. Of accepted
    swaps that touch one column or one edge only one happens in a round, so savings add exactly.
    What is returned is the best placement found, never a worse one than the given.

    Anchors of the geometry stay. They matter: if what sees the input may move freely, wire is saved
    by moving the input. The result depends on the arguments only, not on a global random state.

    Args:
        graph: ``N`` columns and their edges.
        geometry: Their positions, among which they are permuted.
        weight: Weights ``w`` of the edges, ``[E]``, not negative (default: 1).
        power: Exponent ``p`` of the distance, above 0.
        rounds: Number of rounds.
        temperature: Temperature :math:`\tau` of the first round, in units of the mean cost of an
            edge; with 0 the cost falls from swap to swap.
        seed: Seed of the proposals, 0 or above.

    Raises:
        ValueError: What ``swap_change`` refuses, negative rounds or temperature.

    Source: Liu, Gan & Tegmark, Seeing is believing, Entropy 26 (2024), which swaps neurons of a
    layer; Kirkpatrick, Gelatt & Vecchi, Optimization by simulated annealing, Science 220 (1983).
    """
    if rounds < 0 or temperature < 0:
        raise ValueError(f"need rounds >= 0 and temperature >= 0. Got {rounds} and {temperature}.")
    before = wire_cost(graph, geometry, weight=weight, power=power)
    graph, start, unit = graph.to("cpu"), geometry.to("cpu"), before / max(graph.num_edges, 1)
    free = _free(start)
    near = _near(start)
    slot, cost, swaps = torch.arange(start.num_columns), before, 0
    best, least = slot, before
    for number in range(rounds):
        first, second = _proposed(graph, near, slot, free, seed, number)
        now = start.permute(slot)
        change = swap_change(graph, now, first, second, weight=weight, power=power)
        heat = temperature * unit * (1 - number / rounds)
        wanted = _wanted(change, heat, ROUNDING * unit, seed, number)
        chosen = wanted[_apart(graph, first[wanted], second[wanted], change[wanted])]
        a, b = first[chosen], second[chosen]
        slot = slot.clone()
        slot[a], slot[b] = slot[b], slot[a]
        cost, swaps = cost + float(change[chosen].sum()), swaps + len(chosen)
        if cost < least:
            best, least = slot, cost
    placed = geometry.permute(best.to(geometry.positions.device))
    after = wire_cost(graph, placed, weight=weight, power=power)
    return Placement(placed, best, before, after, swaps)


def _near(geometry: Geometry) -> ColumnGraph:
    """Places around every place; along straight lines where a part of a mesh has too few."""
    count = min(NEAR, geometry.num_columns)
    if geometry.metric == "geodesic" and int(np.bincount(connected_parts(geometry)).min()) < count:
        geometry = replace(geometry, metric="euclidean")
    return connect.nearest(geometry, count)


def _free(geometry: Geometry) -> Tensor:
    """Ids of the columns that may move."""
    free = torch.ones(geometry.num_columns, dtype=torch.bool)
    if geometry.anchors is not None:
        free[geometry.anchors] = False
    return free.nonzero()[:, 0]


def _proposed(
    graph: ColumnGraph, near: ColumnGraph, slot: Tensor, free: Tensor, seed: int, number: int
) -> tuple[Tensor, Tensor]:
    """Different free columns, one or no partner for each."""
    if number % 2 == 0 or not graph.num_edges:
        other = free[random_ids(len(free), len(free), seed, "any place", number)]
    else:
        source, has_source = random_source(graph, free, seed, "edge", number)
        # `near` is about places: from column to place, to a place around it, to who is there.
        place, _ = random_source(near, slot[source], seed, "near place", number)
        other = torch.where(has_source, slot.argsort()[place], free)
    may = torch.isin(other, free) & (other != free)
    return free[may], other[may]


def _wanted(change: Tensor, heat: float, rounding: float, seed: int, number: int) -> Tensor:
    """Which swaps would be accepted, each by itself: Metropolis."""
    saves = change < -rounding
    if heat > 0:
        chance = uniform(seed, "accept", number, torch.arange(len(change)))
        saves |= chance < torch.exp(-change.clamp(min=0) / heat)
    return saves.nonzero()[:, 0]


def _apart(graph: ColumnGraph, first: Tensor, second: Tensor, change: Tensor) -> Tensor:
    """Swaps that share no column and no edge: each the best of all that it would disturb.

    Source: Luby, A simple parallel algorithm for the maximal independent set problem, SIAM Journal
    on Computing 15 (1986), one round.
    """
    rank = torch.argsort(torch.argsort(change, stable=True))
    none = torch.full((graph.num_columns,), len(rank))
    touched = none.scatter_reduce(0, torch.cat([first, second]), torch.cat([rank, rank]), "amin")
    source, target = graph.edge_index
    around = touched.scatter_reduce(0, target, touched[source], "amin")
    around = around.scatter_reduce(0, source, touched[target], "amin")
    return ((rank == around[first]) & (rank == around[second])).nonzero()[:, 0]
