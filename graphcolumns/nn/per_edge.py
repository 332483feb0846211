"""Which parameters and buffers of a model hold one entry per edge."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class EdgeTensor(NamedTuple):
    """A parameter or buffer ``[E, ...]`` of a module."""

    name: str  # in the root module, as in its state dict
    owner: nn.Module
    attribute: str
    tensor: Tensor


def edge_tensors(
    module: nn.Module, graph: ColumnGraph, parts: Iterable[tuple[str, nn.Module]] | None = None
) -> Iterator[EdgeTensor]:
    """All parameters and buffers that ``module`` keeps per edge of ``graph``.

    Args:
        module: Model or layer.
        graph: Graph of the edges.
        parts: Result of ``parts_on`` for both, where it is known already.

    Raises:
        ValueError: A declared tensor is missing or does not have one entry per edge, a module
            keeps a graph and has no method ``rewired``, or a module around several graphs does not
            say to which of them a tensor belongs.
    """
    several = len(held_graphs(module)) > 1
    for path, part in parts_on(module, graph) if parts is None else parts:
        for attribute in getattr(part, "edge_tensors", ()):
            own = graph_of_tensor(part, attribute)
            if own is not None and not own.same_graph(graph):
                continue
            if own is None and several and not _knows_its_graph(part):
                raise ValueError(
                    "tensors per edge must belong to one graph. Got a model with the graphs "
                    f"{', '.join(held_graphs(module))}, and {type(part).__name__} does not say to "
                    f"which {attribute} belongs; name it, as in edge_tensors = "
                    f"{{{attribute!r}: {next(iter(held_graphs(module)))!r}}}, or let the layer "
                    "call graphcolumns.nn.topology_state.own_edges(self, graph)."
                )
            name = f"{path}.{attribute}" if path else attribute
            if not hasattr(part, attribute):
                raise ValueError(f"{type(part).__name__}.edge_tensors names {name}, not there.")
            tensor = getattr(part, attribute)
            if tensor is None:
                continue
            if not tensor.ndim or len(tensor) != graph.num_edges:
                raise ValueError(
                    f"{name} is declared per edge and must have {graph.num_edges} entries in its "
                    f"first dimension. Got shape {tuple(tensor.shape)}; is the module on another "
                    "graph?"
                )
            yield EdgeTensor(name, part, attribute, tensor)


def edge_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that ``module`` declares per edge: what the edge group of EdgeAdamW holds.

    Each of them is marked with its edges, so that an optimizer can say whose moments it holds.
    """
    for part, around in with_graph_around(module):
        mark_edges(part, around)
    found = {
        id(tensor): tensor
        for part in module.modules()
        for attribute in getattr(part, "edge_tensors", ())
        if isinstance(tensor := getattr(part, attribute, None), nn.Parameter)
    }
    return list(found.values())


def parts_on(module: nn.Module, graph: ColumnGraph) -> Iterator[tuple[str, nn.Module]]:
    """The modules on ``graph``, with their names.

    Raises:
        ValueError: ``module`` is on another graph, or one of them keeps the graph and has no method
            ``rewired``.
    """
    if _on(graph, module) is False:
        raise ValueError(
            f"{type(module).__name__} keeps another graph than the one that was rewired, {graph}. "
            "Pass the model or the part of it that is on that graph."
        )
    for name, part in all_parts_on(module, graph):
        if held_graphs(part) and not hasattr(part, "rewired"):
            raise ValueError(
                f"{type(part).__name__} keeps a ColumnGraph and cannot be rewired: it has no "
                f"method rewired(graph). {_shared_out(part, graph)}Give it one that takes the new "
                "graph (self.graph = graph), or pass the part of the model that is on the graph."
            )
        yield name, part


def all_parts_on(module: nn.Module, graph: ColumnGraph) -> Iterator[tuple[str, nn.Module]]:
    """As ``parts_on``, whether or not they can be rewired."""
    elsewhere: list[str] = []
    for name, part in module.named_modules():
        if any(name.startswith(prefix) for prefix in elsewhere):
            continue
        if _on(graph, part) is False:
            elsewhere.append(f"{name}.")
            continue
        yield name, part


