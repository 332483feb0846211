"""Which edges the moments in an optimizer belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

KEY = "edges_of"  # of the state of a parameter; a number, since torch takes a string apart


def keep_edges(optimizer: Optimizer) -> None:
    """Let an optimizer of `torch.optim` save the edges of its moments, and refuse those of others.

    `EdgeAdamW` does so by itself, and `carry` calls it for the optimizer that it carries. Calling
    it twice changes nothing.

    Args:
        optimizer: its parameters per edge are those of `edge_parameters(model)`, called before.
    """
    if check_edges in optimizer._optimizer_load_state_dict_pre_hooks.values():
        return
    optimizer.register_state_dict_pre_hook(label_edges)
    optimizer.register_load_state_dict_pre_hook(check_edges)


def label_edges(optimizer: Optimizer) -> None:
    """Note beside the moments of every parameter per edge which edges they belong to."""
    for parameter in _parameters(optimizer):
        edges, state = edges_of(parameter), optimizer.state.get(parameter)
        if edges is not None and state:
            state.setdefault(KEY, edges)


def check_edges(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Raise unless the moments in a state dict are of the edges of the parameters.

    Raises:
        ValueError: they are of other edges, or of another number of them.
    """
    for index, parameter in enumerate(_parameters(optimizer)):
        edges, state = edges_of(parameter), state_dict["state"].get(index, {})
        if edges is None:
            continue
        require_same_edges(state, edges)
        sizes = {len(value) for value in state.values() if _per_edge(value)}
        if sizes - {len(parameter)}:
            raise ValueError(
                "moments per edge must be loaded for as many edges. Got a state of "
                f"{max(sizes - {len(parameter)})} edges for a parameter of {len(parameter)}; load "
                "the state dict of the model first, which brings its edges along."
            )


def require_same_edges(state: Mapping[str, Any], edges: int | None) -> None:
    """Raise a ValueError if the state of a parameter is known to be of other edges."""
    known = state.get(KEY)
    if known is not None and edges is not None and known != edges:
        raise ValueError(
            "moments per edge must be used on the edges that they belong to. Got those of the "
            f"edges {known:032x} for a parameter of {edges:032x}; load the state dict of the model "
            "first, which brings its edges along, and then that of its optimizer."
        )


def edges_of(parameter: Tensor) -> int | None:
    """The fingerprint of the edges of a parameter as a number; None if they are not known."""
    known: str = getattr(parameter, "edges_of", "")
    return int(known, 16) if known else None


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    """All parameters, in the order of their numbers in a state dict."""
    found = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    return list(found.values())


def _per_edge(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0
