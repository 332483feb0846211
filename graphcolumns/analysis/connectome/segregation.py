"""Clustering, communities and path lengths of a connectome without directions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, triu
from scipy.sparse.csgraph import connected_components, shortest_path
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import Floats, Ids, joined_pairs
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive

# Rows of a matrix of path lengths that are in memory at once.
ROWS = 512


def column_clustering(graph: ColumnGraph) -> Floats:
    r"""Share of the pairs of a column's neighbours that are neighbours, :math:`2 T / k (k - 1)`.

    Directions, weights and self-edges are left out.

    Returns:
        ``[N]``; 0 for columns with fewer than two neighbours, as in networkx.

    Raises:
        ValueError: A bipartite graph.

    Source: Watts and Strogatz, Collective dynamics of 'small-world' networks, Nature 393 (1998).
    """
    return matrix_clustering(joined_pairs(graph).matrix())


def clustering(graph: ColumnGraph) -> float:
    """Mean of ``column_clustering`` over all columns.

    Raises:
        ValueError: A bipartite graph.
    """
    return float(column_clustering(graph).mean())


def path_length(graph: ColumnGraph) -> float:
    """Mean number of edges on the shortest path, over pairs of the largest component.

    Directions, weights and self-edges are left out.

    Returns:
        1 or above; NaN if no edge joins two columns.

    Raises:
        ValueError: A bipartite graph.
    """
    return matrix_path_length(largest_component(joined_pairs(graph).matrix()))


def component_share(graph: ColumnGraph) -> float:
    """Share of the columns that are in the largest component, directions left out.

    Raises:
        ValueError: A bipartite graph.
    """
    matrix = joined_pairs(graph).matrix()
    return largest_component(matrix).shape[0] / matrix.shape[0]


class Communities(NamedTuple):
    """Communities of columns, and how much more they are joined within than between.

    Args:
        modularity: Q, between -1/2 and 1; NaN if no edge joins two columns.
        labels: Community of each column, ``[N]``, numbered from 0 by the smallest id in it.
    """

    modularity: float
    labels: Ids


def find_communities(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    resolution: float = 1.0,
    runs: int = 10,
    seed: int = 0,
) -> Communities:
    r"""Communities of the largest modularity that Louvain's method finds in several runs.

    .. math::
        Q = \frac{1}{2 m} \sum_{ij} \left(w_{ij} - \gamma \frac{k_i k_j}{2 m}\right)
        [c_i = c_j]

    with weights symmetrised, :math:`(w_{ij} + w_{ji}) / 2`; without weights every joined pair
    counts 1. Self-edges are left out. A run takes 22 s for 10^4 columns and
    10^5 random edges, on one thread.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.
        resolution: :math:`\gamma`; larger values find smaller communities.
        runs: Number of runs, the best of which is taken.
        seed: Seed of the runs.

    Raises:
        ValueError: ``runs`` or ``resolution`` out of range; bad weights; a bipartite graph.

    Source: Blondel et al., Fast unfolding of communities in large networks, Journal of Statistical
    Mechanics P10008 (2008).
    """
    import networkx

    if runs < 1:
        raise ValueError(f"runs must be 1 or above. Got {runs}.")
    if not (math.isfinite(resolution) and resolution > 0):
        raise ValueError(f"resolution must be finite and above 0. Got {resolution}.")
    pairs = joined_pairs(graph, weights)
    if not len(pairs.low):
        return Communities(math.nan, np.arange(graph.num_columns))
    network = networkx.from_scipy_sparse_array(pairs.matrix(weighted=True))
    best, chosen = -math.inf, []
    for run in range(runs):
        found = networkx.community.louvain_communities(
            network, resolution=resolution, seed=derive(seed, "communities", run) % 2**32
        )
        value = networkx.community.modularity(network, found, resolution=resolution)
        if value > best:
            best, chosen = value, found
    labels = np.empty(graph.num_columns, dtype=np.int64)
    for number, members in enumerate(sorted(chosen, key=min)):
        labels[list(members)] = number
    return Communities(float(best), labels)


def modularity(
    graph: ColumnGraph, weights: Tensor | None = None, runs: int = 10, seed: int = 0
) -> float:
    """Modularity Q of ``find_communities`` at resolution 1.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.
        runs: Number of runs of Louvain's method, the best of which is taken.
        seed: Seed of the runs.

    Raises:
        ValueError: See ``find_communities``.
    """
    return find_communities(graph, weights, runs=runs, seed=seed).modularity


def matrix_clustering(matrix: csr_array) -> Floats:
    """Clustering of each node of a symmetric matrix of ones without a diagonal, ``[N]``."""
    degree = np.asarray(matrix.sum(1)).ravel()
    closed = np.asarray((matrix @ matrix).multiply(matrix).sum(1)).ravel()
    possible = degree * (degree - 1)
    return np.divide(closed, possible, out=np.zeros(len(degree)), where=possible > 0)


def matrix_path_length(matrix: csr_array) -> float:
    """Mean number of edges on the shortest paths of a connected graph; NaN for one node."""
    n = matrix.shape[0]
    if n < 2:
        return math.nan
    total = 0.0
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        total += float(shortest_path(matrix, unweighted=True, indices=rows).sum())
    return total / (n * (n - 1))


def largest_component(matrix: csr_array) -> csr_array:
    """The largest component of a symmetric matrix, with the smallest ids if there are several."""
    _, label = connected_components(matrix, directed=False)
    members = np.flatnonzero(label == np.bincount(label).argmax())
    return csr_array(matrix[members][:, members])


def count_pairs(matrix: csr_array) -> int:
    """Pairs that a symmetric matrix joins."""
    return int(triu(matrix, 1).nnz)
