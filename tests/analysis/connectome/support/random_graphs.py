"""Random graphs of every kind, and all graphs that have given degrees."""

from itertools import combinations

import numpy as np
import torch

from graphcolumns.graph import ColumnGraph


def graph_of(edges, columns: int) -> ColumnGraph:
    """A graph of (source, target) pairs."""
    return ColumnGraph.from_edge_index(torch.as_tensor(edges).long().reshape(-1, 2).T, columns)


def random_graph(seed: int, undirected: bool = False, columns: int | None = None) -> ColumnGraph:
    """2 to 20 columns at any density, self-edges among them."""
    generator = np.random.default_rng(seed)
    n = columns or int(generator.integers(2, 21))
    adjacent = generator.random((n, n)) < generator.random()
    if undirected:
        adjacent |= adjacent.T
    return graph_of(np.argwhere(adjacent), n)


def random_weights(graph: ColumnGraph, undirected: bool = False) -> torch.Tensor:
    """Log-normal weights, the same for both directions of an undirected graph."""
    n = graph.num_columns
    table = torch.randn(n, n, generator=torch.Generator().manual_seed(n)).exp()
    table = (table + table.T) / 2 if undirected else table
    return table[graph.target.long(), graph.source.long()]


def edge_set(graph: ColumnGraph) -> set[tuple[int, int]]:
    return set(map(tuple, graph.edge_index.T.tolist()))


def self_edge_set(graph: ColumnGraph) -> set[tuple[int, int]]:
    return {(s, t) for s, t in edge_set(graph) if s == t}


def symmetric(graph: ColumnGraph) -> bool:
    return edge_set(graph) == {(t, s) for s, t in edge_set(graph)}


def number_with_degrees(graph: ColumnGraph, self_edges: bool, undirected: bool) -> int:
    """How many graphs have the degrees of this one, by trying all sets of edges."""
    n, edges = graph.num_columns, edge_set(graph)
    if undirected:
        cells = [(s, t) for s in range(n) for t in range(s + 1, n)]
        edges = {(s, t) for s, t in edges if s < t}
    else:
        cells = [(s, t) for s in range(n) for t in range(n) if self_edges or s != t]

    def degrees(chosen) -> tuple:
        source, target = np.array(list(chosen)).T
        out, into = np.bincount(source, minlength=n), np.bincount(target, minlength=n)
        return tuple(out + into) if undirected else (*out, *into)

    wanted = degrees(edges)
    return sum(degrees(chosen) == wanted for chosen in combinations(cells, len(edges)))
