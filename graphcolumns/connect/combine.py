"""The edges of several graphs in one."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph

SAME = 1e-6  # lengths in float32 that differ by no more than this share are equal


def union(*graphs: ColumnGraph) -> ColumnGraph:
    """All edges of several graphs with the same columns and sources, each once.

    Raises:
        ValueError: No graph, different numbers of columns or sources, some measured and others
            not, or a shared edge with two lengths.
    """
    if not graphs:
        raise ValueError("union needs at least one graph. Got none.")
    first = graphs[0]
    for graph in graphs[1:]:
        _check_alike(first, graph)
    edge_index = torch.cat([graph.edge_index for graph in graphs], dim=1)
    key = edge_index[1] * first.num_sources + edge_index[0]
    edges, place = torch.unique(key, return_inverse=True)
    unique = torch.stack([edges % first.num_sources, edges // first.num_sources])
    distance = None
    if first.distance is not None:
        lengths = torch.cat([graph.distance for graph in graphs if graph.distance is not None])
        distance = _merged(lengths, place, unique)
    return ColumnGraph.from_edge_index(unique, first.num_columns, first.num_sources, distance)


def _merged(lengths: Tensor, place: Tensor, unique: Tensor) -> Tensor:
    """The length of each unique edge, from those of all edges, which must agree."""
    num_edges = unique.shape[1]
    low, high = (
        lengths.new_empty(num_edges).scatter_reduce(0, place, lengths, how, include_self=False)
        for how in ("amin", "amax")
    )
    differ = high - low > SAME * high
    if differ.any():
        edge = int(differ.nonzero()[0])
        source, target = unique[:, edge].tolist()
        raise ValueError(
            f"graphs must agree on the length of shared edges. (source {source}, target {target}) "
            f"is {float(low[edge])} in one and {float(high[edge])} in another; call remeasure."
        )
    return low


def _check_alike(first: ColumnGraph, other: ColumnGraph) -> None:
    ends = (first.num_columns, first.num_sources)
    if (other.num_columns, other.num_sources) != ends:
        raise ValueError(f"graphs must have the same columns and sources. Got {first} and {other}.")
    if (first.distance is None) != (other.distance is None):
        raise ValueError(
            "all graphs or none must have distances. Got some of each; call remeasure."
        )
