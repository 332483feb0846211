"""The rows of other ranks that a rank needs, and their exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from torch import Tensor

from graphcolumns.distributed.consensus import require_alike
from graphcolumns.distributed.partition import ColumnShard


@dataclass(frozen=True)
class Halo:
    """Which rows a rank sends to each other one, and how many it receives.

    Rows are received in ascending order of their columns, because ranges are contiguous: those of
    lower ranks stand before the own rows and those of higher ranks behind, as in
    ``ColumnShard.sources``.

    Args:
        send: Own row that is sent, counted from the first column of the rank, by receiver and
            ascending, ``[s]`` int64.
        send_counts: Number of rows sent to each rank.
        receive_counts: Number of rows received from each rank.
        rank: Rank that the plan is for.

    Raises:
        ValueError: Counts that do not agree, or a rank that sends rows to itself.
    """

    send: Tensor
    send_counts: tuple[int, ...]
    receive_counts: tuple[int, ...]
    rank: int

    def __post_init__(self) -> None:
        ranks = len(self.send_counts)
        same = len(self.receive_counts) == ranks and 0 <= self.rank < ranks
        if not same or sum(self.send_counts) != len(self.send):
            raise ValueError(
                "a plan has counts for every rank, and as many rows as are sent. Got "
                f"{self.send_counts}, {self.receive_counts}, {len(self.send)} rows and rank "
                f"{self.rank}."
            )
        if self.send_counts[self.rank] or self.receive_counts[self.rank]:
            raise ValueError(
                f"own rows are not exchanged. Got {self.send_counts[self.rank]} sent and "
                f"{self.receive_counts[self.rank]} received by rank {self.rank} itself."
            )

    @property
    def below(self) -> int:
        """Number of rows received from lower ranks."""
        return sum(self.receive_counts[: self.rank])

    @property
    def rows(self) -> int:
        """Number of rows received."""
        return sum(self.receive_counts)

    def bytes_sent(self, row: int, backward: bool = True) -> int:
        """Bytes that this rank sends in one exchange of rows.

        Args:
            row: Bytes of a row.
            backward: Whether the gradients of the rows received are sent back.
        """
        return row * (len(self.send) + (self.rows if backward else 0))


def plan_halos(shards: Sequence[ColumnShard]) -> list[Halo]:
    """The plans of all ranks, from the shards of all: what ``exchange_plans`` does in processes."""
    ranks = len(shards)
    wanted = [_split(shard) for shard in shards]
    return [
        _halo(shards[rank], [wanted[other][rank] for other in range(ranks)])
        for rank in range(ranks)
    ]


def exchange_plans(shard: ColumnShard, group: dist.ProcessGroup | None = None) -> Halo:
    """The plan of this rank, from what every other rank says that it needs; then it is tried.

    A plan that does not fit that of another rank fails silently: gloo leaves rows that are expected
    and not sent as they were in memory. So ids are sent through the new plan once, and compared.

    Args:
        shard: Shard of this rank.
        group: Process group along the columns (default: the whole world).

    Raises:
        ValueError: On every rank: different partitions or graphs, a group of another size than the
            partition, or plans that do not fit each other.
    """
    partition, ranks = shard.partition, dist.get_world_size(group)
    sizes = f"{partition.num_columns} columns, {partition.ranks} ranks, {partition.blocks} blocks"
    require_alike({"partition": sizes, "graph": shard.whole, "torch": torch.__version__}, group)
    if ranks != partition.ranks:
        raise ValueError(
            f"a partition into {partition.ranks} ranks needs a group of as many processes. "
            f"Got {ranks}."
        )
    wanted = _split(shard)
    counts = torch.tensor([len(ids) for ids in wanted])
    requested = torch.empty_like(counts)
    dist.all_to_all_single(requested, counts, group=group)
    ids = counts.new_empty(int(requested.sum()))
    splits = requested.tolist(), counts.tolist()
    dist.all_to_all_single(ids, torch.cat(wanted), *splits, group=group)
    halo = _halo(shard, list(ids.split(requested.tolist())))
    _try_plan(halo, shard, group)
    return halo


def fetch(rows: Tensor, halo: Halo, group: dist.ProcessGroup | None = None) -> Tensor:
    """Own rows with those of the sources of other ranks around them, in the order of the sheet.

    Differentiable: the gradient of a row that was received goes back to its owner, which adds it to
    its own. Traceable by ``torch.compile``. Every rank of the group has to call it.

    Args:
        rows: Rows of the columns of this rank, ``[n, ...]``.
        halo: Plan of this rank.
        group: Process group along the columns (default: the whole world).

    Returns:
        ``[below + n + above, ...]``: a row for each of ``ColumnShard.sources``.
    """
    group = dist.group.WORLD if group is None else group
    assert group is not None
    flat = rows.reshape(len(rows), -1)
    sent = flat.index_select(0, halo.send.to(rows.device))
    counts = list(halo.receive_counts), list(halo.send_counts)
    received = functional.all_to_all_single_autograd(sent, *counts, group)
    below, above = received.split([halo.below, halo.rows - halo.below])
    return torch.cat([below, flat, above]).reshape(-1, *rows.shape[1:])


def _split(shard: ColumnShard) -> list[Tensor]:
    """The foreign sources of a rank, by their owner."""
    foreign = shard.foreign
    counts = shard.partition.owner(foreign).bincount(minlength=shard.partition.ranks)
    return list(foreign.split(counts.tolist()))


def _halo(shard: ColumnShard, requests: Sequence[Tensor]) -> Halo:
    """The plan of a rank, of which each other rank requests some columns."""
    first, last = shard.columns
    send = torch.cat(list(requests))
    if len(send) and not first <= int(send.min()) <= int(send.max()) < last:
        raise ValueError(
            f"rank {shard.rank} owns the columns {first} to {last - 1}, and others request "
            f"{int(send.min())} to {int(send.max())}: the ranks have different partitions. Start "
            "all of them with the same configuration."
        )
    counts = tuple(len(ids) for ids in requests)
    return Halo(send - first, counts, tuple(map(len, _split(shard))), shard.rank)


def _try_plan(halo: Halo, shard: ColumnShard, group: dist.ProcessGroup | None) -> None:
    """Send the id of every column, and agree with all ranks whether each came where it should."""
    ids = torch.arange(*shard.columns, dtype=torch.float64)[:, None]
    fits = torch.equal(fetch(ids, halo, group)[:, 0].long(), shard.sources)
    wrong = torch.zeros(shard.partition.ranks, dtype=torch.int64)
    wrong[shard.rank] = not fits
    dist.all_reduce(wrong, group=group)
    if wrong.any():
        raise ValueError(
            "every rank must receive the columns that it receives from. Got others on the ranks "
            f"{wrong.nonzero()[:, 0].tolist()}; start all ranks with the same graph and the same "
            "version."
        )
