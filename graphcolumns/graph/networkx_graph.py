"""Edges to and from graphs of networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphcolumns.graph.edge_list import EdgeList, check_weight, require_square

if TYPE_CHECKING:
    import networkx

    from graphcolumns.graph import ColumnGraph


def to_networkx(
    graph: ColumnGraph, names: list[Any] | None, weight: Tensor | None
) -> networkx.DiGraph:
    """See ``ColumnGraph.to_networkx``."""
    import networkx

    require_square(graph, "to_networkx")
    names = list(range(graph.num_columns)) if names is None else names
    if len(names) != graph.num_columns or len(set(names)) != len(names):
        raise ValueError(
            f"names must be {graph.num_columns} different names, one per column. "
            f"Got {len(names)} names, {len(set(names))} of them different."
        )
    result = networkx.DiGraph()
    result.add_nodes_from(names)
    ends = [(names[source], names[target]) for source, target in graph.edge_index.t().tolist()]
    result.add_edges_from(ends)
    if weight is not None:
        check_weight(graph, weight)
    for name, values in (("distance", graph.distance), ("weight", weight)):
        if values is not None:
            each = dict(zip(ends, values.tolist(), strict=True))
            networkx.set_edge_attributes(result, each, name)
    return result


def edges_from_networkx(
    graph: networkx.Graph, length: str | None, weight: str | None
) -> tuple[EdgeList, list[Any]]:
    """See ``ColumnGraph.from_networkx``."""
    names = list(graph.nodes)
    ids = {name: i for i, name in enumerate(names)}
    ends = list(graph.to_directed().edges(data=True))
    pairs = [[ids[source], ids[target]] for source, target, _ in ends]
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    attributes = [attribute for *_, attribute in ends]
    lengths = _numbers(attributes, length or "distance", needed=length is not None)
    weights = None if weight is None else _numbers(attributes, weight, needed=True)
    return EdgeList(edge_index, len(names), distance=lengths, weight=weights), names


def _numbers(attributes: list[dict[str, Any]], name: str, needed: bool) -> Tensor | None:
    """An attribute of all edges, ``[E]`` float32; None if no edge has it, unless ``needed``."""
    found = [attribute[name] for attribute in attributes if attribute.get(name) is not None]
    if not needed and not found:
        return None
    if len(found) < len(attributes):
        rule = "all edges" if needed else "all edges or none"
        raise ValueError(
            f"{rule} must have the attribute {name!r}. "
            f"Got {len(found)} of {len(attributes)}; call networkx.set_edge_attributes."
        )
    try:
        return torch.tensor([float(value) for value in found], dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the attribute {name!r} of edges must hold numbers: {error}.") from error
