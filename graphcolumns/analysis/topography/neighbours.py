"""Neighbours on a sheet of units, as edges."""

from __future__ import annotations

import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts


def rook_neighbours(rows: int, columns: int, torus: bool = False) -> ColumnGraph:
    """Edges in both directions between units of a sheet that share a side.

    Units are in the order of ``image.flatten()``: the unit in row y, column x has id
    ``y * columns + x``. Lengths are not measured.

    Args:
        rows: Number of rows, 1 or above.
        columns: Number of units in a row, 1 or above.
        torus: Whether the last row touches the first, and the last unit of a row its first one.

    Raises:
        ValueError: A number below 1.
        TypeError: A number that is not whole.
    """
    check_counts(rows=rows, columns=columns)
    ids = torch.arange(rows * columns).reshape(rows, columns)
    pairs = []
    for dim, side in ((0, rows), (1, columns)):
        after = ids.roll(-1, dim)
        # Without a torus nothing lies beyond the last one.
        kept = slice(None) if torus else slice(0, side - 1)
        index = (kept,) if dim == 0 else (slice(None), kept)
        pairs.append(torch.stack([ids[index].flatten(), after[index].flatten()]))
    edges = torch.cat(pairs, 1)
    # On a torus with sides of 1 or 2 units are their own neighbours, or twice each other's.
    edges = torch.cat([edges, edges.flip(0)], 1)
    edges = edges[:, edges[0] != edges[1]].unique(dim=1)
    return ColumnGraph.from_edge_index(edges, rows * columns)
