"""The result of one change of topology: the new edges, and which old edge each of them is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import origin

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
