"""Whether what the input columns see can reach the columns that are read."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


def hops(graph: ColumnGraph, start: Tensor, direct_edges: Tensor | None = None) -> Tensor:
    """Steps that a signal needs from the columns ``start`` to every column.

    Args:
        graph: Who listens to whom.
        start: ``[N]`` bool, columns that hold the signal before the first step.
        direct_edges: ``[N]`` ids into ``[input; x]``, copied before every later step.

    Returns:
        ``[N]`` int64; -1 where no path leads.
    """
    reached, first = start.clone(), torch.where(start, 0, -1)
    for step in range(1, graph.num_columns + 1):
        if direct_edges is not None and step > 1:
            reached = torch.cat([start, reached])[direct_edges]
        heard = torch.zeros_like(reached)
        heard[graph.target.long()[reached[graph.source.long()]]] = True
        after = heard | reached
        fresh = after & (first < 0)
        first = torch.where(fresh, step, first)
        if torch.equal(after, reached) and not fresh.any():
            break
        reached = after
    return first


def check_paths(
    graph: ColumnGraph,
    receptive: Tensor,
    outputs: Tensor | None,
    depth: int,
    direct_edges: Tensor | None,
) -> None:
    """Raises ValueError when no column that is read can hear any input within ``depth`` steps."""
    outputs = torch.arange(graph.num_columns) if outputs is None else outputs.cpu()
    direct = None if direct_edges is None else direct_edges.cpu()
    needed = hops(graph.to("cpu"), receptive.cpu() >= 0, direct)[outputs]
    if not len(needed) or (needed < 0).all():
        raise ValueError(
            "no path leads from an input column to an output column: with purely local edges and "
            "input and read-out on different sheets nothing is heard. Give the graph edges between "
            "the sheets (connect.layered, connect.distance_decay), let every sheet see the input, "
            "or read every column"
        )
    nearest = int(needed[needed >= 0].min())
    if nearest > depth:
        raise ValueError(
            f"the nearest output column is {nearest} steps from the input, the model takes "
            f"depth = {depth}: use more steps or longer edges"
        )
