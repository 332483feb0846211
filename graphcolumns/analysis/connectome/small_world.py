"""How near a connectome is to a small world: between a ring lattice and a random graph."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array

from graphcolumns.analysis.connectome.nulls import rewire_degrees
from graphcolumns.analysis.connectome.pairs import Ids, joined_pairs
from graphcolumns.analysis.connectome.segregation import (
    count_pairs,
    largest_component,
    matrix_clustering,
    matrix_path_length,
)
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive


class SmallWorld(NamedTuple):
    r"""Clustering C and path length L between those of a lattice and of random graphs.

    Of the largest component, without directions, weights and self-edges. A value that is 0 / 0 is
    NaN: where lattice and random graph cluster alike, as in a complete graph, or where no edge
    joins two columns.

    Args:
        propensity: :math:`1 - \sqrt{(\Delta_C^2 + \Delta_L^2) / 2}`, in [0, 1], 1 for a small
            world; :math:`\Delta_C = (C_l - C) / (C_l - C_r)`,
            :math:`\Delta_L = (L - L_r) / (L_l - L_r)`, both clipped to [0, 1].
        omega: :math:`L_d / L - C / C_l`, near 0 for a small world, -1 for a lattice, 1 for a
            random graph.
        sigma: :math:`(C / C_d) / (L / L_d)`, which grows with the number of columns.
        clustering: C.
        path_length: L, in edges.
        lattice: :math:`C_l, L_l` of the ring in which as many columns are joined to their nearest
            by as many edges.
        random: :math:`C_r, L_r`, means over random graphs with as many columns and edges.
        degrees: :math:`C_d, L_d`, means over random graphs with the same degrees.
    """

    propensity: float
    omega: float
    sigma: float
    clustering: float
    path_length: float
    lattice: tuple[float, float]
    random: tuple[float, float]
    degrees: tuple[float, float]


def small_world(graph: ColumnGraph, references: int = 10, seed: int = 0) -> SmallWorld:
    """Small-world propensity, omega and sigma of a graph.

    Random graphs that fall apart count with their largest component. The lattice of omega is the
    ring too, not one with the degrees of the graph.

    Args:
        graph: Edges among columns.
        references: Number of random graphs of each kind.
        seed: Seed of the random graphs.

    Raises:
        ValueError: No reference; a bipartite graph.

    Source: Muldoon, Bridgeford and Bassett, Small-world propensity and weighted brain networks,
    Scientific Reports 6 (2016); Telesford et al., The ubiquity of small-world networks, Brain
    Connectivity 1 (2011); Humphries and Gurney, Network 'small-world-ness', PLoS ONE 3 (2008).
    """
    if references < 1:
        raise ValueError(f"references must be 1 or above. Got {references}.")
    matrix = largest_component(joined_pairs(graph).matrix())
    n, edges = matrix.shape[0], count_pairs(matrix)
    c, length = _both(matrix)
    if not edges:
        none = (math.nan, math.nan)
        return SmallWorld(math.nan, math.nan, math.nan, c, length, none, none, none)
    lattice = _both(ring_lattice(n, edges))
    seeds = [derive(seed, "small world", k) for k in range(references)]
    random = _mean([_both(random_matrix(n, edges, s)) for s in seeds])
    degrees = _mean([_both(_rewired(matrix, s)) for s in seeds])
    return SmallWorld(
        _propensity(c, length, lattice, random),
        degrees[1] / length - _ratio(c, lattice[0]),
        _ratio(_ratio(c, degrees[0]), length / degrees[1]),
        c,
        length,
        lattice,
        random,
        degrees,
    )


def _propensity(
    c: float, length: float, lattice: tuple[float, float], random: tuple[float, float]
) -> float:
    of_c = _ratio(lattice[0] - c, lattice[0] - random[0])
    of_l = _ratio(length - random[1], lattice[1] - random[1])
    if math.isnan(of_c) or math.isnan(of_l):
        return math.nan
    parts = np.clip([of_c, of_l], 0, 1)
    return float(1 - math.sqrt((parts**2).mean()))


def ring_lattice(n: int, edges: int) -> csr_array:
    """Nodes on a ring, joined to the nearest first; what does not fill a last ring lies evenly.

    Args:
        n: Number of nodes.
        edges: Number of pairs that are joined.

    Returns:
        Symmetric matrix of ones, ``[N, N]``.
    """
    low, high, step = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 1
    left = edges
    while left:
        # Opposite nodes are half as many pairs.
        whole = n // 2 if 2 * step == n else n
        count = min(left, whole)
        at = np.arange(count) * whole // count
        low.append(at)
        high.append((at + step) % n)
        left, step = left - count, step + 1
    return _symmetric(n, np.concatenate(low), np.concatenate(high))


def random_matrix(n: int, edges: int, seed: int) -> csr_array:
    """A random graph with a number of nodes and of pairs that are joined, each as likely.

    Args:
        n: Number of nodes.
        edges: Number of pairs that are joined.
        seed: Seed of the draw.

    Returns:
        Symmetric matrix of ones, ``[N, N]``.
    """
    generator = np.random.default_rng(seed)
    if n <= 2000:
        low, high = np.triu_indices(n, 1)
        drawn = generator.choice(len(low), edges, replace=False)
        return _symmetric(n, low[drawn], high[drawn])
    keys = np.empty(0, np.int64)
    while len(keys) < edges:
        a, b = generator.integers(0, n, (2, 2 * edges))
        new = np.minimum(a, b) * n + np.maximum(a, b)
        keys = np.unique(np.append(keys, new[a != b]))
    keys = generator.choice(keys, edges, replace=False)
    return _symmetric(n, keys // n, keys % n)


def _symmetric(n: int, low: Ids, high: Ids) -> csr_array:
    ends = (np.append(low, high), np.append(high, low))
    return coo_array((np.ones(2 * len(low)), ends), shape=(n, n)).tocsr()


def _rewired(matrix: csr_array, seed: int) -> csr_array:
    target, source = matrix.nonzero()
    edge_index = torch.from_numpy(np.stack([source, target]).astype(np.int64))
    graph = ColumnGraph.from_edge_index(edge_index, matrix.shape[0])
    return joined_pairs(rewire_degrees(graph, seed=seed, undirected=True).graph).matrix()


def _both(matrix: csr_array) -> tuple[float, float]:
    """Clustering and path length of the largest component."""
    largest = largest_component(matrix)
    return float(matrix_clustering(largest).mean()), matrix_path_length(largest)


def _mean(values: list[tuple[float, float]]) -> tuple[float, float]:
    c, length = np.mean(values, 0)
    return float(c), float(length)


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan
