"""Topology: who shares neighbours, and who closes paths of three, from the edges alone."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.criteria.kind import require_same_columns
from graphcolumns.plasticity.probe.evidence import Evidence

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Neighbours = Literal["in", "out", "all"]
Norm = Literal["jaccard", "dice"]


def matching_index(
    pairs: Evidence, neighbours: Neighbours = "all", norm: Norm = "jaccard", chunk: int = 2**16
) -> Tensor:
    r"""Shared neighbours, :math:`G = |\Gamma_i \cap \Gamma_j| / |\Gamma_i \cup \Gamma_j|`.

    Highest grown. Edges of the two columns with themselves and with each other do not count; 0
    where both have no other. For edges and candidates. Betzel's growth rule is
    :math:`p \propto d^\eta (G + 10^{-6})^\gamma`.

    Args:
        pairs: Evidence on edges or candidates.
        neighbours: Neighbours of a column: ``"in"``, its sources, ``"out"``, its targets, or
            ``"all"``, both lists one after the other.
        norm: ``"jaccard"``, or ``"dice"``, :math:`2 |\cap| / (|\Gamma_i| + |\Gamma_j|)`, as in the
            Brain Connectivity Toolbox.
        chunk: Pairs at a time; memory is ``O(E + chunk * degree)``.

    Returns:
        ``[P]`` float64, in [0, 1].

    Raises:
        ValueError: A bipartite graph, unknown neighbours or an unknown norm.

    Source: Hilgetag et al. 2002; Betzel et al. 2016
    (https://doi.org/10.1016/j.neuroimage.2015.09.041).
    """
    graph = pairs.graph
    require_same_columns(graph, "matching_index")
    if neighbours not in get_args(Neighbours) or norm not in get_args(Norm):
        raise ValueError(
            "neighbours must be 'in', 'out' or 'all' and norm 'jaccard' or 'dice'. "
            f"Got {neighbours!r} and {norm!r}."
        )
    sources = _adjacency(graph, self_loops=False)
    lists = {"in": [sources], "out": [sources.T], "all": [sources, sources.T]}[neighbours]
    tables = [csr_array(table) for table in lists]

    def score(i: Ids, j: Ids) -> Floats:
        common, first, second = np.sum([_overlap(table, i, j) for table in tables], axis=0)
        total = first + second if norm == "dice" else first + second - common
        return (2 if norm == "dice" else 1) * common / np.maximum(total, 1)

    return _in_chunks(score, pairs, chunk)


def _overlap(table: csr_array, i: Ids, j: Ids) -> Floats:
    """Common neighbours, and those of each but the other one; no self-loops in the table."""
    degree = np.diff(table.indptr)
    common = (table[i].multiply(table[j])).sum(1)
    own = degree[i] - _entries(table, i, j), degree[j] - _entries(table, j, i)
    return np.stack([common, *own])


def ch2_l3n(pairs: Evidence, chunk: int = 2**12) -> Tensor:
    r"""Paths of three that stay in a local community, :math:`G = (W A)_{ij} + (W' A^\top)_{ji}`.

    :math:`A` is target by source. With the shared sources :math:`C = A A^\top`, the degree
    :math:`k` and the number of edges that leave the community
    :math:`e_{ik} = \max(k_k - C_{ik}, 1) - 1`

    .. math::
        W_{ik} = \frac{C_{ik} + 1}{e_{ik} + 1} \; [C_{ik} > 0],

    and :math:`W'` likewise from the shared targets :math:`A^\top A`. Highest grown; for edges and
    candidates, also of bipartite graphs. No matrix of all pairs is made.

    Args:
        pairs: Evidence on edges or candidates.
        chunk: Pairs at a time; memory is ``O(E + chunk * degree^2)``.

    Returns:
        ``[P]`` float64, at least 0.

    Source: Zhang et al. 2025 (https://arxiv.org/abs/2501.19107): Cannistraci-Hebb, the node based
    form CH2-L3n of the soft rule.
    """
    by_target = _adjacency(pairs.graph, self_loops=True)
    by_source = csr_array(by_target.T)

    def score(i: Ids, j: Ids) -> Floats:
        return _closed_paths(by_target, by_source, i, j) + _closed_paths(by_source, by_target, j, i)

    return _in_chunks(score, pairs, chunk)


def _closed_paths(table: csr_array, reverse: csr_array, i: Ids, j: Ids) -> Floats:
    """``(W A)_ij`` for the table ``A`` and its transpose."""
    rows, place = np.unique(i, return_inverse=True)
    shared = csr_array(table[rows] @ reverse)
    leaving = np.maximum(np.diff(table.indptr)[shared.indices] - shared.data, 1) - 1
    shared.data = (shared.data + 1) / (leaving + 1)
    result: Floats = shared[place].multiply(reverse[j]).sum(1)
    return result


def _adjacency(graph: ColumnGraph, self_loops: bool) -> csr_array:
    """Ones at (target, source), float64."""
    target, source = (ids.cpu().numpy() for ids in (graph.target, graph.source))
    kept = slice(None) if self_loops else target != source
    target, source = target[kept], source[kept]
    shape = graph.num_columns, graph.num_sources
    return csr_array((np.ones(len(target)), (target, source)), shape=shape)


def _entries(table: csr_array, i: Ids, j: Ids) -> Floats:
    """``table[i, j]`` pair by pair."""
    entries: Floats = np.asarray(table[i, j], dtype=np.float64).reshape(-1)
    return entries


def _own(ids: Tensor) -> Ids:
    """A copy: scipy sets flags of the arrays it indexes with, and views of tensors refuse."""
    copy: Ids = ids.long().cpu().numpy().copy()
    return copy


def _in_chunks(score: Callable[[Ids, Ids], Floats], pairs: Evidence, chunk: int) -> Tensor:
    ends = zip(pairs.targets.split(chunk), pairs.sources.split(chunk), strict=True)
    ids = ((_own(i), _own(j)) for i, j in ends)
    parts = [score(i, j) for i, j in ids if len(i)]
    values = np.concatenate(parts) if parts else np.zeros(0)
    return torch.from_numpy(values).to(pairs.targets.device)
