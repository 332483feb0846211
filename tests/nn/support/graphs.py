"""Small graphs for the tests of layers, and dense answers to compare with."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


def random_edges(targets: int, edges: int, sources: int | None = None) -> Tensor:
    """Unique edges in random order, `[2, E]`; the last target hears nothing."""
    sources = targets if sources is None else sources
    pair = torch.randperm((targets - 1) * sources)[:edges]
    return torch.stack([pair % sources, pair // sources])


def random_graph(targets: int, edges: int, sources: int | None = None) -> ColumnGraph:
    """A graph of `random_edges`, measured with random lengths."""
    lengths = torch.rand(edges) + 0.1
    return ColumnGraph.from_edge_index(
        random_edges(targets, edges, sources), targets, sources, distance=lengths
    )


def dense(values: Tensor, graph: ColumnGraph, fill: float = 0.0) -> Tensor:
    """Edge values `[E]` as a matrix `[N, M]`, one entry after the other."""
    matrix = values.new_full((graph.num_columns, graph.num_sources), fill)
    for edge, (source, target) in enumerate(graph.edge_index.t().tolist()):
        matrix[target, source] = values[edge]
    return matrix


def masked_softmax(scores: Tensor, graph: ColumnGraph) -> Tensor:
    """Softmax over the in-edges of `[..., N, M]`; zeros for a column that hears nothing."""
    mask = dense(torch.ones(graph.num_edges), graph) > 0
    p = torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
    return torch.where(mask, p, 0.0)
