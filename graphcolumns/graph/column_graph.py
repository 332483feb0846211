"""The edges of a sheet of columns, sorted by target."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch_geometric import EdgeIndex
from torch_geometric.data import Data

from graphcolumns.geometry import Geometry
from graphcolumns.graph import edges, interchange
from graphcolumns.graph.views import BySource, Views

if TYPE_CHECKING:
    import networkx
    import scipy.sparse


NO_TENSOR = (
    "a ColumnGraph is no tensor [2, E] of edges, which PyG's explainers, samplers and transforms "
    "need. Pass graph.edge_index; what comes per edge is in its order."
)


@dataclass(frozen=True, eq=False, repr=False)
class ColumnGraph:
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
        return ColumnGraph, (self.rowptr, self.source, self.distance, self.num_sources)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle that bypasses the constructor, as those of earlier versions do.
        given = ("rowptr", "source", "distance", "num_sources")
        self.__init__(*(state[name] for name in given))  # type: ignore[misc]

    def __copy__(self) -> ColumnGraph:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ColumnGraph:
        return self._mapped(lambda tensor: copy.deepcopy(tensor, memo))

    def _mapped(self, fn: Callable[[Tensor], Tensor]) -> ColumnGraph:
        """The same edges, every tensor replaced by another one of the same values."""
        parts, known = _flatten(self)
        moved = [None if part is None else fn(part) for part in parts]
        return _unflatten(moved, known, self.fingerprint)

    def __repr__(self) -> str:
        return (
            f"ColumnGraph(num_columns={self.num_columns}, num_sources={self.num_sources}, "
            f"num_edges={self.num_edges})"
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
        num_columns, num_sources = _sizes(edge_index, num_columns, num_sources)
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
        return _assemble(colptr, target, distance, *views, fingerprint)

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
        return ColumnGraph(rowptr, edge_index[0].int(), distance, self.num_sources)

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
        return _assemble(self.rowptr, self.source, distance, *views)

    def same_topology(self, other: ColumnGraph) -> bool:
        """Whether both graphs have the same columns, sources and edges; lengths may differ."""
        if self.fingerprint and other.fingerprint:
            return self.fingerprint == other.fingerprint
        return (
            self.num_sources == other.num_sources
            and torch.equal(self.rowptr, other.rowptr.to(self.device))
            and torch.equal(self.source, other.source.to(self.device))
        )

    def to(self, device: torch.device | str) -> ColumnGraph:
        """The same graph with its tensors on ``device``."""
        return self._mapped(lambda tensor: tensor.to(device))

    def to_data(self, geometry: Geometry | None = None, weight: Tensor | None = None) -> Data:
        """A PyG ``Data`` with ``edge_index``, ``num_nodes``, ``edge_attr`` (distance ``[E, 1]``).

        Args:
            geometry: Places of the columns: ``pos`` and, if it has faces, ``face``.
            weight: A number per edge, ``[E]``: ``edge_weight``.

        Raises:
            ValueError: The graph is bipartite, or a tensor has another number of edges.
        """
        return interchange.to_data(self, geometry, weight)

    @overload
    @classmethod
    def from_data(
        cls, data: Data, length: str | None = None, weight: None = None
    ) -> ColumnGraph: ...

    @overload
    @classmethod
    def from_data(
        cls, data: Data, length: str | None = None, *, weight: str
    ) -> tuple[ColumnGraph, Tensor]: ...

    @classmethod
    def from_data(
        cls, data: Data, length: str | None = None, weight: str | None = None
    ) -> ColumnGraph | tuple[ColumnGraph, Tensor]:
        """A graph from a PyG ``Data``.

        A number per edge may be a length or a weight, so it is requested by name.

        Args:
            data: Nodes and edges, row 0 of ``edge_index`` source, row 1 target.
            length: Attribute that holds the length of each edge, such as ``"edge_attr"``, where
                PyG's ``Distance`` writes it; ``"pos"``: Euclidean, measured (default: ``"pos"`` if
                there are positions, else none).
            weight: Attribute that holds a weight per edge, ``[E]`` or ``[E, ...]`` (default: none).

        Returns:
            The graph; with ``weight`` also the weights, in the order of its edges.

        Raises:
            ValueError: ``edge_attr`` or ``edge_weight`` holds a number per edge other than 1 and
                neither ``length`` nor ``weight`` is given; an attribute is not there.
        """
        graph, values = _built(interchange.edges_from_data(data, length, weight))
        return graph if values is None else (graph, values)

    def to_edge_index(self) -> EdgeIndex:
        """A PyG ``EdgeIndex``, sorted by target, of sparse size ``(M, N)``.

        ``from_edge_index`` is the way back; an ``EdgeIndex`` carries no distances.
        """
        size = (self.num_sources, self.num_columns)
        return EdgeIndex(self.edge_index, sparse_size=size, sort_order="col")

    def to_scipy(self, weight: Tensor | None = None) -> scipy.sparse.csr_array:
        """A SciPy CSR array ``[N, M]``: rows are targets, columns sources, values distances.

        So ``matrix @ x`` gathers what each column receives. networkx, ``scipy.sparse.csgraph`` and
        ``torch_geometric.utils.to_scipy_sparse_matrix`` have sources in rows: take ``.T``.

        Args:
            weight: A number per edge, ``[E]``, the values instead of distances. Without distances
                and weights the values are True.
        """
        return interchange.to_scipy(self, weight)

    @overload
    @classmethod
    def from_scipy(cls, matrix: Any, values: Literal["length"] | None = None) -> ColumnGraph: ...

    @overload
    @classmethod
    def from_scipy(cls, matrix: Any, values: Literal["weight"]) -> tuple[ColumnGraph, Tensor]: ...

    @classmethod
    def from_scipy(
        cls, matrix: Any, values: Literal["length", "weight"] | None = None
    ) -> ColumnGraph | tuple[ColumnGraph, Tensor]:
        """A graph from a SciPy sparse matrix ``[N, M]``: rows are targets, columns sources.

        Stored entries are edges, explicit zeros included (``matrix.eliminate_zeros()`` drops them).
        networkx, ``scipy.sparse.csgraph`` and ``torch_geometric.utils.to_scipy_sparse_matrix`` have
        sources in rows: pass ``matrix.T``.

        Args:
            matrix: Any format, in any order.
            values: Meaning of the values: ``"length"`` (distances of the graph) or ``"weight"``.
                May be left out for a boolean matrix and for whole numbers that are all 1, whose
                graph has no distances.

        Returns:
            The graph; with ``values="weight"`` also the weights ``[E]``, in the order of its edges
            and the dtype of the matrix (unsigned numbers of 16 bits and more become signed).

        Raises:
            ValueError: Numbers without ``values``, several entries in one place, or lengths that
                are negative or not finite.
            TypeError: Not a sparse matrix of numbers.
        """
        graph, weight = _built(interchange.edges_from_scipy(matrix, values))
        return graph if weight is None else (graph, weight)

    def to_networkx(
        self, names: list[Any] | None = None, weight: Tensor | None = None
    ) -> networkx.DiGraph:
        """A networkx ``DiGraph`` with edges source -> target and edge attribute ``distance``.

        Args:
            names: Name of each column (default: its id).
            weight: A number per edge, ``[E]``: edge attribute ``weight``.

        Raises:
            ValueError: The graph is bipartite, or there is not one name per column.
        """
        return interchange.to_networkx(self, names, weight)

    @overload
    @classmethod
    def from_networkx(
        cls, graph: networkx.Graph, length: str | None = None, weight: None = None
    ) -> tuple[ColumnGraph, list[Any]]: ...

    @overload
    @classmethod
    def from_networkx(
        cls, graph: networkx.Graph, length: str | None = None, *, weight: str
    ) -> tuple[ColumnGraph, list[Any], Tensor]: ...

    @classmethod
    def from_networkx(
        cls, graph: networkx.Graph, length: str | None = None, weight: str | None = None
    ) -> tuple[ColumnGraph, list[Any]] | tuple[ColumnGraph, list[Any], Tensor]:
        """A graph from a networkx graph whose edges run source -> target.

        Columns follow the order of ``graph.nodes``; an undirected edge becomes two. What networkx
        calls ``weight`` is a length to some of its functions and a strength to others, so it is
        only read where you say as what.

        Args:
            graph: Nodes and edges.
            length: Edge attribute that holds lengths (default: ``distance``, where edges have it).
            weight: Edge attribute that holds weights (default: none). Others are not read.

        Returns:
            ``(graph, names)``: ``names[i]`` is the networkx name of column i; with ``weight``
            ``(graph, names, weight)``, weights ``[E]`` float32 in the order of its edges.

        Raises:
            ValueError: Some edges have an attribute and others have none, or edges are parallel.
            TypeError: An attribute is no number.
        """
        edge_list, names = interchange.edges_from_networkx(graph, length, weight)
        built, values = _built(edge_list)
        return (built, names) if values is None else (built, names, values)


def _built(parts: interchange.Edges) -> tuple[ColumnGraph, Tensor | None]:
    """The graph of some edges, and their weights in the order of its edges."""
    graph = ColumnGraph.from_edge_index(*parts[:4])
    if parts.weight is None:
        return graph, None
    return graph, parts.weight[ColumnGraph.edge_order(parts.edge_index)]


def _sizes(edge_index: Tensor, num_columns: int | None, num_sources: int | None) -> tuple[int, int]:
    """``(N, M)`` from the arguments, else from what an ``EdgeIndex`` knows."""
    if isinstance(edge_index, EdgeIndex):
        known_sources, known_columns = edge_index.sparse_size()
        num_columns = known_columns if num_columns is None else num_columns
        num_sources = known_sources if num_sources is None else num_sources
    if num_columns is None:
        raise ValueError(
            "num_columns is needed, since edge_index alone does not tell how many columns there "
            "are. Pass num_columns, or an EdgeIndex with a sparse_size."
        )
    num_sources = num_columns if num_sources is None else num_sources
    return (
        edges.check_count("num_columns", num_columns),
        edges.check_count("num_sources", num_sources),
    )


def _assemble(
    rowptr: Tensor,
    source: Tensor,
    distance: Tensor | None,
    num_sources: int,
    target: Tensor,
    by_source: BySource,
    hubs: tuple[bool, bool],
    fingerprint: str,
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
    return graph


def _flatten(graph: ColumnGraph) -> tuple[list[Any], tuple[int, bool, bool]]:
    parts = [graph.rowptr, graph.source, graph.distance, graph.target, *graph.by_source]
    return parts, (graph.num_sources, *graph.hubs)


def _unflatten(parts: Any, known: tuple[int, bool, bool], fingerprint: str = "") -> ColumnGraph:
    rowptr, source, distance, target, *by_source = parts
    num_sources, *hubs = known
    views = (num_sources, target, BySource(*by_source), (hubs[0], hubs[1]), fingerprint)
    return _assemble(rowptr, source, distance, *views)


def _flatten_with_keys(graph: ColumnGraph) -> tuple[list[Any], tuple[int, bool, bool]]:
    names = ("rowptr", "source", "distance", "target", "colptr", "by_target", "permutation")
    parts, known = _flatten(graph)
    return list(zip(map(pytree.GetAttrKey, names), parts, strict=True)), known


# Tracing (torch.export, functional transforms) takes a graph apart and puts it together again.
pytree.register_pytree_node(
    ColumnGraph,
    _flatten,
    _unflatten,
    serialized_type_name="graphcolumns.ColumnGraph",
    to_dumpable_context=list,
    from_dumpable_context=tuple,
    flatten_with_keys_fn=_flatten_with_keys,
)

# Nothing but the constructor runs when a file is read, and it checks.
torch.serialization.add_safe_globals([ColumnGraph])
