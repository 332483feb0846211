"""A copy of a model with columns silenced and edges cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.analysis.function.checks import ids_of_columns, order_of_user
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.new_edges import bring
from graphcolumns.nn.per_edge import held_graphs
from graphcolumns.nn.protocols import graph_of


@dataclass(frozen=True, eq=False)
class Lesion:
    """What is silenced and cut.

    Args:
        columns: User's ids of columns to silence, ``[K]`` int64, or None.
        edges: Edges to cut, ``[E]`` bool, in the order of the graph of the model, or None.
        graph: Name of the graph of the edges (default: the first of the model).

    Raises:
        ValueError: Neither columns nor edges.
    """

    columns: Tensor | None = None
    edges: Tensor | None = None
    graph: str | None = None

    def __post_init__(self) -> None:
        if self.columns is None and self.edges is None:
            raise ValueError("a lesion must be of columns or edges. Got neither; pass one of them.")


@contextmanager
def lesioned(
    model: nn.Module,
    columns: Tensor | None = None,
    edges: Tensor | None = None,
    *,
    graph: str | None = None,
    permutation: Tensor | None = None,
) -> Iterator[nn.Module]:
    """A copy of a model with a lesion; the model itself is never changed.

    A silenced column has state 0 before and after every layer that takes states along a graph or
    keeps one: attention and MLP of all columns and read-outs get 0 from it. It remains a source,
    and a softmax still gives it a share of attention, on a value of 0 (or the bias of the values).
    Cut its out-edges to take that share away.

    A cut edge is not in the graph of the copy. Parameters per edge follow the edges that stay, and
    the softmax of a column is over its remaining sources.

    Args:
        model: Model of columns on a graph, in any mode, which the copy has too.
        columns: User's ids of columns to silence, ``[K]`` int64.
        edges: Edges to cut, ``[E]`` bool, in the order of the graph of the model.
        graph: Name of the graph of the edges (default: the first of the model).
        permutation: User's id of each column of the model, ``[N]`` int64 (default: the model is in
            the user's order).

    Yields:
        The copy, on the device of the model.

    Raises:
        ValueError: Neither columns nor edges, unknown columns, edges of another graph.
        TypeError: A model without a graph, ids or a mask of another type; in the forward pass of
            the copy, a model none of whose layers takes states along a graph.
    """
    lesion = Lesion(columns, edges, graph)
    count = graph_of(model).num_columns
    silent = None if columns is None else _places(columns, count, permutation)
    cut = None if lesion.edges is None else _edges_to_cut(graph_of(model, graph), lesion.edges)
    copied = deepcopy(model)
    if cut is not None:
        before = graph_of(copied, graph)
        with torch.no_grad():
            bring(copied, before, _without(before, cut))
    if silent is not None:
        _silence(copied, silent.to(graph_of(copied).device), count)
    yield copied


def _places(columns: Tensor, count: int, permutation: Tensor | None) -> Tensor:
    ids = ids_of_columns("columns", columns, count)
    return ids if permutation is None else order_of_user(permutation, count).argsort()[ids]


def _edges_to_cut(graph: ColumnGraph, edges: Tensor) -> Tensor:
    if edges.dtype != torch.bool:
        raise TypeError(f"edges must be a bool mask of edges. Got {edges.dtype}.")
    if edges.shape != (graph.num_edges,):
        raise ValueError(
            f"edges must be a mask of the {graph.num_edges} edges of the graph. Got "
            f"{list(edges.shape)}; if the model has several graphs, pass graph."
        )
    return edges.to(graph.device)


def _without(graph: ColumnGraph, cut: Tensor) -> ColumnGraph:
    """The graph without some of its edges."""
    kept = ~cut
    counts = torch.zeros_like(graph.rowptr)
    counts[1:] = torch.bincount(graph.target[kept].long(), minlength=graph.num_columns).cumsum(0)
    distance = None if graph.distance is None else graph.distance[kept]
    return ColumnGraph(counts, graph.source[kept], distance, graph.num_sources, graph.name)


def _silence(model: nn.Module, silent: Tensor, count: int) -> None:
    """Lets all layers of a model that take states see and give 0 at some columns."""
    reached: list[nn.Module] = []

    def enter(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not given or not _takes_states(module, given, named, count):
            return None
        reached.append(module)
        return (_zeroed(given[0], silent), *given[1:]), named

    def leave(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], out: Any) -> Any:
        if not given or not _takes_states(module, given, named, count):
            return None
        if isinstance(out, tuple) and type(out) is tuple and out and _is_state(out[0], count):
            return (_zeroed(out[0], silent), *out[1:])
        return _zeroed(out, silent) if _is_state(out, count) else None

    def start(module: nn.Module, given: tuple[Any, ...]) -> None:
        reached.clear()

    def finish(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        if not reached:
            raise TypeError(
                "columns can be silenced in layers that are called with a state [N, B, C] and a "
                f"ColumnGraph, or keep one. Got {type(module).__name__} without such a layer; cut "
                "edges instead."
            )

    for part in model.modules():
        if part is not model:
            part.register_forward_pre_hook(enter, with_kwargs=True)
            part.register_forward_hook(leave, with_kwargs=True)
    model.register_forward_pre_hook(start)
    model.register_forward_hook(finish)


def _takes_states(
    module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], count: int
) -> bool:
    """Whether a call is one with the state of all columns and their graph."""
    known = [value for value in (*given[1:], *named.values()) if isinstance(value, ColumnGraph)]
    known = known or list(held_graphs(module).values())
    square = any((g.num_columns, g.num_sources) == (count, count) for g in known)
    return square and _is_state(given[0], count)


def _is_state(value: Any, count: int) -> bool:
    return torch.is_tensor(value) and value.ndim == 3 and len(value) == count


def _zeroed(state: Tensor, silent: Tensor) -> Tensor:
    return state.index_fill(0, silent, 0.0)
