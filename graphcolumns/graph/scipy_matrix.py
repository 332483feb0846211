"""Edges to and from sparse matrices of SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphcolumns.graph.edge_list import EdgeList, check_weight

if TYPE_CHECKING:
    import scipy.sparse

    from graphcolumns.graph import ColumnGraph


# What torch has no dtype for, or hardly any operation.
NATIVE = {"uint16": "int32", "uint32": "int64", "uint64": "int64", "float128": "float64"}


def to_scipy(graph: ColumnGraph, weight: Tensor | None) -> scipy.sparse.csr_array:
    """See ``ColumnGraph.to_scipy``."""
    from scipy.sparse import csr_array

    values = torch.ones(graph.num_edges, dtype=torch.bool)
    if weight is not None:
        check_weight(graph, weight)
        values = weight.detach().cpu()
    elif graph.distance is not None:
        values = graph.distance.detach().cpu()
    indices, indptr = graph.source.cpu().numpy(), graph.rowptr.cpu().numpy()
    shape = (graph.num_columns, graph.num_sources)
    # Copies, because the caller may write to a SciPy matrix and a graph is frozen.
    return csr_array((values.numpy(), indices, indptr), shape=shape, copy=True)


def edges_from_scipy(matrix: Any, values: str | None) -> EdgeList:
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
    edges = EdgeList(torch.stack([source, target]), num_columns, num_sources)
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
