"""A module takes the edges of a state dict."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import first_difference
from graphcolumns.graph.keys import origin
from graphcolumns.nn.per_edge import all_parts_on, give_graph, graph_of_tensor, held_graphs, resize

PARTS = ("rowptr", "source", "distance", "num_sources")  # of a graph in a state dict


def saved_graph(saved: dict[str, Tensor | None], graph: ColumnGraph) -> ColumnGraph:
    """The graph that was saved, checked, for the columns of ``graph``, whose name it gets."""
    rowptr, source, count = saved["rowptr"], saved["source"], saved["num_sources"]
    if rowptr is None or source is None or count is None:
        lost = sorted(name for name in PARTS if saved[name] is None and name != "distance")
        raise ValueError(f"a topology must be whole. The state dict lacks {', '.join(lost)}.")
    distance = saved["distance"]
    if distance is not None and distance.dtype != torch.float64:
        distance = distance.float()
    there = ColumnGraph(rowptr, source, distance, int(count), graph.name)
    sizes = [(each.num_columns, each.num_sources) for each in (there, graph)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            "a state dict must be loaded into a model of the same columns. Got "
            f"{first_difference(there, graph)}; build the model with as many columns, or start it "
            "from the other with graphcolumns.scaling.rescale."
        )
    meta = graph.device.type == "meta"
    return there if meta else there.to(graph.device)


@torch.no_grad()
def bring(module: nn.Module, before: ColumnGraph, after: ColumnGraph) -> list[nn.Module]:
    """Bring a module and all its parts from the edges ``before`` to those of ``after``.

    Edges that both have keep their values; others have 0. Gradients per edge are dropped.

    Args:
        module: Keeps the graph ``before``.
        before: The edges now.
        after: The edges that were saved.

    Returns:
        The modules that changed; none if edges and lengths are the same.
    """
    same = before.device.type != "meta" and before.same_topology(after)
    if same and _same_lengths(before, after):
        return []
    parts = [part for _, part in all_parts_on(module, before)]
    if not same:
        old = origin(before, after)
        for tensor in _values(parts, before):
            resize(tensor, _carried(tensor, old))
    for part in parts:
        if hasattr(part, "rewired"):
            give_graph(part, before, after)
            continue
        for attribute, graph in held_graphs(part).items():
            if not graph.same_graph(before):
                continue
            if isinstance(vars(part).get(attribute), ColumnGraph):
                setattr(part, attribute, after)
            else:
                vars(part)["graphs"][attribute] = after
    return parts


def _values(parts: list[nn.Module], graph: ColumnGraph) -> list[Tensor]:
    """What modules keep per edge of a graph, shared tensors once."""
    named = [(part, name) for part in parts for name in getattr(part, "edge_tensors", ())]
    fits: dict[int, Tensor] = {}
    for part, name in named:
        tensor, own = getattr(part, name, None), graph_of_tensor(part, name)
        if own is not None and not own.same_graph(graph):
            continue
        if torch.is_tensor(tensor) and tensor.ndim and len(tensor) == graph.num_edges:
            fits[id(tensor)] = tensor
    return list(fits.values())


def _carried(tensor: Tensor, old: Tensor) -> Tensor:
    """Values of edges that stay; 0 for others, until they are loaded."""
    values = tensor.new_zeros((len(old), *tensor.shape[1:]))
    stays = old >= 0
    values[stays.to(values.device)] = tensor.data[old[stays].to(values.device)]
    return values


def _same_lengths(before: ColumnGraph, after: ColumnGraph) -> bool:
    if before.distance is None or after.distance is None:
        return before.distance is after.distance
    return torch.equal(before.distance, after.distance)
