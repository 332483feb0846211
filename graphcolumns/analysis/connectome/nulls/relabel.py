"""Nulls that keep the edges: positions permuted, or directions flipped."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphcolumns.analysis.connectome.nulls.checks import require_geometry
from graphcolumns.analysis.connectome.nulls.slots import (
    NullDraw,
    check_observed,
    null_draw,
)
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def permute_positions(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
) -> NullDraw:
    """The same edges between columns at permuted positions: only the lengths of edges change.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``; each stays with its edge.
        geometry: Positions of the columns, required.
        seed: Seed of the permutation, 0 or above.

    Raises:
        ValueError: No geometry, or one of another number of columns; a bipartite graph, weights of
            another shape or not finite, a bad seed; an edge between columns that no path joins.
    """
    check_observed(graph, weights)
    geometry = require_geometry(graph, geometry, "permute_positions")
    order = numpy_generator(seed).permutation(graph.num_columns)
    moved = graph.remeasure(geometry.permute(torch.from_numpy(order).to(geometry.positions.device)))
    return NullDraw(moved, weights, torch.arange(graph.num_edges, device=graph.device))


def flip_directions(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
) -> NullDraw:
    """Every edge turned round with probability 1/2.

    Which columns are joined, and how often, is kept: so are lengths and the sum of in- and
    out-degree. A pair of edges in both directions is turned as one, which exchanges their weights;
    without weights it looks the same. Self-edges stay.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``; each stays with its edge.
        geometry: Positions of the columns, which measure the edges; without it edges keep the
            lengths that they have.
        seed: Seed of the flips, 0 or above.

    Raises:
        ValueError: A bipartite graph, weights of another shape or not finite, a bad seed.
    """
    check_observed(graph, weights)
    source, target = graph.edge_index.cpu().numpy()
    pair = np.minimum(source, target) * graph.num_columns + np.maximum(source, target)
    # Both edges of a pair share one coin.
    pairs, place = np.unique(pair, return_inverse=True)
    flip = (numpy_generator(seed).random(len(pairs)) < 0.5)[place]
    edges = np.stack([np.where(flip, target, source), np.where(flip, source, target)])
    drawn = null_draw(graph, weights, geometry, edges, np.arange(len(source)))
    if geometry is None and graph.distance is not None:
        lengths = graph.distance[drawn.origin]
        measured = ColumnGraph(drawn.graph.rowptr, drawn.graph.source, lengths, graph.num_sources)
        return drawn._replace(graph=measured.named(graph.name))
    return drawn
