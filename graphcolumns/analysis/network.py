"""Graph statistics of brain networks. Slower than ``O(E)``: compute them now and then."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import segment_sum


def network(graph: ColumnGraph, seed: int = 0) -> dict[str, float]:
    r"""Reciprocity, clustering, modularity and small-worldness of a sheet, by networkx.

    Self-edges are left out; all but reciprocity look at the graph without directions.

    Args:
        graph: Edges among columns.
        seed: Seed of the search for communities.

    Returns:
        ``reciprocity``: share of edges whose reverse is an edge; ``clustering``: mean share of a
        column's neighbours that are neighbours; ``path_length``: mean number of edges on the
        shortest path between two columns of the largest component; ``modularity`` Q of the
        communities that Louvain's method finds; ``small_world``:
        :math:`\sigma = (C / C_r) / (L / L_r)` against a random graph of as many columns and edges,
        :math:`C_r = k / n`, :math:`L_r = \ln n / \ln k` (NaN at a mean degree ``k`` of 1 or below).

    Raises:
        ValueError: The graph is bipartite, or has no edge between different columns.

    Source: Rubinov and Sporns, Complex network measures of brain connectivity, NeuroImage 52
    (2010); Humphries and Gurney, Network 'small-world-ness', PLoS ONE 3 (2008).
    """
    import networkx

    directed = graph.to_networkx()
    directed.remove_edges_from(list(networkx.selfloop_edges(directed)))
    if not directed.number_of_edges():
        raise ValueError("statistics of a network need an edge between different columns.")
    mutual = directed.to_undirected()
    largest = mutual.subgraph(max(networkx.connected_components(mutual), key=len))
    groups = networkx.community.louvain_communities(mutual, weight=None, seed=seed)
    clustering = networkx.average_clustering(mutual)
    length = networkx.average_shortest_path_length(largest)
    n = mutual.number_of_nodes()
    return {
        "reciprocity": networkx.overall_reciprocity(directed),
        "clustering": clustering,
        "path_length": length,
        "modularity": networkx.community.modularity(mutual, groups, weight=None),
        "small_world": _small_world(clustering, length, n, 2 * mutual.number_of_edges() / n),
    }


def _small_world(clustering: float, length: float, n: int, degree: float) -> float:
    if degree <= 1:
        return math.nan
    return (clustering * n / degree) / (length * math.log(degree) / math.log(n))


def exponential_lengths(lengths: NDArray[np.float64]) -> tuple[float, float]:
    r"""The exponential distribution nearest to the lengths of edges, and how near that is.

    Args:
        lengths: Lengths of edges between different columns, ``[E]``.

    Returns:
        The rate :math:`\lambda`, one over the mean length, which is its maximum likelihood; and
        the Kolmogorov-Smirnov distance, the largest difference of the two distributions. A rate
        that accounts for the lengths that the sheet offers is
        ``graphcolumns.analysis.connectome.distance_rule``.

    Raises:
        ValueError: No lengths, or all of them 0.
    """
    if not len(lengths) or not np.max(lengths) > 0:
        raise ValueError(f"need lengths, some of them above 0. Got {len(lengths)} lengths.")
    mean = float(np.mean(lengths))
    return 1 / mean, float(stats.kstest(lengths, stats.expon(scale=mean).cdf).statistic)


def attention_entropy(mass: Tensor, graph: ColumnGraph) -> Tensor:
    r"""How widely each column attends: :math:`-\sum_j p_{ij} \ln p_{ij}`, in nats.

    0: to one other only; :math:`\ln k` when its ``k`` in-edges share evenly.

    Args:
        mass: Attention on each edge, ``[E]``, adding up to 1 over the in-edges of a column.
        graph: Edges.

    Returns:
        ``[N]``; 0 for a column without in-edges.
    """
    if mass.shape != (graph.num_edges,):
        raise ValueError(
            f"mass must hold one number per edge, ({graph.num_edges},). Got {tuple(mass.shape)}."
        )
    return segment_sum(-torch.xlogy(mass, mass), graph.target, graph.num_columns)
