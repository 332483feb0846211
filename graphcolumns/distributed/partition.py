"""Which columns belong to which rank, and what a rank keeps of a graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph

# Divisible by 2, 3, 4, 6, 8, 12, 16, 24, 32 and 48.
BLOCKS = 96


@dataclass(frozen=True)
class Partition:
    """Contiguous ranges of columns, one per rank, that begin and end on blocks of columns.

    Sums over columns are taken block by block, so that they do not depend on the number of ranks.
    Blocks, and ranges where the number of ranks divides that of blocks, differ by at most one
    column.

    Args:
        num_columns: Number of columns N of the whole sheet.
        ranks: Number of ranks R.
        blocks: Number of blocks (default: 96, and N where there are fewer columns).

    Raises:
        ValueError: More blocks than columns, or more ranks than blocks: a rank would be empty.
    """

    num_columns: int
    ranks: int
    blocks: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_columns", "ranks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or above. Got {getattr(self, name)}.")
        if self.blocks is None:
            object.__setattr__(self, "blocks", min(BLOCKS, self.num_columns))
        if not self.ranks <= self.num_blocks <= self.num_columns:
            raise ValueError(
                "every rank needs a block of columns, and every block a column: ranks <= blocks <= "
                f"columns. Got {self.ranks} ranks, {self.blocks} blocks and {self.num_columns} "
                "columns; start fewer processes along the columns, or choose other blocks."
            )

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        assert self.blocks is not None
        return self.blocks

    @property
    def block_bounds(self) -> Tensor:
        """Where blocks begin, and N, ``[blocks + 1]`` int64."""
        return _evenly(self.num_columns, self.num_blocks)

    @property
    def bounds(self) -> Tensor:
        """Where the columns of each rank begin, and N, ``[R + 1]`` int64."""
        return self.block_bounds[_evenly(self.num_blocks, self.ranks)]

    def columns_of(self, rank: int) -> tuple[int, int]:
        """First column of a rank, and the one behind its last."""
        first, last = self.bounds[rank : rank + 2].tolist()
        return first, last

    def owner(self, columns: Tensor) -> Tensor:
        """The rank that each of these columns belongs to, int64 of the same shape."""
        return torch.bucketize(columns.long(), self.bounds[1:-1].to(columns.device), right=True)


@dataclass(frozen=True)
class ColumnShard:
    """The columns of a rank, the edges that they receive along, and the sources of these edges.

    Args:
        partition: Partition that the shard is a part of.
        rank: Rank that keeps it.
        sources: Column that each source of ``graph`` is, ``[M']`` int64, ascending: the columns of
            this rank, and those of others from which they receive. As ranges are contiguous, the
            own ones lie side by side.
        graph: Edges from ``sources`` to the columns of this rank, both renumbered in their order.
            Edges of a column stay in the order of the whole sheet, and so do sums over them.
        first_edge: Edge of the whole graph that edge 0 is.
        whole: Fingerprint of the whole graph; "" where no rank has it.
    """

    partition: Partition
    rank: int
    sources: Tensor
    graph: ColumnGraph
    first_edge: int
    whole: str = ""

    @property
    def columns(self) -> tuple[int, int]:
        """First column of this rank, and the one behind its last."""
        return self.partition.columns_of(self.rank)

    @property
    def below(self) -> int:
        """Number of sources before the own ones."""
        return int(torch.searchsorted(self.sources, self.columns[0]))

    @property
    def foreign(self) -> Tensor:
        """The sources that other ranks own, ascending, ``[h]`` int64."""
        first, last = self.columns
        return self.sources[(self.sources < first) | (self.sources >= last)]


def shard_graph(graph: ColumnGraph, partition: Partition, rank: int) -> ColumnShard:
    """What one rank keeps of a graph between the columns of a sheet.

    Args:
        graph: Whole graph, N columns.
        partition: Partition of these columns.
        rank: Rank, below ``partition.ranks``.

    Raises:
        ValueError: Sources other than the columns, another number of columns than the partition
            has, or no such rank.
    """
    if not graph.num_columns == graph.num_sources == partition.num_columns:
        raise ValueError(
            "the graph must be between the columns of the partition. Got "
            f"{graph} and {partition.num_columns} columns."
        )
    _check_rank(rank, partition.ranks)
    first, last = partition.columns_of(rank)
    begin, end = graph.rowptr[[first, last]].tolist()
    distance = None if graph.distance is None else graph.distance[begin:end]
    return shard_rows(
        graph.rowptr[first : last + 1] - begin,
        *(graph.source[begin:end], distance, partition, rank, begin, graph.name),
        whole=graph.fingerprint,
    )


def shard_rows(
    rowptr: Tensor,
    source: Tensor,
    distance: Tensor | None,
    partition: Partition,
    rank: int,
    first_edge: int,
    name: str = "",
    whole: str = "",
) -> ColumnShard:
    """The shard of a rank that knows only its own rows.

    Args:
        rowptr: Where the in-edges of each column of the rank begin, from 0, ``[n + 1]`` int64.
        source: Column of the whole sheet that each edge comes from, ``[e]``.
        distance: Length of each edge, ``[e]``, or None.
        partition: Partition of the columns.
        rank: Rank that the rows belong to.
        first_edge: Edge of the whole graph that the first one is.
        name: Name of the graph.
        whole: Fingerprint of the whole graph; "" where no rank has it.

    Raises:
        ValueError: Rows of another number of columns, or a source outside of the sheet.
    """
    first, last = partition.columns_of(rank)
    if len(rowptr) != last - first + 1:
        raise ValueError(
            f"rank {rank} owns the columns {first} to {last - 1}, {last - first} rows. Got "
            f"{len(rowptr) - 1} rows."
        )
    if len(source) and not 0 <= int(source.min()) <= int(source.max()) < partition.num_columns:
        raise ValueError(
            f"sources must be columns, 0 to {partition.num_columns - 1}. Got "
            f"{int(source.min())} to {int(source.max())}."
        )
    own = torch.arange(first, last, device=source.device)
    sources = torch.unique(torch.cat([own, source.long()]))
    local = torch.searchsorted(sources, source.long()).int()
    graph = ColumnGraph(rowptr, local, distance, len(sources), name)
    return ColumnShard(partition, rank, sources, graph, first_edge, whole)


def _evenly(count: int, parts: int) -> Tensor:
    """Bounds of ``parts`` ranges of 0 to ``count`` that differ by at most one, ``[parts + 1]``."""
    return torch.arange(parts + 1) * count // parts


def _check_rank(rank: int, ranks: int) -> None:
    if not 0 <= rank < ranks:
        raise ValueError(f"rank must be 0 to {ranks - 1}. Got {rank}.")
