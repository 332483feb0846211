"""What several processes must agree on, and the error that each gets if they do not."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from torch import distributed

from graphcolumns.graph import ColumnGraph


def require_same_edges(graph: ColumnGraph) -> None:
    """Compare the edges over all processes of the default group; alone, there is nothing to do.

    Every process has to call it, and each sends 64 characters, however many edges there are; over
    NCCL by the current CUDA device, which each has to have set (``torch.cuda.set_device(rank)``).

    Raises:
        ValueError: The processes do not have the same edges.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return
    mine = sha256(graph.edge_index.cpu().numpy().tobytes()).hexdigest()
    found = [""] * distributed.get_world_size()
    distributed.all_gather_object(found, mine)
    if len(set(found)) > 1:
        alike = [rank for rank, other in enumerate(found) if other == mine]
        raise ValueError(
            "all processes must choose the same edges, so they need the same seed, samples, labels "
            f"and parameters at an update. Got {len(set(found))} different graphs on {len(found)} "
            f"processes; that of rank {distributed.get_rank()} is on the ranks {alike}."
        )


def require_alike(values: Mapping[str, Any], group: distributed.ProcessGroup | None = None) -> None:
    """Compare named values over all processes of a group; every one of them has to call it.

    Args:
        values: Short text or numbers by name; the same names everywhere.
        group: Process group (default: the whole world).

    Raises:
        ValueError: On every process alike, with the first name whose values differ, and the ranks
            that have each.
    """
    found: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(found, dict(values), group=group)
    for name in values:
        ranks: dict[str, list[int]] = {}
        for rank, other in enumerate(found):
            ranks.setdefault(repr(other.get(name)), []).append(rank)
        if len(ranks) > 1:
            got = " and ".join(f"{value} on the ranks {some}" for value, some in ranks.items())
            raise ValueError(
                f"all processes must have the same {name}. Got {got}; start all of them with the "
                "same configuration, data and version."
            )
