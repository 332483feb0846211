"""The edges of a sheet of columns, sorted by target."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import edges
from graphcolumns.graph.interchange import Interchange
from graphcolumns.graph.views import BySource, Views

NO_TENSOR = (
    "a ColumnGraph is no tensor [2, E] of edges, which PyG's explainers, samplers and transforms "
    "need. Pass graph.edge_index; what comes per edge is in its order."
)


@dataclass(frozen=True, eq=False, repr=False)
class ColumnGraph(Interchange):
    """Edges from ``M`` sources to ``N`` columns in compressed rows: a frozen, self-checking value.

    In an edge (source j, target i) column i receives from j. The in-edges of column i are
    ``rowptr[i]:rowptr[i + 1]``. Edges are unique and sorted by (target, source); an edge id is a
    position in that order. Build one with ``from_edge_index``, or with ``graphcolumns.connect``.

    Args:
        rowptr: ``[N + 1]`` int64, from 0 to E.
        source: ``[E]`` int32.
        distance: Length of each edge, ``[E]`` float32, in the unit of the geometry that measured
            it. It may require a gradient. None: not measured.
        num_sources: ``M``, equal to ``N`` when columns receive from each other.
        name: Name that tells graphs with the same edges apart, see :meth:`named`.

    Attributes:
        target: ``[E]`` int32, filled at construction.
        by_source: The same edges sorted by source, filled at construction.
        hubs: Whether a column has far more in-edges than others, and a source far more out-edges
            (more than 256, and four times the mean), filled at construction. Kernels divide those.
        fingerprint: 128-bit hash of columns, sources and edges (not of lengths), hexadecimal, the
            same for graphs of the same topology, filled at construction; "" in a traced graph.

    A graph can be copied, pickled, and saved by ``torch.save``; ``torch.load`` reads it with
    ``weights_only=True`` and checks it as the constructor does.

    Raises:
        ValueError, TypeError: See ``validate``.
    """

    rowptr: Tensor
    source: Tensor
    distance: Tensor | None
    num_sources: int
    name: str = ""
    target: Tensor = field(init=False)
    by_source: BySource = field(init=False)
    hubs: tuple[bool, bool] = field(init=False, default=(False, False))
    fingerprint: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.validate()
        order = torch.argsort(self.source, stable=True)
        colptr = edges.pointers(self.source[order], self.num_sources)
        target = edges.expand(self.rowptr, self.num_edges)
        # The one place that writes to the frozen value: views are never filled lazily.
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "by_source", BySource(colptr, target[order], order))
        hubs = (edges.has_hubs(self.rowptr), edges.has_hubs(colptr))
        object.__setattr__(self, "hubs", hubs)
        fingerprint = edges.fingerprint(self.rowptr, self.source, self.num_sources)
        object.__setattr__(self, "fingerprint", fingerprint)

    def __reduce__(self) -> tuple[type[ColumnGraph], tuple[Any, ...]]:
        # Through the constructor, so that a file is checked; views are made again, not trusted.
        return ColumnGraph, (self.rowptr, self.source, self.distance, self.num_sources, self.name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle that bypasses the constructor, as those of earlier versions do.
        given = ("rowptr", "source", "distance", "num_sources")
        self.__init__(*(state[part] for part in given), state.get("name", ""))  # type: ignore[misc]

    def __copy__(self) -> ColumnGraph:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ColumnGraph:
        return self._mapped(lambda tensor: copy.deepcopy(tensor, memo))

    def _mapped(self, fn: Callable[[Tensor], Tensor]) -> ColumnGraph:
        """The same edges, every tensor replaced by another one of the same values."""
        distance = None if self.distance is None else fn(self.distance)
        views = (self.num_sources, fn(self.target), BySource(*map(fn, self.by_source)), self.hubs)
        known = (self.fingerprint, self.name)
        return unchecked_graph(fn(self.rowptr), fn(self.source), distance, *views, *known)

    def __repr__(self) -> str:
        return (
            f"ColumnGraph(num_columns={self.num_columns}, num_sources={self.num_sources}, "
            f"num_edges={self.num_edges}{f', name={self.name!r}' if self.name else ''})"
        )

    def __getitem__(self, index: Any) -> NoReturn:
        raise TypeError(NO_TENSOR)

    @property
    def size(self) -> NoReturn:
        """Raises: a graph is no tensor of edges; pass ``edge_index`` instead."""
        raise AttributeError(NO_TENSOR)

    @property
    def num_columns(self) -> int:
        """``N``, the number of targets."""
        return self.rowptr.shape[0] - 1

    @property
    def num_edges(self) -> int:
        """``E``."""
        return self.source.shape[0]

    @property
    def edge_index(self) -> Tensor:
        """PyG order, ``[2, E]`` int64: row 0 source, row 1 target."""
        return torch.stack([self.source, self.target]).long()

    @property
    def density(self) -> float:
        """``E / (N M)``, self-edges counted."""
        return self.num_edges / (self.num_columns * self.num_sources)

    @property
    def in_degree(self) -> Tensor:
        """Sources per column, ``[N]`` int64."""
        return self.rowptr.diff()

    @property
    def out_degree(self) -> Tensor:
        """Targets per source, ``[M]`` int64."""
        return self.by_source.colptr.diff()

    @property
    def views(self) -> Views:
        """The edges by target and by source as plain tensors, as registered ops take them."""
        return Views(self.rowptr, self.source, self.target, *self.by_source)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.source.device

    def validate(self) -> None:
        """Check every rule of the class; called once, at construction.

        Raises:
            ValueError: ``rowptr`` does not run from 0 to E without decreasing, no column or source,
                a source outside ``[0, M)``, edges unsorted or duplicate, distances of the wrong
                length, not finite or negative.
            TypeError: ``rowptr`` not int64, ``source`` not int32, ``distance`` not floating.
        """
        edges.check_count("num_sources", self.num_sources)
        edges.check_rowptr(self.rowptr, self.source)
        edges.check_range("source", self.source, self.num_sources, "num_sources")
        edges.check_sorted(edges.expand(self.rowptr, self.num_edges), self.source)
        if self.distance is not None:
            edges.check_distance(self.distance, self.num_edges)

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        num_columns: int | None = None,
        num_sources: int | None = None,
        distance: Tensor | None = None,
    ) -> ColumnGraph:
        """Build a graph from edges in any order.

        Edges are sorted, and ``distance`` with them. Other per-edge tensors are sorted the same way
        by ``x[ColumnGraph.edge_order(edge_index)]``.

        Args:
            edge_index: ``[2, E]`` of any integer type, row 0 source, row 1 target; also a PyG
                ``EdgeIndex``.
            num_columns: ``N``; may be left out for an ``EdgeIndex`` that knows its ``sparse_size``.
            num_sources: ``M`` (default: that of the ``EdgeIndex``, else ``N``).
            distance: Length of each edge, ``[E]``, stored as float32.

        Raises:
            ValueError: Ids out of range, duplicate edges, wrong shapes, bad distances.
            TypeError: ``edge_index`` does not hold integers.
        """
        num_columns, num_sources = edges.graph_sizes(edge_index, num_columns, num_sources)
        edge_index = edges.plain_edges(edge_index)
        edges.check_range("source", edge_index[0], num_sources, "num_sources")
        edges.check_range("target", edge_index[1], num_columns, "num_columns")
        order = edges.edge_order(edge_index)
        source, target = edge_index[:, order].int()
        if distance is not None:
            edges.check_distance(distance, len(order))
            distance = distance.float()[order]
        return cls(edges.pointers(target, num_columns), source, distance, num_sources)

    @staticmethod
    def edge_order(edge_index: Tensor) -> Tensor:
        """The permutation ``[E]`` that sorts ``edge_index`` ``[2, E]`` by (target, source)."""
        return edges.edge_order(edge_index)

    def reverse(self) -> ColumnGraph:
        """Every edge turned round: sources become columns and columns sources.

        A per-edge tensor ``x`` of this graph is ``x[self.by_source.permutation]`` on the reverse.
        """
        colptr, target, permutation = self.by_source
        back = BySource(self.rowptr, self.source, torch.argsort(permutation))
        distance = None if self.distance is None else self.distance[permutation]
        views = (self.num_columns, self.source[permutation], back, self.hubs[::-1])
        fingerprint = edges.fingerprint(colptr, target, self.num_columns)
        return unchecked_graph(colptr, target, distance, *views, fingerprint, self.name)

    def require_fingerprint(self, fingerprint: str, holder: object) -> None:
        """Raise unless values of the edges ``fingerprint`` may be used along this graph.

        Two strings are compared. Nothing is where either is unknown, or while a model is traced,
        which would tie the trace to one topology.

        Args:
            fingerprint: Fingerprint of the edges that the values belong to.
            holder: What holds the values, such as a layer; its class is named in the error.

        Raises:
            ValueError: The values belong to other edges.
        """
        if torch.compiler.is_compiling() or not fingerprint or not self.fingerprint:
            return
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"values per edge must be used on the edges that they belong to. Got {self} with "
                f"the fingerprint {self.fingerprint}, and {type(holder).__name__} holds values of "
                f"{fingerprint}. After a change of topology call graphcolumns.plasticity.carry, "
                "which brings them along; a model keeps the new graph in its method rewired."
            )

    def permute(self, permutation: Tensor) -> ColumnGraph:
        """The same edges between columns in another order, as ``Geometry.permute``.

        Column ``n`` of the result is ``permutation[n]`` here, with its in-edges and their lengths.
        The sources of a bipartite graph keep their ids. A per-edge tensor ``x`` of this graph is
        ``x[self.permuted_edges(permutation)]`` on the result.

        Args:
            permutation: Every column id once, ``[N]`` int64.

        Raises:
            ValueError: It is not a permutation.
        """
        edge_index, order = self._permuted(permutation)
        distance = None if self.distance is None else self.distance[order]
        rowptr = edges.pointers(edge_index[1], self.num_columns)
        return ColumnGraph(rowptr, edge_index[0].int(), distance, self.num_sources, self.name)

    def permuted_edges(self, permutation: Tensor) -> Tensor:
        """The id here of each edge of ``permute(permutation)``, ``[E]`` int64."""
        return self._permuted(permutation)[1]

    def _permuted(self, permutation: Tensor) -> tuple[Tensor, Tensor]:
        """The edges under their new ids, sorted, and where each of them is here."""
        permutation = permutation.to(self.device)
        new_id = edges.inverse(permutation, self.num_columns)
        square = self.num_sources == self.num_columns
        source = self.source.long()
        renamed = torch.stack([new_id[source] if square else source, new_id[self.target.long()]])
        order = edges.edge_order(renamed)
        return renamed[:, order], order

    def remeasure(self, geometry: Geometry, sources: Geometry | None = None) -> ColumnGraph:
        """The same edges with lengths from ``geometry``, differentiable in its positions.

        Args:
            geometry: Positions of the columns.
            sources: Positions of the sources (default: ``geometry``).

        Raises:
            ValueError: A geometry has another number of columns than the graph, or they measure
                in different spaces.
        """
        geometry.require_columns(self.num_columns)
        (sources or geometry).require_columns(self.num_sources)
        distance = geometry.distance(self.target, self.source, sources)
        # A compiled model would be compiled again for every topology that it has seen by name.
        fingerprint = "" if torch.compiler.is_compiling() else self.fingerprint
        views = (self.num_sources, self.target, self.by_source, self.hubs, fingerprint)
        return unchecked_graph(self.rowptr, self.source, distance, *views, self.name)

    def same_topology(self, other: ColumnGraph) -> bool:
        """Whether both graphs have the same columns, sources and edges; lengths may differ."""
        if self.fingerprint and other.fingerprint:
            return self.fingerprint == other.fingerprint
        return (
            self.num_sources == other.num_sources
            and torch.equal(self.rowptr, other.rowptr.to(self.device))
            and torch.equal(self.source, other.source.to(self.device))
        )

    def same_graph(self, other: ColumnGraph) -> bool:
        """Whether values per edge of one belong to the other: same topology and same name."""
        return self is other or (self.name == other.name and self.same_topology(other))

    def named(self, name: str) -> ColumnGraph:
        """The same edges under a name, sharing all tensors.

        Values per edge belong to the graph with their edges and its name. A model in which several
        graphs have the same edges names them before it builds its layers, and calls every layer
        with the graph that it was built on; each graph is then rewired by itself. Moving,
        measuring, reordering, reversing and rewiring a graph keep its name.

        Args:
            name: Any text, such as the name of the graph in ``model.graphs``.

        Raises:
            TypeError: ``name`` is not text.

        Example:
            >>> import torch
            >>> from graphcolumns import ColumnGraph
            >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
            >>> forward, lateral = graph.named("forward"), graph.named("lateral")
            >>> forward.same_topology(lateral), forward.same_graph(lateral)
            (True, False)
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a graph must be text. Got {name!r}; pass a str.")
        views = (self.num_sources, self.target, self.by_source, self.hubs, self.fingerprint)
        return unchecked_graph(self.rowptr, self.source, self.distance, *views, name)

    def to(self, device: torch.device | str) -> ColumnGraph:
        """The same graph with its tensors on ``device``."""
        return self._mapped(lambda tensor: tensor.to(device))


def unchecked_graph(
    rowptr: Tensor,
    source: Tensor,
    distance: Tensor | None,
    num_sources: int,
    target: Tensor,
    by_source: BySource,
    hubs: tuple[bool, bool],
    fingerprint: str,
    name: str = "",
) -> ColumnGraph:
    """A graph from parts known to be right, where ``__init__`` would check and sort again."""
    graph = object.__new__(ColumnGraph)
    object.__setattr__(graph, "rowptr", rowptr)
    object.__setattr__(graph, "source", source)
    object.__setattr__(graph, "distance", distance)
    object.__setattr__(graph, "num_sources", num_sources)
    object.__setattr__(graph, "target", target)
    object.__setattr__(graph, "by_source", by_source)
    object.__setattr__(graph, "hubs", hubs)
    object.__setattr__(graph, "fingerprint", fingerprint)
    object.__setattr__(graph, "name", name)
    return graph


# Nothing but the constructor runs when a file is read, and it checks.
torch.serialization.add_safe_globals([ColumnGraph])
