"""Rules that an edge set keeps to, whatever its scores are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import check_range, inverse, plain_edges
from graphcolumns.graph.keys import checked_pairs, contains, edge_keys, pair_keys


@dataclass(frozen=True, eq=False)
class Constraints:
    """Rules for every edge set that plasticity makes.

    Args:
        self_loops: Whether a self-edge may grow; those that are there may stay or be dropped.
        symmetric: Whether an edge and its reverse grow and are dropped together.
        same_in_degree: Whether every column grows as many in-edges as it drops.
        min_in: Number of in-edges that every column keeps.
        max_in: Number of in-edges that no column exceeds.
        min_out: Number of out-edges that every source keeps.
        max_out: Number of out-edges that no source exceeds.
        max_new: Number of in-edges that a column may grow per update.
        max_dropped: Number of in-edges that a column may drop per update.
        pinned: Edges that are never dropped, ``[2, P]``, row 0 source and row 1 target; lists too.
        forbidden: Pairs that never grow, ``[2, F]``; lists too.

    Raises:
        ValueError: A negative number, a maximum below its minimum, or ``symmetric`` together with
            ``same_in_degree``, which no swap could satisfy.
    """

    self_loops: bool = False
    symmetric: bool = False
    same_in_degree: bool = False
    min_in: int = 0
    max_in: int | None = None
    min_out: int = 0
    max_out: int | None = None
    max_new: int | None = None
    max_dropped: int | None = None
    pinned: Tensor | None = None
    forbidden: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("pinned", "forbidden"):
            if isinstance(getattr(self, name), list | tuple):
                pairs = torch.as_tensor(getattr(self, name))
                # torch makes floating numbers of an empty list.
                object.__setattr__(self, name, pairs if pairs.numel() else pairs.long())
        for name in ("min_in", "max_in", "min_out", "max_out", "max_new", "max_dropped"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative. Got {value}.")
        for end in ("in", "out"):
            least, most = getattr(self, f"min_{end}"), getattr(self, f"max_{end}")
            if most is not None and most < least:
                raise ValueError(f"max_{end} must be at least min_{end}. Got {most} and {least}.")
        if self.symmetric and self.same_in_degree:
            raise ValueError(
                "symmetric edges change the in-degree of both their ends. Got symmetric=True and "
                "same_in_degree=True; choose one."
            )

    def permute(self, permutation: Tensor) -> Constraints:
        """The same rules for columns in another order, as ``Geometry.permute`` and that of a graph.

        Args:
            permutation: Every column id once, ``[N]`` int64; column ``n`` of the result is
                ``permutation[n]`` here.

        Raises:
            ValueError: A pair names no column.
        """
        new_id = inverse(permutation, len(permutation))
        pinned, forbidden = (
            None if pairs is None else _renamed(name, pairs, new_id)
            for name, pairs in (("pinned", self.pinned), ("forbidden", self.forbidden))
        )
        return replace(self, pinned=pinned, forbidden=forbidden)

    def check(self, graph: ColumnGraph) -> None:
        """Raise a ValueError unless the graph keeps to the rules already."""
        limits = (
            ("in-edges of column", graph.in_degree, self.min_in, self.max_in),
            ("out-edges of source", graph.out_degree, self.min_out, self.max_out),
        )
        for what, degree, least, most in limits:
            bad = degree < least if most is None else (degree < least) | (degree > most)
            if bad.any():
                column = int(bad.nonzero()[0, 0])
                allowed = f"at least {least}" if most is None else f"in [{least}, {most}]"
                raise ValueError(
                    f"the number of {what} {column} must be {allowed} from the start. Got "
                    f"{int(degree[column])}; change the graph or the constraints."
                )
        if self.symmetric:
            self._check_symmetry(graph)
        if self.pinned is not None:
            if not bool(contains(edge_keys(graph), self._keys(graph, self.pinned)).all()):
                raise ValueError("pinned pairs must be edges. Got one that is not an edge.")
        if self.forbidden is not None:
            if bool(contains(edge_keys(graph), self._keys(graph, self.forbidden)).any()):
                raise ValueError("forbidden pairs must not be edges. Got one that is an edge.")

    def _check_symmetry(self, graph: ColumnGraph) -> None:
        square = graph.num_columns == graph.num_sources
        if not square or not graph.same_topology(graph.reverse()):
            raise ValueError(
                "a symmetric edge set must start symmetric: every edge with its reverse. Got "
                f"{graph}, which is not; use connect.union(graph, graph.reverse())."
            )

    def may_prune(self, graph: ColumnGraph, age: Tensor | None = None, grace: int = 0) -> Tensor:
        """Whether each edge may be dropped, ``[E]`` bool: not pinned, and ``age >= grace``.

        Args:
            graph: Edges as they are.
            age: Number of updates survived, ``[E]``.
            grace: Age from which an edge is no longer protected.
        """
        free = torch.ones(graph.num_edges, dtype=torch.bool, device=graph.device)
        if self.pinned is not None:
            free &= ~contains(self._keys(graph, self.pinned), edge_keys(graph))
        return free if age is None else free & (age.to(graph.device) >= grace)

    def may_grow(
        self,
        graph: ColumnGraph,
        targets: Tensor,
        sources: Tensor,
        cooling_down: Tensor | None = None,
    ) -> Tensor:
        """Whether each pair may become an edge, ``[K]`` bool.

        Neither an edge, nor forbidden, nor cooling down.

        Args:
            graph: Edges as they are.
            targets: Targets ``[K]``.
            sources: Sources ``[K]``.
            cooling_down: Sorted keys of the pairs that may not grow yet, see ``CoolDown``.
        """
        targets, sources = checked_pairs(graph, targets, sources)
        keys = pair_keys(targets, sources, graph.num_sources)
        allowed = ~contains(edge_keys(graph), keys)
        if self.forbidden is not None:
            allowed &= ~contains(self._keys(graph, self.forbidden), keys)
        if cooling_down is not None:
            allowed &= ~contains(cooling_down.to(keys.device), keys)
        if not self.self_loops and graph.num_columns == graph.num_sources:
            allowed &= targets != sources
        return allowed

    def _keys(self, graph: ColumnGraph, pairs: Tensor) -> Tensor:
        """Sorted keys of pairs ``[2, P]``, with their reverses where edges are symmetric."""
        sources, targets = plain_edges(pairs)
        targets, sources = checked_pairs(graph, targets, sources)
        keys = pair_keys(targets, sources, graph.num_sources)
        if self.symmetric:
            keys = torch.cat([keys, pair_keys(sources, targets, graph.num_sources)])
        return keys.sort().values


def _renamed(name: str, pairs: Tensor, new_id: Tensor) -> Tensor:
    pairs = plain_edges(pairs).long()
    for end, ids in zip(("source", "target"), pairs, strict=True):
        check_range(f"{end} in {name}:", ids, len(new_id), "the number of columns")
    return new_id.to(pairs.device)[pairs]
