"""Change the edges of a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import pointers
from graphcolumns.plasticity.keys import checked_pairs, contains, edge_keys, pair_keys
from graphcolumns.plasticity.rewiring import NEWBORN, Rewiring


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
    change of few edges costs little more than copying `O(E)`. Survivors keep their length.

    Args:
        graph: the edges now.
        drop: ids of edges to drop, `[D]`, each once.
        grow: targets and sources of the edges to grow, `[G]` each.
        geometry: measures the newborns; needed if the graph has distances.
        sources: the geometry of the sources of a bipartite graph.
        keep_regrown: an edge both dropped and grown goes on as if nothing had happened, as in
            RigL. Otherwise its state is gone with it and it is a newborn.

    Raises:
        ValueError: an id out of range, an edge dropped twice or grown twice, an edge grown that is
            there already, no geometry for newborns of a measured graph, or a newborn without
            finite length.
        TypeError: ids that are not integers.

    Source: Evci et al., Rigging the lottery, ICML 2020, for the regrown edges of RigL.
    """
    survives = _survivors(graph, drop)
    keys = edge_keys(graph)
    wanted = _wanted(graph, grow)
    if keep_regrown:
        survives |= contains(wanted, keys)
        wanted = wanted[~contains(keys, wanted)]
    kept = survives.nonzero()[:, 0]
    _check_absent(wanted, keys[kept], graph)
    old, new = _places(keys[kept], wanted)
    origin = torch.full((len(kept) + len(wanted),), NEWBORN, device=graph.device)
    origin[old] = kept
    merged = torch.empty_like(origin)
    merged[old], merged[new] = keys[kept], wanted
    target, source = merged // graph.num_sources, merged % graph.num_sources
    distance = None
    if graph.distance is not None:
        distance = graph.distance.new_empty(len(origin))
        distance[old] = graph.distance[kept]
        distance[new] = _measured(graph, merged[new], geometry, sources).to(distance)
    rowptr = pointers(target, graph.num_columns)
    after = ColumnGraph(rowptr, source.int(), distance, graph.num_sources)
    return Rewiring(after, origin, graph)


def _survivors(graph: ColumnGraph, drop: Tensor) -> Tensor:
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


def _check_absent(wanted: Tensor, kept: Tensor, graph: ColumnGraph) -> None:
    there = wanted[contains(kept, wanted)]
    if len(there):
        raise ValueError(
            f"only pairs that are not edges can grow. Got {_name(there[0], graph)}, which is an "
            "edge that is not dropped."
        )


def _name(key: Tensor, graph: ColumnGraph) -> str:
    target, source = divmod(int(key), graph.num_sources)
    return f"(source {source}, target {target})"


def _places(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Where the entries of two sorted lists without common keys go in their merged list."""
    ranks = [torch.arange(len(keys), device=keys.device) for keys in (first, second)]
    smaller = torch.searchsorted(second, first), torch.searchsorted(first, second)
    return ranks[0] + smaller[0], ranks[1] + smaller[1]


def _measured(
    graph: ColumnGraph, keys: Tensor, geometry: Geometry | None, sources: Geometry | None
) -> Tensor:
    """The lengths of newborns."""
    if not len(keys):
        return torch.empty(0)
    if geometry is None:
        raise ValueError(
            "newborn edges of a graph with distances must be measured. Got geometry=None; pass the "
            "geometry that measured the graph."
        )
    geometry.require_columns(graph.num_columns)
    (sources or geometry).require_columns(graph.num_sources)
    keys = keys.to(geometry.positions.device)
    return geometry.distance(keys // graph.num_sources, keys % graph.num_sources, sources)
