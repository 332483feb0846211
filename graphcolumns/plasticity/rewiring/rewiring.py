"""Change the edges of a graph: the new edges, and which old edge each of them is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import pointers
from graphcolumns.graph.keys import checked_pairs, contains, edge_keys, origin, pair_keys

NEWBORN = -1


@dataclass(frozen=True, eq=False, repr=False)
class Rewiring:
    """The result of one change of topology. A frozen value that checks itself.

    ``origin`` alone says what becomes of everything that is kept per edge: entry ``e`` of a new
    tensor is entry ``origin[e]`` of the old one, and where ``origin[e]`` is -1 the edge is new.

    Args:
        graph: Edges after the change; they get the name of those before.
        origin: Index of the old edge, or -1 for a newborn, ``[E']`` int64.
        before: Edges before the change.

    Attributes:
        survived: Whether each edge of ``graph`` was there before, ``[E']`` bool.
        born: Edges of ``graph`` that are newborn, ascending ids.
        died: Edges of ``before`` that are gone, or that came back as newborns, ascending ids.

    Raises:
        ValueError: The graphs have other columns or sources, ``origin`` is out of range, or a
            survivor is not the edge that it was (its target or its source differs).
        TypeError: ``origin`` is not int64.
    """

    graph: ColumnGraph
    origin: Tensor
    before: ColumnGraph
    survived: Tensor = field(init=False)
    born: Tensor = field(init=False)
    died: Tensor = field(init=False)

    def __post_init__(self) -> None:
        before, after = self.before, self.graph
        sizes = [(graph.num_columns, graph.num_sources) for graph in (before, after)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                "a rewiring changes edges, not columns or sources. Got "
                f"{before} before and {after} after."
            )
        if not torch.is_tensor(self.origin) or self.origin.dtype != torch.int64:
            got = getattr(self.origin, "dtype", type(self.origin).__name__)
            raise TypeError(f"origin must be an int64 tensor. Got {got}; call .long().")
        if self.origin.shape != (after.num_edges,):
            raise ValueError(
                f"origin must name one old edge per new edge, shape ({after.num_edges},). "
                f"Got {tuple(self.origin.shape)}."
            )
        if after.name != before.name:
            object.__setattr__(self, "graph", after.named(before.name))
        bad = (self.origin < NEWBORN) | (self.origin >= before.num_edges)
        if bad.any():
            raise ValueError(
                f"origin must lie in [-1, {before.num_edges}), -1 for a newborn. "
                f"Got {int(self.origin[bad][0])}."
            )
        self._sort_out()

    def _sort_out(self) -> None:
        """Fill the attributes; refuse a survivor that is another edge than before."""
        survived, before, after = self.origin >= 0, self.before, self.graph
        old = self.origin[survived]
        moved = before.target[old] != after.target[survived]
        moved |= before.source[old] != after.source[survived]
        if moved.any():
            edge = int(survived.nonzero()[moved][0])
            raise ValueError(
                "a survivor must keep its target and source, or it would get the state of another "
                f"edge. Edge {edge} has origin {int(self.origin[edge])}; call rewire, which "
                "computes origin."
            )
        gone = torch.ones(before.num_edges, dtype=torch.bool, device=self.origin.device)
        gone[old] = False
        object.__setattr__(self, "survived", survived)
        object.__setattr__(self, "born", (~survived).nonzero()[:, 0])
        object.__setattr__(self, "died", gone.nonzero()[:, 0])

    @classmethod
    def between(cls, before: ColumnGraph, after: ColumnGraph) -> Rewiring:
        """The change from one graph to another; edges that both have are survivors.

        It brings a freshly built model to the topology of a checkpoint, so that its parameters
        have the sizes of those that are then loaded.
        """
        return cls(after, origin(before, after), before)

    def __reduce__(self) -> tuple[type[Rewiring], tuple[ColumnGraph, Tensor, ColumnGraph]]:
        # Through the constructor, so that a file is checked.
        return Rewiring, (self.graph, self.origin, self.before)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*(state[name] for name in ("graph", "origin", "before")))  # type: ignore[misc]

    def __repr__(self) -> str:
        return (
            f"Rewiring(num_edges={self.graph.num_edges}, born={len(self.born)}, "
            f"died={len(self.died)})"
        )

    def carried(self, values: Tensor, newborn: float | Tensor = 0.0) -> Tensor:
        """A per-edge tensor brought along: survivors keep their entry bit for bit.

        Ages, in updates survived, are ``rewiring.carried(age + 1)``.

        Args:
            values: One entry per old edge, ``[E, ...]``, on any device.
            newborn: Entry of every newborn, or one for each, ``[len(born), ...]``.

        Returns:
            One entry per new edge, ``[E', ...]``.

        Raises:
            ValueError: ``values`` does not hold one entry per old edge.
        """
        if not values.ndim or len(values) != self.before.num_edges:
            raise ValueError(
                f"a per-edge tensor must have one entry per old edge, {self.before.num_edges} in "
                f"its first dimension. Got shape {tuple(values.shape)}."
            )
        origin = self.origin.to(values.device)
        result = values.new_empty((len(origin), *values.shape[1:]))
        survived = origin >= 0
        result[survived] = values[origin[survived]]
        result[~survived] = newborn.to(values) if torch.is_tensor(newborn) else newborn
        return result

    def then(self, later: Rewiring) -> Rewiring:
        """This change and a later one as a single change; it carries as both do in turn.

        An edge that is dropped here and grown again later is a newborn.

        Raises:
            ValueError: ``later`` starts from other edges than this one ends with.
        """
        if not later.before.same_topology(self.graph):
            raise ValueError(
                "the later rewiring must start where this one ends. Got "
                f"{later.before} after {self.graph}."
            )
        first = torch.cat([self.origin, self.origin.new_full((1,), NEWBORN)])  # [-1] is a newborn
        return Rewiring(later.graph, first[later.origin.to(first.device)], self.before)


# Nothing but the constructor runs when a file is read, and it checks.
torch.serialization.add_safe_globals([Rewiring])


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
