"""The strongest edges of a connectome, so that graphs of one density are compared."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import joined_pairs
from graphcolumns.graph import ColumnGraph


def strongest_pairs(
    graph: ColumnGraph, weights: Tensor, density: float
) -> tuple[ColumnGraph, Tensor]:
    r"""The strongest pairs of a graph without directions.

    Weights are symmetrised first, :math:`(w_{ij} + w_{ji}) / 2` with 0 for an absent edge. The
    ``round(density * N (N - 1) / 2)`` strongest pairs are kept, each as an edge in both directions;
    of equal weights those with smaller ids.

    Args:
        graph: Edges among columns; self-edges are left out.
        weights: Weight of every edge, ``[E]``, 0 or above.
        density: Share of the pairs of different columns that is kept, above 0 and up to the share
            that is joined.

    Returns:
        The graph, and the symmetrised weight of each of its edges, float64.

    Raises:
        ValueError: A density that is not in (0, 1], or above that of the graph; bad weights; a
            bipartite graph.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density must lie in (0, 1], a share of all pairs. Got {density}.")
    pairs = joined_pairs(graph, weights)
    n = graph.num_columns
    count = round(density * n * (n - 1) / 2)
    if not 0 < count <= len(pairs.low):
        own = len(pairs.low) / max(n * (n - 1) / 2, 1)
        raise ValueError(
            f"density must keep at least one pair and at most those that are joined. Got {density} "
            f"of {n} columns, {count} pairs; the graph joins {len(pairs.low)}, "
            f"a share of {own:.3g}."
        )
    # A stable sort: equal weights stay in the order of ids.
    kept = np.sort(np.argsort(-pairs.weight, kind="stable")[:count])
    return pairs.take(kept).graph()