def _shared_out(module: nn.Module, graph: ColumnGraph) -> str:
    """Says which parts of a module keep graphs of their own, if any do."""
    parts = [name for name, part in module.named_modules() if name and _on(graph, part) is False]
    if not parts:
        return ""
    names = ", ".join(parts[:3]) + (", ..." if len(parts) > 3 else "")
    return f"Parts of it ({names}) keep other graphs, among which it would share new edges out. "


def held_graphs(module: nn.Module) -> dict[str, ColumnGraph]:
    """The graphs that a module itself keeps: those in ``graphs`` by name, others by attribute."""
    named = vars(module).get("graphs")
    held = dict(named) if isinstance(named, Mapping) else {}
    held = {name: graph for name, graph in held.items() if isinstance(graph, ColumnGraph)}
    known = {id(graph) for graph in held.values()}
    for name, value in vars(module).items():
        if isinstance(value, ColumnGraph) and id(value) not in known:
            held[name] = value
    return held


def graph_of_tensor(module: nn.Module, attribute: str) -> ColumnGraph | None:
    """The graph that a module names for a tensor per edge; None if it names none."""
    names = getattr(module, "edge_tensors", ())
    if not isinstance(names, Mapping):
        return None
    held = _public_graphs(module)
    if names[attribute] not in held:
        raise ValueError(
            f"edge_tensors must name graphs of the module. Expected one of {', '.join(held)} for "
            f"{attribute}. Got {names[attribute]!r} in {type(module).__name__}."
        )
    return held[names[attribute]]


def give_graph(module: nn.Module, before: ColumnGraph, after: ColumnGraph) -> None:
    """Call ``rewired`` of a module, with the name of the graph where it takes one."""
    rewired: Any = module.rewired
    parameters = inspect.signature(rewired).parameters
    positional = [p for p in parameters.values() if p.kind in POSITIONAL]
    if len(positional) < 2 and "name" not in parameters:
        rewired(after)
        return
    for name, graph in _public_graphs(module).items():
        if graph.same_graph(before):
            rewired(after, name)


def _public_graphs(module: nn.Module) -> dict[str, ColumnGraph]:
    graphs = getattr(module, "graphs", None)
    return dict(graphs) if isinstance(graphs, Mapping) else held_graphs(module)


def _knows_its_graph(module: nn.Module) -> bool:
    return len(held_graphs(module)) == 1 or bool(getattr(module, "edges_of", ""))


def _on(graph: ColumnGraph, module: nn.Module) -> bool | None:
    """Whether ``graph`` is one of the graphs that a module keeps or uses; None if it has none."""
    # A model may name graphs that only its parts keep.
    held = held_graphs(module) | _public_graphs(module)
    if held:
        return any(graph.same_graph(other) for other in held.values())
    known = getattr(module, "edges_of", "")
    if not known or not graph.fingerprint:
        return None
    return bool(graph.fingerprint == known and graph.name == getattr(module, "edges_named", ""))


def with_graph_around(
    module: nn.Module, around: ColumnGraph | None = None, seen: set[int] | None = None
) -> Iterator[tuple[nn.Module, ColumnGraph | None]]:
    """Every module once, with the only graph that it or the nearest module around it keeps."""
    seen = set() if seen is None else seen
    if id(module) in seen:
        return
    seen.add(id(module))
    held = list(held_graphs(module).values())
    if held:
        around = held[0] if len(held) == 1 else None
    yield module, around
    for child in module.children():
        yield from with_graph_around(child, around, seen)


def mark_edges(module: nn.Module, around: ColumnGraph | None) -> None:
    """Let the tensors per edge of a module know their edges: optimizers learn of them so."""
    mine = getattr(module, "edges_of", "") or ("" if around is None else around.fingerprint)
    for name in getattr(module, "edge_tensors", ()):
        tensor, own = getattr(module, name, None), graph_of_tensor(module, name)
        mine = mine if own is None else own.fingerprint
        if mine and torch.is_tensor(tensor):
            tensor.edges_of = mine  # type: ignore[attr-defined]


def resize(tensor: Tensor, values: Tensor) -> None:
    """Put values of another shape into a tensor, which stays the same object; no gradient is left.

    A loss that is still alive keeps autograd's node for this tensor, with the old shape, and torch
    renews that node only when the type of the data changes.
    """
    tensor.grad = None
    other = torch.float64 if tensor.dtype == torch.float32 else torch.float32
    tensor.data = torch.empty(0, dtype=other, device=tensor.device)
    tensor.data = values
