"""The edges of a graph as places that a null fills anew, and the graph that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import check_real, check_sizes
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Ids = NDArray[np.int64]


class NullDraw(NamedTuple):
    """One graph of a null.

    Args:
        graph: Edges, ``[E]`` as many as observed; measured if a geometry was given.
        weights: Weight of every edge, ``[E]``; None if none were given.
        origin: Id of the observed edge whose weight each edge carries, ``[E]`` int64: ``x[origin]``
            is any other per-edge tensor ``x``.
    """

    graph: ColumnGraph
    weights: Tensor | None
    origin: Tensor


@dataclass
class EdgeSlots:
    """Edges that may change, one slot each, and those that stay.

    Args:
        source: Source of every slot, ``[S]``.
        target: Target of every slot, ``[S]``.
        origin: Observed edge whose weight the slot carries, ``[S]``.
        fixed: Ids of the observed edges that stay as they are.
        mirror: Id of the reverse of every observed edge, ``[E]``; None in a directed graph, whose
            slots are edges. In an undirected graph a slot is a pair of edges.
        columns: Number of columns.
    """

    source: Ids
    target: Ids
    origin: Ids
    fixed: Ids
    mirror: Ids | None
    columns: int

    @property
    def undirected(self) -> bool:
        """Whether a slot stands for two edges, one in each direction."""
        return self.mirror is not None

    def keys(self, source: Ids, target: Ids) -> Ids:
        """One number per edge, or per pair of edges in an undirected graph."""
        if self.undirected:
            source, target = np.minimum(source, target), np.maximum(source, target)
        return source * self.columns + target

    def draw(
        self, graph: ColumnGraph, weights: Tensor | None, geometry: Geometry | None
    ) -> NullDraw:
        """The graph of these slots, with the weights that they carry."""
        source, target, origin = self.source, self.target, self.origin
        if self.mirror is not None:
            source, target = np.append(source, target), np.append(target, source)
            origin = np.append(origin, self.mirror[origin])
        kept = graph.edge_index.cpu().numpy()[:, self.fixed]
        edges = np.stack([np.append(source, kept[0]), np.append(target, kept[1])])
        origin = np.append(origin, self.fixed)
        return null_draw(graph, weights, geometry, edges, origin)


def null_draw(
    graph: ColumnGraph,
    weights: Tensor | None,
    geometry: Geometry | None,
    edges: Ids,
    origin: Ids,
) -> NullDraw:
    """Edges ``[2, E]`` in any order as a graph, with the weights of the edges of ``origin``."""
    edge_index = torch.from_numpy(edges)
    order = ColumnGraph.edge_order(edge_index)
    drawn = ColumnGraph.from_edge_index(edge_index, graph.num_columns).to(graph.device)
    if geometry is not None:
        drawn = drawn.remeasure(geometry)
    carried = torch.from_numpy(origin)[order].to(graph.device)
    weights = None if weights is None else weights[carried]
    return NullDraw(drawn.named(graph.name), weights, carried)


def edge_slots(
    graph: ColumnGraph, weights: Tensor | None, undirected: bool, self_edges: bool
) -> EdgeSlots:
    """The slots of a graph.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``.
        undirected: Whether every edge has its reverse, and keeps it.
        self_edges: Whether edges of a column to itself are slots; otherwise they stay.

    Raises:
        ValueError: A bipartite graph; weights of another shape or not finite; in an undirected
            graph an edge without its reverse, two weights of a pair or self-edges as slots.
    """
    check_observed(graph, weights)
    source, target = graph.edge_index.cpu().numpy()
    n, mirror = graph.num_columns, None
    free = np.full(len(source), True) if self_edges else source != target
    fixed = np.flatnonzero(~free)
    if undirected:
        if self_edges:
            raise ValueError(
                "self-edges of an undirected graph stay where they are. Got self_edges=True; "
                "pass self_edges=False."
            )
        mirror = reverse_edges(source, target, n)
        check_mirrored(weights, mirror)
        free = source < target
    origin = np.flatnonzero(free)
    # Slots lie source by source, so that the out-edges of a column are found by pointers.
    origin = origin[np.argsort(source[origin], kind="stable")]
    return EdgeSlots(source[origin], target[origin], origin, fixed, mirror, n)


def reverse_edges(source: Ids, target: Ids, columns: int) -> Ids:
    """Id of the reverse of every edge of a symmetric graph, edges sorted by (target, source)."""
    keys, reverse = target * columns + source, source * columns + target
    found = np.minimum(np.searchsorted(keys, reverse), max(len(keys) - 1, 0))
    alone = np.flatnonzero(keys[found] != reverse)
    if len(alone):
        first = alone[0]
        raise ValueError(
            "every edge of an undirected graph must have its reverse. Got an edge from "
            f"{source[first]} to {target[first]} alone; pass undirected=False."
        )
    return found


def check_mirrored(weights: Tensor | None, mirror: Ids) -> None:
    """Raise unless both edges of every pair have one weight."""
    if weights is None:
        return
    unequal = (weights != weights[torch.from_numpy(mirror).to(weights.device)]).nonzero()
    if len(unequal):
        raise ValueError(
            "both edges of a pair must have one weight in an undirected graph. Got two at edge "
            f"{int(unequal[0])} and its reverse; pass undirected=False."
        )


def check_observed(graph: ColumnGraph, weights: Tensor | None) -> None:
    """Raise unless columns receive from each other, and there is one finite weight per edge."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"a null needs as many sources as columns. Got {graph}; a bipartite graph has no null "
            "here."
        )
    if weights is None:
        return
    check_real(weights)
    if weights.shape != (graph.num_edges,):
        raise ValueError(
            f"weights must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(weights.shape)}."
        )
    if not bool(torch.isfinite(weights).all()):
        first = int((~torch.isfinite(weights)).nonzero()[0])
        raise ValueError(f"weights must be finite. Got {float(weights[first])} at edge {first}.")
    check_sizes(weights.detach().double().cpu().numpy())
