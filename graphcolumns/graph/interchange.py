"""Graphs to and from PyG, SciPy and networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Data

from graphcolumns.geometry import Geometry
from graphcolumns.graph import networkx_graph, pyg_data, scipy_matrix

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from graphcolumns.graph import ColumnGraph


class Interchange:
    """The methods by which a ``ColumnGraph`` comes from other libraries and goes to them."""

    def to_data(self: Any, geometry: Geometry | None = None, weight: Tensor | None = None) -> Data:
        """A PyG ``Data`` with ``edge_index``, ``num_nodes``, ``edge_attr`` (distance ``[E, 1]``).

        Args:
            geometry: Places of the columns: ``pos`` and, if it has faces, ``face``.
            weight: A number per edge, ``[E]``: ``edge_weight``.

        Raises:
            ValueError: The graph is bipartite, or a tensor has another number of edges.
        """
        return pyg_data.to_data(self, geometry, weight)

    @overload
    @classmethod
    def from_data(
        cls: Any, data: Data, length: str | None = None, weight: None = None
    ) -> ColumnGraph: ...

    @overload
    @classmethod
    def from_data(
        cls: Any, data: Data, length: str | None = None, *, weight: str
    ) -> tuple[ColumnGraph, Tensor]: ...

    @classmethod
    def from_data(
        cls: Any, data: Data, length: str | None = None, weight: str | None = None
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
        graph, values = pyg_data.edges_from_data(data, length, weight).build(cls)
        return graph if values is None else (graph, values)

    def to_edge_index(self: Any) -> EdgeIndex:
        """A PyG ``EdgeIndex``, sorted by target, of sparse size ``(M, N)``.

        ``from_edge_index`` is the way back; an ``EdgeIndex`` carries no distances.
        """
        size = (self.num_sources, self.num_columns)
        return EdgeIndex(self.edge_index, sparse_size=size, sort_order="col")

    def to_scipy(self: Any, weight: Tensor | None = None) -> scipy.sparse.csr_array:
        """A SciPy CSR array ``[N, M]``: rows are targets, columns sources, values distances.

        So ``matrix @ x`` gathers what each column receives. networkx, ``scipy.sparse.csgraph`` and
        ``torch_geometric.utils.to_scipy_sparse_matrix`` have sources in rows: take ``.T``.

        Args:
            weight: A number per edge, ``[E]``, the values instead of distances. Without distances
                and weights the values are True.
        """
        return scipy_matrix.to_scipy(self, weight)

    @overload
    @classmethod
    def from_scipy(
        cls: Any, matrix: Any, values: Literal["length"] | None = None
    ) -> ColumnGraph: ...

    @overload
    @classmethod
    def from_scipy(
        cls: Any, matrix: Any, values: Literal["weight"]
    ) -> tuple[ColumnGraph, Tensor]: ...

    @classmethod
    def from_scipy(
        cls: Any, matrix: Any, values: Literal["length", "weight"] | None = None
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
        graph, weight = scipy_matrix.edges_from_scipy(matrix, values).build(cls)
        return graph if weight is None else (graph, weight)

    def to_networkx(
        self: Any, names: list[Any] | None = None, weight: Tensor | None = None
    ) -> networkx.DiGraph:
        """A networkx ``DiGraph`` with edges source -> target and edge attribute ``distance``.

        Args:
            names: Name of each column (default: its id).
            weight: A number per edge, ``[E]``: edge attribute ``weight``.

        Raises:
            ValueError: The graph is bipartite, or there is not one name per column.
        """
        return networkx_graph.to_networkx(self, names, weight)

    @overload
    @classmethod
    def from_networkx(
        cls: Any, graph: networkx.Graph, length: str | None = None, weight: None = None
    ) -> tuple[ColumnGraph, list[Any]]: ...

    @overload
    @classmethod
    def from_networkx(
        cls: Any, graph: networkx.Graph, length: str | None = None, *, weight: str
    ) -> tuple[ColumnGraph, list[Any], Tensor]: ...

    @classmethod
    def from_networkx(
        cls: Any, graph: networkx.Graph, length: str | None = None, weight: str | None = None
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
        edge_list, names = networkx_graph.edges_from_networkx(graph, length, weight)
        built, values = edge_list.build(cls)
        return (built, names) if values is None else (built, names, values)
