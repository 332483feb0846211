"""Several processes that train one model together must rewire it alike."""

from __future__ import annotations

from hashlib import sha256

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
