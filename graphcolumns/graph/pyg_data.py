"""Edges to and from PyG's ``Data``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphcolumns.geometry import Geometry
from graphcolumns.graph.edge_list import EdgeList, check_weight, require_square
from graphcolumns.graph.edges import check_range, plain_edges

if TYPE_CHECKING:
    from graphcolumns.graph import ColumnGraph


def to_data(graph: ColumnGraph, geometry: Geometry | None, weight: Tensor | None) -> Data:
    """See ``ColumnGraph.to_data``."""
    require_square(graph, "to_data")
    data = Data(edge_index=graph.edge_index, num_nodes=graph.num_columns)
    if graph.distance is not None:
        data.edge_attr = graph.distance[:, None]
    if weight is not None:
        check_weight(graph, weight)
        data.edge_weight = weight
    if geometry is not None:
        geometry.require_columns(graph.num_columns)
        data.pos = geometry.positions
        if geometry.faces is not None:
            data.face = geometry.faces.t().contiguous()
    return data


def edges_from_data(data: Data, length: str | None, weight: str | None) -> EdgeList:
    """See ``ColumnGraph.from_data``."""
    if data.edge_index is None or data.num_nodes is None:
        raise ValueError(f"data must have edge_index, and num_nodes or pos. Got {data}.")
    edges = EdgeList(data.edge_index, data.num_nodes)
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
