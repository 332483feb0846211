"""Edges to and from PyG, SciPy and networkx: the bodies of the methods of `ColumnGraph`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphcolumns.geometry import Geometry
from graphcolumns.graph.edges import check_range, plain

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from graphcolumns.graph import ColumnGraph


class Edges(NamedTuple):
    """The arguments of `ColumnGraph.from_edge_index`."""

    edge_index: Tensor
    num_columns: int
    num_sources: int | None = None
    distance: Tensor | None = None


def to_data(graph: ColumnGraph, geometry: Geometry | None) -> Data:
    """See `ColumnGraph.to_data`."""
    _require_square(graph, "to_data")
    data = Data(edge_index=graph.edge_index, num_nodes=graph.num_columns)
    if graph.distance is not None:
        data.edge_attr = graph.distance[:, None]
    if geometry is not None:
        geometry.require_columns(graph.num_columns)
        data.pos = geometry.positions
        if geometry.faces is not None:
            data.face = geometry.faces.t().contiguous()
    return data


def edges_from_data(data: Data) -> Edges:
    """See `ColumnGraph.from_data`."""
    if data.edge_index is None or data.num_nodes is None:
        raise ValueError(f"data must have edge_index, and num_nodes or pos. Got {data}.")
    edges = Edges(data.edge_index, data.num_nodes)
    if data.edge_attr is not None and data.edge_attr.numel() == data.edge_index.shape[1]:
        return edges._replace(distance=data.edge_attr.reshape(-1))
    if data.pos is not None:
        source, target = plain(data.edge_index)
        check_range("source", source, data.num_nodes, "num_nodes")
        check_range("target", target, data.num_nodes, "num_nodes")
        return edges._replace(distance=Geometry(data.pos).distance(target, source))
    return edges


def to_scipy(graph: ColumnGraph) -> scipy.sparse.csr_array:
    """See `ColumnGraph.to_scipy`."""
    from scipy.sparse import csr_array

    values = torch.ones(graph.num_edges, dtype=torch.bool)
    if graph.distance is not None:
        values = graph.distance.detach().cpu()
    indices, indptr = graph.source.cpu().numpy(), graph.rowptr.cpu().numpy()
    shape = (graph.num_columns, graph.num_sources)
    # Copies, because the caller may write to a SciPy matrix and a graph is frozen.
    return csr_array((values.numpy(), indices, indptr), shape=shape, copy=True)


def edges_from_scipy(matrix: Any) -> Edges:
    """See `ColumnGraph.from_scipy`."""
    from scipy.sparse import coo_array, issparse

    if not issparse(matrix):
        raise TypeError(
            f"matrix must be a scipy sparse matrix. Got {type(matrix).__name__}; "
            "call scipy.sparse.csr_array on it."
        )
    entries = coo_array(matrix)
    target, source = (torch.from_numpy(ids.astype("int64")) for ids in entries.coords)
    floating = entries.data.dtype.kind == "f"
    distance = torch.from_numpy(entries.data.copy()) if floating else None
    num_columns, num_sources = entries.shape
    return Edges(torch.stack([source, target]), num_columns, num_sources, distance)


def to_networkx(graph: ColumnGraph, names: list[Any] | None) -> networkx.DiGraph:
    """See `ColumnGraph.to_networkx`."""
    import networkx

    _require_square(graph, "to_networkx")
    names = list(range(graph.num_columns)) if names is None else names
    if len(names) != graph.num_columns or len(set(names)) != len(names):
        raise ValueError(
            f"names must be {graph.num_columns} different names, one per column. "
            f"Got {len(names)} names, {len(set(names))} of them different."
        )
    result = networkx.DiGraph()
    result.add_nodes_from(names)
    ends = [(names[source], names[target]) for source, target in graph.edge_index.t().tolist()]
    result.add_edges_from(ends)
    if graph.distance is not None:
        lengths = dict(zip(ends, graph.distance.tolist(), strict=True))
        networkx.set_edge_attributes(result, lengths, "distance")
    return result


def edges_from_networkx(graph: networkx.Graph) -> tuple[Edges, list[Any]]:
    """See `ColumnGraph.from_networkx`."""
    names = list(graph.nodes)
    ids = {name: i for i, name in enumerate(names)}
    edges = list(graph.to_directed().edges(data="distance"))
    lengths = [length for *_, length in edges if length is not None]
    if 0 < len(lengths) < len(edges):
        raise ValueError(
            "all edges or none must have the attribute 'distance'. "
            f"Got {len(lengths)} of {len(edges)}; call networkx.set_edge_attributes."
        )
    pairs = [[ids[source], ids[target]] for source, target, _ in edges]
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    distance = torch.tensor(lengths, dtype=torch.float32) if lengths else None
    return Edges(edge_index, len(names), distance=distance), names


def _require_square(graph: ColumnGraph, method: str) -> None:
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"{method} needs as many sources as columns. Got {graph}; "
            "for a bipartite graph call to_edge_index or to_scipy."
        )
