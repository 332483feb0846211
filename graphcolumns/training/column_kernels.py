"""The weights that every column of a model has to itself, as vectors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.per_edge import held_graphs


def column_kernels(
    model: nn.Module, graph: ColumnGraph | None = None
) -> Iterator[tuple[Tensor, ColumnGraph]]:
    """The kernel of every column in each module with weights per column, and the columns' graph.

    A kernel joins the trained parameters in ``column_tensors`` of one module: a weight with its
    bias. The graph is that of the nearest module around it that keeps edges among its own
    columns. Modules with ``own_columns``, and those with another number of columns than that graph,
    such as the norm of the columns of a stage below, are left out.

    Args:
        model: Model or module.
        graph: Edges among the columns where no module around keeps some (default: none).

    Yields:
        Kernels ``[N, P]`` and the graph, once per module.
    """
    graph = _own_graph(model) or graph
    tensors = _column_parameters(model)
    if graph is not None and tensors and all(len(t) == graph.num_columns for t in tensors):
        # One number per column has no second dimension.
        yield torch.cat([t.reshape(graph.num_columns, -1) for t in tensors], 1), graph
    for part in model.children():
        if not getattr(part, "own_columns", False):
            yield from column_kernels(part, graph)


def _column_parameters(module: nn.Module) -> list[nn.Parameter]:
    found = [getattr(module, name, None) for name in getattr(module, "column_tensors", ())]
    return [p for p in found if isinstance(p, nn.Parameter) and p.requires_grad]


def _own_graph(module: nn.Module) -> ColumnGraph | None:
    """The first graph that a module keeps between its own columns."""
    graph = getattr(module, "graph", None)
    kept = [graph] if isinstance(graph, ColumnGraph) else list(held_graphs(module).values())
    return next((one for one in kept if one.num_columns == one.num_sources), None)
