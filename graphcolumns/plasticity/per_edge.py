"""Which parameters and buffers of a model hold one entry per edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph


class EdgeTensor(NamedTuple):
    """A parameter or buffer `[E, ...]` of a module."""

    name: str  # in the root module, as in its state dict
    owner: nn.Module
    attribute: str
    tensor: Tensor


def edge_tensors(module: nn.Module, graph: ColumnGraph) -> Iterator[EdgeTensor]:
    """All parameters and buffers that `module` keeps per edge of `graph`.

    Raises:
        ValueError: a declared tensor is missing or does not have one entry per edge, or a module
            keeps a graph and has no method `rewired`.
    """
    for path, part in parts_on(module, graph):
        for attribute in getattr(part, "edge_tensors", ()):
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
    """The parameters that `module` declares per edge: what the edge group of EdgeAdamW holds."""
    found = {
        id(tensor): tensor
        for part in module.modules()
        for attribute in getattr(part, "edge_tensors", ())
        if isinstance(tensor := getattr(part, attribute, None), nn.Parameter)
    }
    return list(found.values())


def parts_on(module: nn.Module, graph: ColumnGraph) -> Iterator[tuple[str, nn.Module]]:
    """The modules that live on `graph`, with their names."""
    if _on(graph, module) is False:
        raise ValueError(
            f"{type(module).__name__} keeps another graph than the one that was rewired, {graph}. "
            "Pass the model or the part of it that lives on that graph."
        )
    elsewhere: list[str] = []
    for name, part in module.named_modules():
        if any(name.startswith(prefix) for prefix in elsewhere):
            continue
        on = _on(graph, part)
        if on is False:
            elsewhere.append(f"{name}.")
            continue
        if on and not hasattr(part, "rewired"):
            raise ValueError(
                f"{type(part).__name__} keeps a ColumnGraph and cannot be rewired: it has no "
                "method rewired(graph). Give it one that takes the new graph, or pass the part of "
                "the model that lives on the graph."
            )
        yield name, part


def _on(graph: ColumnGraph, module: nn.Module) -> bool | None:
    """Whether `graph` is among the graphs that a module keeps; None if it keeps none."""
    held = [value for value in vars(module).values() if isinstance(value, ColumnGraph)]
    return any(graph.same_topology(other) for other in held) if held else None
