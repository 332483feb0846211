"""How torch takes a graph apart while it traces, and puts it together again."""

from __future__ import annotations

from typing import Any

from torch.utils import _pytree as pytree

from graphcolumns.graph.column_graph import ColumnGraph, unchecked_graph
from graphcolumns.graph.views import BySource


def register() -> None:
    """Tell ``torch.export`` and functional transforms, once."""
    pytree.register_pytree_node(
        ColumnGraph,
        _flatten,
        _unflatten,
        serialized_type_name="graphcolumns.ColumnGraph",
        to_dumpable_context=list,
        from_dumpable_context=tuple,
        flatten_with_keys_fn=_flatten_with_keys,
    )


def _flatten(graph: ColumnGraph) -> tuple[list[Any], tuple[int, bool, bool]]:
    parts = [graph.rowptr, graph.source, graph.distance, graph.target, *graph.by_source]
    return parts, (graph.num_sources, *graph.hubs)


def _unflatten(parts: Any, known: tuple[int, bool, bool], fingerprint: str = "") -> ColumnGraph:
    rowptr, source, distance, target, *by_source = parts
    num_sources, *hubs = known
    views = (num_sources, target, BySource(*by_source), (hubs[0], hubs[1]), fingerprint)
    return unchecked_graph(rowptr, source, distance, *views)


def _flatten_with_keys(graph: ColumnGraph) -> tuple[list[Any], tuple[int, bool, bool]]:
    names = ("rowptr", "source", "distance", "target", "colptr", "by_target", "permutation")
    parts, known = _flatten(graph)
    return list(zip(map(pytree.GetAttrKey, names), parts, strict=True)), known
