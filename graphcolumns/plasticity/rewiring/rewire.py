"""Change the edges of a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import pointers
from graphcolumns.graph.keys import checked_pairs, contains, edge_keys, pair_keys
from graphcolumns.plasticity.rewiring.rewiring import NEWBORN, Rewiring


@torch.no_grad()
def rewire(
    graph: ColumnGraph,
    drop: Tensor,
    grow: tuple[Tensor, Tensor],
    geometry: Geometry | None = None,
    sources: Geometry | None = None,
    keep_regrown: bool = False,
) -> Rewiring:
    """Drop edges, grow others, and say where every edge comes from.

    The two sorted lists of survivors and newborns are merged: only the newborns are sorted, so a
    change of few edges costs little more than copying ``O(E)``. Survivors keep their length.

    Args:
        graph: Edges now.
        drop: Ids of edges to drop, ``[D]``, each once.
        grow: Targets and sources of the edges to grow, ``[G]`` each.
        geometry: Geometry that measures the newborns; needed if the graph has distances.
        sources: Geometry of the sources of a bipartite graph.
        keep_regrown: Whether an edge both dropped and grown goes on as if nothing had happened, as
            in RigL. Otherwise its state is gone with it and it is a newborn.

    Raises:
        ValueError: An id out of range, an edge dropped twice or grown twice, an edge grown that is
            there already, no geometry for newborns of a measured graph, or a newborn without
            finite length.
        TypeError: Ids that are not integers.

    Source: Evci et al., Rigging the lottery, ICML 2020, for the regrown edges of RigL.
    """
    survives, wanted = _survivors(graph, drop), _wanted(graph, grow)
    if keep_regrown:
        keys = edge_keys(graph)
        survives |= contains(wanted, keys)
        wanted = wanted[~contains(keys, wanted)]
        del keys
    alive = _alive(graph, survives, wanted)

    def merged(old: Tensor, new: Tensor) -> Tensor:
        """Values of survivors and newborns in the order of the edges, in the type of ``old``."""
        values = old.new_empty(len(alive))
        values[alive], values[~alive] = old, new.to(old)
        return values

    # One list at a time: of millions of edges, each is a large part of the memory.
    target = merged(graph.target[survives], wanted // graph.num_sources)
    rowptr = pointers(target, graph.num_columns)
    del target
    source = merged(graph.source[survives], wanted % graph.num_sources)
    distance = None
    if graph.distance is not None:
        lengths = _measured(graph, wanted, geometry, sources) if len(wanted) else torch.empty(0)
        distance = merged(graph.distance[survives], lengths)
    after = ColumnGraph(rowptr, source, distance, graph.num_sources, graph.name)
    origin = merged(survives.nonzero()[:, 0], torch.full_like(wanted, NEWBORN))
    return Rewiring(after, origin, graph)


def _survivors(graph: ColumnGraph, drop: Tensor) -> Tensor:
    """Whether each edge is kept, ``[E]`` bool."""
    if not torch.is_tensor(drop) or drop.is_floating_point() or drop.dtype == torch.bool:
        got = getattr(drop, "dtype", type(drop).__name__)
        raise TypeError(f"drop must be a tensor of edge ids. Got {got}; call .nonzero()[:, 0].")
    drop = drop.to(graph.device).long().reshape(-1)
    bad = drop[(drop < 0) | (drop >= graph.num_edges)]
    if len(bad):
        raise ValueError(f"drop must hold edge ids in [0, {graph.num_edges}). Got {int(bad[0])}.")
    survives = torch.ones(graph.num_edges, dtype=torch.bool, device=graph.device)
    survives[drop] = False
    if int(survives.sum()) != graph.num_edges - len(drop):
        raise ValueError("drop must name each edge once. Got an edge id more than once.")
    return survives


def _wanted(graph: ColumnGraph, grow: tuple[Tensor, Tensor]) -> Tensor:
    """Sorted keys of the edges to grow, checked to be different."""
    targets, sources = checked_pairs(graph, *grow)
    wanted = pair_keys(targets, sources, graph.num_sources).sort().values
    twice = wanted[1:][wanted[1:] == wanted[:-1]]
    if len(twice):
        raise ValueError(f"an edge can grow once. Got {_name(twice[0], graph)} more than once.")
    return wanted


def _name(key: Tensor, graph: ColumnGraph) -> str:
    target, source = divmod(int(key), graph.num_sources)
    return f"(source {source}, target {target})"


def _alive(graph: ColumnGraph, survives: Tensor, wanted: Tensor) -> Tensor:
    """Which of the edges afterwards are survivors, ``[E']`` bool; the others are ``wanted``."""
    kept = edge_keys(graph)[survives]
    there = wanted[contains(kept, wanted)]
    if len(there):
        raise ValueError(
            f"only pairs that are not edges can grow. Got {_name(there[0], graph)}, which is an "
            "edge that is not dropped."
        )
    places = torch.searchsorted(kept, wanted) + torch.arange(len(wanted), device=graph.device)
    alive = torch.ones(len(kept) + len(wanted), dtype=torch.bool, device=graph.device)
    alive[places] = False
    return alive


def _measured(
    graph: ColumnGraph, keys: Tensor, geometry: Geometry | None, sources: Geometry | None
) -> Tensor:
    """The lengths of newborns."""
    if geometry is None:
        raise ValueError(
            "newborn edges of a graph with distances must be measured. Got geometry=None; pass the "
            "geometry that measured the graph."
        )
    geometry.require_columns(graph.num_columns)
    (sources or geometry).require_columns(graph.num_sources)
    keys = keys.to(geometry.positions.device)
    return geometry.distance(keys // graph.num_sources, keys % graph.num_sources, sources)
