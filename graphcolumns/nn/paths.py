"""Whether what the input columns see can reach the columns that are read."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


def hops(
    graph: ColumnGraph,
    start: Tensor,
    direct_edges: Tensor | None = None,
    keeps: bool = True,
    renewed: bool = False,
) -> Tensor:
    """Steps that a signal needs from the columns ``start`` to every column.

    Args:
        graph: Edges from sources to columns.
        start: Mask ``[N]``, bool, of the columns that hold the signal before the first step.
        direct_edges: Ids ``[N]`` into ``[input; x]``, copied before every later step.
        keeps: Whether a column keeps what it holds (a residual connection); otherwise it holds
            only what it receives.
        renewed: Whether the columns ``start`` receive the signal again before every step.

    Returns:
        ``[N]`` int64; -1 where there is no path.
    """
    first, before = torch.where(start, 0, -1), None
    spread = _spread(graph, start, direct_edges, keeps, renewed)
    for step, reached in enumerate(islice(spread, graph.num_columns), start=1):
        first = torch.where(reached & (first < 0), step, first)
        if before is not None and torch.equal(reached, before):
            break  # every later step repeats this one
        before = reached
    return first


def check_paths(
    graph: ColumnGraph,
    receptive: Tensor,
    outputs: Tensor | None,
    depth: int,
    direct_edges: Tensor | None,
    keeps: bool = True,
    renewed: bool = False,
) -> None:
    """Raises ValueError when no input reaches a column that is read within ``depth`` steps.

    Args:
        graph: Edges from sources to columns.
        receptive: Token that each column sees, -1 for none, ``[N]`` int64.
        outputs: Ids of the columns that are read, or None for all.
        depth: Number of steps.
        direct_edges: Ids ``[N]``, see :func:`hops`.
        keeps: Whether a column keeps what it holds.
        renewed: Whether the input drives every step.
    """
    graph, start = graph.to("cpu"), receptive.cpu() >= 0
    outputs = torch.arange(graph.num_columns) if outputs is None else outputs.cpu()
    _check_outputs(outputs, graph.num_columns)
    direct = None if direct_edges is None else direct_edges.cpu()
    spread = _spread(graph, start, direct, keeps, renewed)
    if next(islice(spread, depth - 1, None))[outputs].any():
        return
    needed = hops(graph, start, direct, keeps, renewed)[outputs]
    if (needed < 0).all():
        raise ValueError(
            "no path leads from an input column to an output column: with purely local edges and "
            "input and read-out on different sheets nothing arrives. Give the graph edges between "
            "the sheets (connect.layered, connect.distance_decay), let every sheet see the input, "
            "or read every column"
        )
    nearest = int(needed[needed >= 0].min())
    if nearest > depth:
        raise ValueError(
            f"the nearest output column is {nearest} steps from the input, the model takes "
            f"depth = {depth}: use more steps or longer edges"
        )
    raise ValueError(
        f"the input reaches an output column at step {nearest} and is gone after depth = {depth}: "
        "without skip_attention a column holds only what it receives. Give it a self-edge or "
        "skip_attention=True, or let the input drive every step"
    )


def _spread(
    graph: ColumnGraph, start: Tensor, direct_edges: Tensor | None, keeps: bool, renewed: bool
) -> Iterator[Tensor]:
    """The columns that hold the signal after step 1, 2, ..., each ``[N]`` bool."""
    source, target = graph.source.long(), graph.target.long()
    reached, first = start, True
    while True:
        if not first and direct_edges is not None:
            reached = torch.cat([start, reached])[direct_edges]
        if not first and renewed:
            reached = reached | start
        arrives = torch.zeros_like(reached)
        arrives[target[reached[source]]] = True
        reached, first = arrives | reached if keeps else arrives, False
        yield reached


def _check_outputs(outputs: Tensor, columns: int) -> None:
    if not len(outputs) or outputs.min() < 0 or outputs.max() >= columns:
        named = f"ids in [{int(outputs.min())}, {int(outputs.max())}]" if len(outputs) else "none"
        raise ValueError(
            f"the read-out must name at least one of the {columns} columns, got {named}"
        )
