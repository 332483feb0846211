"""Collecting the records of the layers of a module while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.recording.records import Record


def recorders(module: nn.Module) -> list[nn.Module]:
    """The layers of a module that can be recorded: those whose class has a ``recorder``.

    A layer of your own takes part with a class attribute ``recorder = None``. Where it is not None,
    the layer calls it with an :class:`AttentionRecord` or a :class:`LinearRecord` and goes on with
    the ``out`` of that record, the same tensor.
    """
    return [part for part in module.modules() if hasattr(type(part), "recorder")]


@contextmanager
def recording(
    module: nn.Module,
    graph: ColumnGraph | None = None,
    keep: Callable[[Record], Record] | None = None,
) -> Iterator[list[Record]]:
    """Collects the records of a module that runs, in the order in which they are made.

    May be nested; every recording gets all records.

    Args:
        module: Model or layer that runs inside the context.
        graph: Graph along which records are kept (default: along any).
        keep: Function that is called with each record before the layer goes on; what it returns is
            kept in place of the record.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn import EdgeLinear
        >>> from graphcolumns.nn.recording import recording
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 1]]), 2)
        >>> layer = EdgeLinear(graph)
        >>> with recording(layer) as records:
        ...     out = layer(torch.ones(2, 1, 3), graph)
        >>> records[0].out is out
        True
    """
    records: list[Record] = []
    layers: list[Any] = recorders(module)
    before = [vars(layer).get("recorder") for layer in layers]
    others = list({id(other): other for other in before if other is not None}.values())

    def record(made: Record) -> None:
        if graph is None or made.graph is graph or made.graph.same_graph(graph):
            records.append(made if keep is None else keep(made))
        for other in others:
            other(made)

    try:
        for layer in layers:
            layer.recorder = record
        yield records
    finally:
        for layer, other in zip(layers, before, strict=True):
            if other is None:
                del layer.recorder
            else:
                layer.recorder = other
