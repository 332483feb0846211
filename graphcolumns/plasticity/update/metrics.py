"""What happened to the edges, in numbers that cost ``O(E)`` and can be logged at every update."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import contains, edge_keys
from graphcolumns.plasticity.rewiring.rewiring import Rewiring


@dataclass(frozen=True, eq=False)
class Past:
    """Earlier graphs, as far as metrics need them. A frozen value; sorted int64 keys of edges.

    ``Past.start(graph)`` before the first update, ``past.after(rewiring)`` after each; its three
    tensors are all that a checkpoint needs.

    Args:
        first: Edges at the start, ``[E0]``.
        ever: All edges that there have been, ``[U]``.
        newborn: Edges that the last update grew, ``[G]``.
    """

    first: Tensor
    ever: Tensor
    newborn: Tensor

    @classmethod
    def start(cls, graph: ColumnGraph) -> Past:
        """Nothing has happened yet."""
        keys = edge_keys(graph)
        return cls(keys, keys, keys[:0])

    def after(self, rewiring: Rewiring) -> Past:
        """With the newborns of one more update; the union is sorted again, ``O(U log U)``."""
        born = edge_keys(rewiring.graph)[rewiring.born]
        fresh = born[~contains(self.ever, born)]
        return Past(self.first, torch.cat([self.ever, fresh]).sort().values, born)


def update_metrics(
    graph: ColumnGraph,
    rewiring: Rewiring | None = None,
    past: Past | None = None,
    outputs: Tensor | None = None,
    pairs: int | None = None,
) -> dict[str, float]:
    """The metrics of one update, under the names that they have in ``metrics.jsonl``.

    Args:
        graph: Edges after the update.
        rewiring: Change of the update, if there was one: adds ``edges_born``, ``edges_died``,
            ``churn``.
        past: Graphs before this update: adds ``explored``, ``explored_beyond`` and
            ``jaccard_first``, and after an update that grew something ``newborn_survival``.
        outputs: Ids of the columns that are read, for ``dead_columns`` (default: all).
        pairs: Number of allowed pairs, for both ``explored`` (default: all ``N M``, self-edges
            counted).

    Returns:
        Always ``edges``, ``degree_gini`` (of in-degrees), ``dead_columns``; of a graph with
        distances ``wiring_length``, the sum, and ``mean_length``, over edges between different
        columns, in the unit of the graph. What is not known is left out.
    """
    entry: dict[str, float] = {"edges": graph.num_edges}
    if graph.distance is not None:
        entry["wiring_length"] = float(graph.distance.detach().double().sum())
        bipartite = graph.num_columns != graph.num_sources
        between = graph.num_edges if bipartite else int((graph.source != graph.target).sum())
        if between:
            entry["mean_length"] = entry["wiring_length"] / between
    entry["degree_gini"] = gini(graph.in_degree)
    entry["dead_columns"] = int(dead_columns(graph, outputs).sum())
    if rewiring is not None:
        entry |= {"edges_born": len(rewiring.born), "edges_died": len(rewiring.died)}
        entry["churn"] = churn(rewiring)
    if past is not None:
        now = past if rewiring is None else past.after(rewiring)
        allowed = graph.num_columns * graph.num_sources if pairs is None else pairs
        entry["explored"] = explored(now, allowed)
        entry["explored_beyond"] = explored_beyond(now, allowed)
        entry["jaccard_first"] = jaccard(past.first, edge_keys(graph))
        if rewiring is not None and len(past.newborn):
            entry["newborn_survival"] = newborn_survival(past, rewiring)
    return entry


def churn(rewiring: Rewiring) -> float:
    r"""Share of the wiring that one update exchanged, :math:`(D + G) / (E + E')`, from 0 to 1.

    With a constant number of edges that is (dropped + grown) / 2E. Of no edges at all: 0.
    """
    total = rewiring.before.num_edges + rewiring.graph.num_edges
    return (len(rewiring.died) + len(rewiring.born)) / total if total else 0.0


def explored(past: Past, pairs: int) -> float:
    """Share of the allowed pairs that have ever been edges, Rs; it never falls.

    Source: Liu et al., Do we actually need dense over-parameterization? In-time
    over-parameterization in sparse training, ICML 2021.
    """
    if pairs < len(past.ever):
        raise _too_few(past, pairs)
    return len(past.ever) / pairs


def explored_beyond(past: Past, pairs: int) -> float:
    r"""Share of the pairs that were no edges at the start and have been tried since.

    :math:`R_s^* = (U - E_0) / (P - E_0)`, for ``U`` different edges so far among ``P`` pairs: 0 for
    a static graph and 1 when everything was tried, whatever the budget, where Rs starts at the
    density.
    """
    if pairs < len(past.ever):
        raise _too_few(past, pairs)
    left = pairs - len(past.first)
    return (len(past.ever) - len(past.first)) / left if left else 0.0


def newborn_survival(past: Past, rewiring: Rewiring) -> float:
    """Share of the newborns of the update before that survive this one; NaN if it grew none."""
    kept = edge_keys(rewiring.graph)[rewiring.survived]
    return float(contains(kept, past.newborn).double().mean())


def jaccard(first: Tensor, second: Tensor) -> float:
    """Common edges over all edges of two graphs, 1 for two empty ones.

    Args:
        first: Keys of the edges of one graph, ``edge_keys``.
        second: Keys of the other, with as many sources.
    """
    shared = int(contains(first, second).sum())
    union = len(first) + len(second) - shared
    return shared / union if union else 1.0


def gini(values: Tensor) -> float:
    """Inequality of counts: 0 if all are equal, ``1 - 1/n`` if one of ``n`` has everything.

    Args:
        values: Counts ``[n]``, not negative, such as ``graph.in_degree``.

    Source: Gini (1912), as half the relative mean absolute difference.
    """
    ordered, total = values.double().sort().values, float(values.double().sum())
    if not total:
        return 0.0
    n = len(ordered)
    weight = 2 * torch.arange(1, n + 1, device=values.device).double() - n - 1
    return max(float(weight @ ordered) / (n * total), 0.0)  # not -0 from rounding


def dead_columns(graph: ColumnGraph, outputs: Tensor | None = None) -> Tensor:
    """Columns without in-edges, or from which no path leads to a column that is read.

    Args:
        graph: Edges among columns, or from sources to columns.
        outputs: Ids of the columns that are read (default: all, so that every path is one).

    Returns:
        ``[N]`` bool.
    """
    isolated = graph.in_degree == 0
    if outputs is None or graph.num_columns != graph.num_sources:
        return isolated
    return isolated | ~torch.from_numpy(_reached(graph, outputs)).to(isolated.device)


def _reached(graph: ColumnGraph, outputs: Tensor) -> NDArray[np.bool_]:
    """Columns that reach an output over any number of edges: a walk against the edges."""
    n = graph.num_columns
    receiver = np.concatenate([graph.target.cpu().numpy(), np.full(len(outputs), n)])
    sender = np.concatenate([graph.source.cpu().numpy(), outputs.cpu().numpy()])
    links = coo_array((np.ones(len(receiver)), (receiver, sender)), shape=(n + 1, n + 1)).tocsr()
    found = np.zeros(n + 1, dtype=np.bool_)
    found[breadth_first_order(links, n, return_predecessors=False)] = True
    return found[:n]


def _too_few(past: Past, pairs: int) -> ValueError:
    return ValueError(
        f"there have been {len(past.ever)} different edges, so that many pairs must be allowed. "
        f"Got pairs={pairs}; count self-edges if there are any."
    )
