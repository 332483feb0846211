"""Columns in windows, and the sources that each window reads: the layout of ``tiled_attention``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import MAX_ID

WINDOW = 16  # columns of a window, and what its sources are padded to: the side of a tile
# Share of a tile that must be edges; a guess, not measured.
DENSITY = 0.2


class Windows(NamedTuple):
    """Consecutive columns that share sources, as tiles; and the columns that do not.

    A window's sources are listed once, in order, so that a matrix product reads each once for all
    its columns. Where edges fill less than the given share of the tiles, the columns of a window
    are left as rows.

    Attributes:
        window: ``[T]`` int64, the windows in tiles: columns ``16 w`` to ``16 w + 15``.
        first: ``[T + 1]`` int64, where the sources of each start.
        source: ``[S]`` int32, a multiple of 16 for each window.
        receivers: ``[S]`` int32, bit ``r`` is set where column ``16 w + r`` attends; 0 if padded.
        edge: ``[S, 16]``, the edge of each bit, or -1.
        rows: ``[R]`` int64, the columns that are not in tiles.
        rowptr: ``[R + 1]`` int64, their in-edges in the next two.
        row_source: int32.
        row_edge: int64.

    Source: Column condensing of Wang et al., TC-GNN, USENIX ATC 2023.
    """

    window: Tensor
    first: Tensor
    source: Tensor
    receivers: Tensor
    edge: Tensor
    rows: Tensor
    rowptr: Tensor
    row_source: Tensor
    row_edge: Tensor

    @classmethod
    def of(cls, graph: ColumnGraph, density: float = DENSITY) -> Windows:
        """The windows of a graph; ``density`` 0 puts all in tiles, above 1 none with edges."""
        columns = torch.arange(graph.num_columns, device=graph.device)
        of_edge = graph.target.long() // WINDOW
        keys, place = torch.unique(of_edge * graph.num_sources + graph.source, return_inverse=True)
        of_source = keys // graph.num_sources
        windows = -(-graph.num_columns // WINDOW)
        sources = torch.bincount(of_source, minlength=windows)
        size = -(-sources // WINDOW) * WINDOW
        edges = torch.bincount(of_edge, minlength=windows)
        tiled = edges >= density * WINDOW * size

        rows = (~tiled[columns // WINDOW]).nonzero()[:, 0]
        row_edge = (~tiled[of_edge]).nonzero()[:, 0]
        rowptr = pad(graph.in_degree[rows].cumsum(0), (1, 0))

        # Where each source of a window stands in the padded lists of those that are tiled.
        starts = pad((size * tiled).cumsum(0), (1, 0))
        rank = torch.arange(len(keys), device=graph.device)
        at = starts[of_source] + rank - pad(sources.cumsum(0), (1, 0))[of_source]
        source = torch.zeros(int(starts[-1]), dtype=torch.int32, device=graph.device)
        kept = tiled[of_source]
        source[at[kept]] = (keys[kept] % graph.num_sources).int()

        number = torch.int32 if graph.num_edges <= MAX_ID else torch.int64
        edge = torch.full((len(source), WINDOW), -1, dtype=number, device=graph.device)
        in_tiles = tiled[of_edge].nonzero()[:, 0]
        column = graph.target[in_tiles].long() % WINDOW
        edge[at[place[in_tiles]], column] = in_tiles.to(number)
        bits = torch.arange(WINDOW, device=graph.device)
        receivers = ((edge >= 0) << bits).sum(1).int()
        return cls(
            tiled.nonzero()[:, 0], torch.cat([starts[:-1][tiled], starts[-1:]]), source, receivers,
            edge, rows, rowptr, graph.source[row_edge], row_edge,
        )  # fmt: skip

    def share(self) -> float:
        """Which part of the edges is in tiles."""
        edges = int((self.edge >= 0).sum())
        return edges / max(edges + len(self.row_edge), 1)
