"""Edges to and from PyG, SciPy and networkx: the bodies of the methods of ``ColumnGraph``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphcolumns.geometry import Geometry
from graphcolumns.graph.edges import check_range, plain_edges

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from graphcolumns.graph import ColumnGraph


# What torch has no dtype for, or hardly any operation.
NATIVE = {"uint16": "int32", "uint32": "int64", "uint64": "int64", "float128": "float64"}


class Edges(NamedTuple):
    """The arguments of ``ColumnGraph.from_edge_index``, and a weight per edge in the same order."""

    edge_index: Tensor
    num_columns: int
    num_sources: int | None = None
    distance: Tensor | None = None
    weight: Tensor | None = None


def to_data(graph: ColumnGraph, geometry: Geometry | None, weight: Tensor | None) -> Data:
    """See ``ColumnGraph.to_data``."""
    _require_square(graph, "to_data")
    data = Data(edge_index=graph.edge_index, num_nodes=graph.num_columns)
    if graph.distance is not None:
        data.edge_attr = graph.distance[:, None]
    if weight is not None:
        _check_weight(graph, weight)
        data.edge_weight = weight
    if geometry is not None:
        geometry.require_columns(graph.num_columns)
        data.pos = geometry.positions
        if geometry.faces is not None:
            data.face = geometry.faces.t().contiguous()
    return data


def edges_from_data(data: Data, length: str | None, weight: str | None) -> Edges:
    """See ``ColumnGraph.from_data``."""
    if data.edge_index is None or data.num_nodes is None:
        raise ValueError(f"data must have edge_index, and num_nodes or pos. Got {data}.")
    edges = Edges(data.edge_index, data.num_nodes)
    if weight is not None:
        edges = edges._replace(weight=_per_edge(data, weight))
    if length is None and weight is None:
        _refuse_ambiguous(data)
    if length is not None and length != "pos":
        return edges._replace(distance=_one_per_edge(data, length))
    if data.pos is None:
        if length == "pos":
            raise ValueError(f"length='pos' measures positions, and data has none. Got {data}.")
        return edges
    source, target = plain_edges(data.edge_index)
    check_range("source", source, data.num_nodes, "num_nodes")
    check_range("target", target, data.num_nodes, "num_nodes")
    return edges._replace(distance=Geometry(data.pos).distance(target, source))


def _refuse_ambiguous(data: Data) -> None:
    """Raise if a number per edge could be a length or a weight."""
    for name in ("edge_weight", "edge_attr"):
        values, num_edges = getattr(data, name, None), data.edge_index.shape[1]
        if torch.is_tensor(values) and values.numel() == num_edges and bool((values != 1).any()):
            raise ValueError(
                f"numbers of edges must be requested by name, as lengths or as weights. Got data "
                f"with {name}; pass length={name!r} or weight={name!r}, or length='pos' to measure "
                "positions. Without any: ColumnGraph.from_edge_index(data.edge_index, "
                "data.num_nodes)."
            )


def _per_edge(data: Data, name: str) -> Tensor:
    values = data[name] if name in data else None
    if not torch.is_tensor(values) or values.shape[:1] != data.edge_index.shape[1:]:
        shape = tuple(values.shape) if torch.is_tensor(values) else "no such tensor"
        raise ValueError(
            f"{name!r} must be a tensor of data with an entry per edge, {data.edge_index.shape[1]} "
            f"in all. Got {shape}; data has {', '.join(data.keys())}."
        )
    return values.flatten() if values.numel() == len(values) else values


def _one_per_edge(data: Data, name: str) -> Tensor:
    values = _per_edge(data, name)
    if values.ndim != 1:
        raise ValueError(
            f"a length is one number per edge. Got {name!r} of shape {tuple(values.shape)}; name "
            "another attribute, or length='pos'."
        )
    return values.float() if not values.is_floating_point() else values


def to_scipy(graph: ColumnGraph, weight: Tensor | None) -> scipy.sparse.csr_array:
    """See ``ColumnGraph.to_scipy``."""
    from scipy.sparse import csr_array

    values = torch.ones(graph.num_edges, dtype=torch.bool)
    if weight is not None:
        _check_weight(graph, weight)
        values = weight.detach().cpu()
    elif graph.distance is not None:
        values = graph.distance.detach().cpu()
    indices, indptr = graph.source.cpu().numpy(), graph.rowptr.cpu().numpy()
    shape = (graph.num_columns, graph.num_sources)
    # Copies, because the caller may write to a SciPy matrix and a graph is frozen.
    return csr_array((values.numpy(), indices, indptr), shape=shape, copy=True)


def edges_from_scipy(matrix: Any, values: str | None) -> Edges:
    """See ``ColumnGraph.from_scipy``."""
    from scipy.sparse import coo_array, issparse

    if not issparse(matrix):
        raise TypeError(
            f"matrix must be a scipy sparse matrix. Got {type(matrix).__name__}; "
            "call scipy.sparse.csr_array on it."
        )
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise TypeError(
            f"matrix must be (N, M) and hold numbers. Got {matrix.dtype} of shape {matrix.shape}."
        )
    entries = coo_array(matrix)
    target, source = (torch.from_numpy(ids.astype("int64")) for ids in entries.coords)
    num_columns, num_sources = entries.shape
    _check_places(target, source, num_sources)
    edges = Edges(torch.stack([source, target]), num_columns, num_sources)
    numbers = entries.data.astype(NATIVE.get(entries.dtype.name, entries.dtype))
    data = torch.from_numpy(numbers)
    if values == "length":
        return edges._replace(distance=data if data.is_floating_point() else data.float())
    if values == "weight":
        return edges._replace(weight=data)
    if values is not None:
        raise ValueError(f"values must be 'length', 'weight' or None. Got {values!r}.")
    if data.is_floating_point() or (data.dtype != torch.bool and (numbers != 1).any()):
        raise ValueError(
            "numbers of edges must be requested by name, as lengths or as weights. Got a matrix of "
            f"{matrix.dtype}; pass values='length' or values='weight'. Without any: "
            "matrix.astype(bool)."
        )
    return edges


def _check_places(target: Tensor, source: Tensor, num_sources: int) -> None:
    """Raise if two entries are in one place."""
    places, counts = torch.unique(target * num_sources + source, return_counts=True)
    twice = places[counts > 1]
    if len(twice):
        row, column = divmod(int(twice[0]), num_sources)
        raise ValueError(
            f"entries must be unique, an edge each. Got row {row}, column {column} more than once "
            "(SciPy means their sum); call matrix.sum_duplicates()."
        )


def to_networkx(
    graph: ColumnGraph, names: list[Any] | None, weight: Tensor | None
) -> networkx.DiGraph:
    """See ``ColumnGraph.to_networkx``."""
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
    if weight is not None:
        _check_weight(graph, weight)
    for name, values in (("distance", graph.distance), ("weight", weight)):
        if values is not None:
            each = dict(zip(ends, values.tolist(), strict=True))
            networkx.set_edge_attributes(result, each, name)
    return result


def edges_from_networkx(
    graph: networkx.Graph, length: str | None, weight: str | None
) -> tuple[Edges, list[Any]]:
    """See ``ColumnGraph.from_networkx``."""
    names = list(graph.nodes)
    ids = {name: i for i, name in enumerate(names)}
    ends = list(graph.to_directed().edges(data=True))
    pairs = [[ids[source], ids[target]] for source, target, _ in ends]
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    attributes = [attribute for *_, attribute in ends]
    lengths = _numbers(attributes, length or "distance", needed=length is not None)
    weights = None if weight is None else _numbers(attributes, weight, needed=True)
    return Edges(edge_index, len(names), distance=lengths, weight=weights), names


def _numbers(attributes: list[dict[str, Any]], name: str, needed: bool) -> Tensor | None:
    """An attribute of all edges, ``[E]`` float32; None if no edge has it, unless ``needed``."""
    found = [attribute[name] for attribute in attributes if attribute.get(name) is not None]
    if not needed and not found:
        return None
    if len(found) < len(attributes):
        rule = "all edges" if needed else "all edges or none"
        raise ValueError(
            f"{rule} must have the attribute {name!r}. "
            f"Got {len(found)} of {len(attributes)}; call networkx.set_edge_attributes."
        )
    try:
        return torch.tensor([float(value) for value in found], dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the attribute {name!r} of edges must hold numbers: {error}.") from error


def _check_weight(graph: ColumnGraph, weight: Tensor) -> None:
    if weight.shape != (graph.num_edges,):
        raise ValueError(
            f"weight must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(weight.shape)}."
        )


def _require_square(graph: ColumnGraph, method: str) -> None:
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"{method} needs as many sources as columns. Got {graph}; "
            "for a bipartite graph call to_edge_index or to_scipy."
        )
