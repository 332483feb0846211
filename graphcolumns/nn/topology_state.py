"""The topology in the state dict: values per edge travel with their edges."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.new_edges import PARTS, bring, saved_graph
from graphcolumns.nn.per_edge import held_graphs, mark_edges, with_graph_around
from graphcolumns.nn.seal import Seal

OWNER, NAME, NORM, BUFFER = "edges_of", "edges_named", "wiring_norm", "_seal"


def keep_topology(module: nn.Module) -> None:
    """Put the topology of a module, and of all its parts, into their state dicts.

    A module that keeps a graph as an attribute ``graph`` gets the entries ``graph.rowptr``,
    ``graph.source``, ``graph.distance`` and ``graph.num_sources``, copies of its tensors; one that
    keeps values per edge (``edge_tensors``) without a graph gets the fingerprint of the edges of
    the module around it, ``edges_of``. When a state dict is loaded, a module with a graph first
    takes the edges that were saved: everything per edge below it gets their number, and
    ``rewired(graph)`` is called, or the attribute set. Values of other edges are refused.

    The models and layers of this library do so when they are built, and ``carry`` does so for the
    modules that it changes. Call it at the end of the constructor of a model of yours, so that the
    state of a rewired model loads into a new one. Calling it twice changes nothing.

    Args:
        module: A model or a layer.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn import EdgeBias, keep_topology
        >>> class Model(torch.nn.Module):
        ...     def __init__(self, graph):
        ...         super().__init__()
        ...         self.graph, self.bias = graph, EdgeBias(graph)
        ...         keep_topology(self)
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
        >>> sorted(Model(graph).state_dict())
        ['bias.common', 'bias.edges_of', 'graph.num_sources', 'graph.rowptr', 'graph.source']
    """
    for part, around in with_graph_around(module):
        if held_graphs(part) or _has_norm(part):
            _hook(part)
        elif around is not None and _keeps_values(part):
            own_edges(part, around)
        mark_edges(part, around)


def own_edges(module: nn.Module, graph: ColumnGraph) -> None:
    """Note that the values per edge of ``module``, which keeps no graph, belong to ``graph``."""
    if not graph.fingerprint:
        return
    object.__setattr__(module, OWNER, graph.fingerprint)
    object.__setattr__(module, NAME, graph.name)
    _hook(module)
    _seal(module)
    mark_edges(module, graph)


def settle(parts: Iterable[nn.Module], graph: ColumnGraph) -> None:
    """After a change of topology: note of modules that live on ``graph`` that they do."""
    for part in parts:
        if held_graphs(part):
            _hook(part)
            _seal(part)
        elif _keeps_values(part):
            own_edges(part, graph)
        mark_edges(part, graph)


def topology_entries(module: nn.Module) -> dict[str, Tensor]:
    """The entries of the state dict that say to which edges the others belong."""
    entries: dict[str, Any] = {}
    for path, part in module.named_modules():
        if _hooked(part):
            _save(part, entries, f"{path}." if path else "", {})
    return entries


def _has_norm(module: nn.Module) -> bool:
    """Whether a module has a normaliser of its wiring that is no buffer."""
    return isinstance(getattr(module, NORM, 0), float)


def _keeps_values(module: nn.Module) -> bool:
    names = getattr(module, "edge_tensors", ())
    return any(getattr(module, name, None) is not None for name in names)


def _seal(module: nn.Module) -> None:
    owned = [getattr(module, OWNER, "")]
    found = [graph.fingerprint for graph in held_graphs(module).values()] or owned
    if not all(found):
        return
    there: Tensor = next(chain(module.parameters(), module.buffers()), torch.empty(0))
    module.register_buffer(BUFFER, Seal.of(found, there.device), persistent=False)


def _hooked(module: nn.Module) -> bool:
    return _save in module._state_dict_hooks.values()


def _hook(module: nn.Module) -> None:
    if _hooked(module):
        return
    _seal(module)
    module.register_state_dict_post_hook(_save)
    module.register_load_state_dict_pre_hook(_take)
    module.register_load_state_dict_post_hook(_mark_loaded)


def _key(prefix: str, attribute: str) -> str:
    """``_graph``, which a property ``graph`` stands for, is saved under the public name."""
    return f"{prefix}{attribute.lstrip('_')}."


def _save(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """Add what says of which edges the module is. Copies: a graph is a frozen value."""
    held = held_graphs(module)
    for attribute, graph in held.items():
        count = torch.tensor(graph.num_sources)
        values = (graph.rowptr, graph.source, graph.distance, count)
        for part, tensor in zip(PARTS, values, strict=True):
            if tensor is not None:
                state[_key(prefix, attribute) + part] = tensor.detach().clone()
    if _has_norm(module):
        state[prefix + NORM] = torch.tensor(module.wiring_norm, dtype=torch.float64)
    known: str = getattr(module, OWNER, "")
    if known and not held:
        digest = bytes.fromhex(known)
        state[prefix + OWNER] = torch.tensor(list(digest), dtype=torch.uint8)


@torch.no_grad()
def _take(
    module: nn.Module,
    state: dict[str, Any],
    prefix: str,
    metadata: Any,
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    """Take the edges of a state dict, or say in ``errors`` why not."""
    held = held_graphs(module)
    if _has_norm(module):
        norm = state.pop(prefix + NORM, None)
        if norm is not None:
            module.wiring_norm = float(norm)  # type: ignore[assignment]
    if not held:
        _check_owner(module, state, prefix, errors)
        return
    for attribute, graph in held.items():
        key = _key(prefix, attribute)
        saved = {part: state.pop(key + part, None) for part in PARTS}
        if all(value is None for value in saved.values()):
            _warn_without_edges(module, state, prefix)
            continue
        try:
            after = saved_graph(saved, graph)
            settle(bring(module, graph, after), after)
        except (ValueError, TypeError, RuntimeError) as error:
            errors.append(f"{key[:-1]}: {error}")
            _leave_values(module, state, prefix)


def _check_owner(module: nn.Module, state: dict[str, Any], prefix: str, errors: list[str]) -> None:
    saved = state.pop(prefix + OWNER, None)
    if saved is None:
        _warn_without_edges(module, state, prefix)
        return
    there = bytes(saved.to(torch.uint8).flatten().tolist()).hex()
    here = getattr(module, OWNER, "")
    if here and there != here:
        errors.append(
            f"{prefix[:-1] or type(module).__name__}: values per edge must be loaded into a model "
            f"of the same edges. Got values of the edges {there} for a model of {here}; build it "
            "on the graph that was saved, or call graphcolumns.nn.keep_topology(model) on the "
            "whole model before loading, so that it takes the edges of the state dict"
        )
        _leave_values(module, state, prefix)


def _leave_values(module: nn.Module, state: dict[str, Any], prefix: str) -> None:
    """Load into the module what it holds per edge already, so that nothing is scrambled."""
    for name in getattr(module, "edge_tensors", ()):
        tensor = getattr(module, name, None)
        if tensor is not None and prefix + name in state:
            state[prefix + name] = tensor.detach().clone()


def _warn_without_edges(module: nn.Module, state: dict[str, Any], prefix: str) -> None:
    named = [name for name in getattr(module, "edge_tensors", ()) if prefix + name in state]
    if named:
        warnings.warn(
            f"the state dict holds values per edge, {prefix}{named[0]}, and does not say of which "
            "edges: it is of an earlier version. They are taken as those of the edges of this "
            "model; if the model had been rewired, load its run folder instead.",
            stacklevel=2,
        )


def _mark_loaded(module: nn.Module, keys: Any) -> None:
    """With ``assign=True``, parameters are new objects."""
    held = list(held_graphs(module).values())
    mark_edges(module, held[0] if len(held) == 1 else None)
