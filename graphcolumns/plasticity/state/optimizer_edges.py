"""Which edges the moments in an optimizer belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

KEY = "edges_of"  # of a parameter group: the fingerprint behind every parameter, or None


def keep_edges(optimizer: Optimizer) -> None:
    """Let an optimizer of ``torch.optim`` save the edges of its moments, and refuse other moments.

    ``EdgeAdamW`` does so by itself, and ``carry`` calls it for the optimizer that it carries.
    Calling it twice changes nothing.

    Args:
        optimizer: Optimizer of ``edge_parameters(model)``, which was called before.
    """
    if check_edges in optimizer._optimizer_load_state_dict_pre_hooks.values():
        return
    optimizer.register_state_dict_pre_hook(label_edges)
    optimizer.register_load_state_dict_pre_hook(check_edges)


def label_edges(optimizer: Optimizer) -> None:
    """Note which edges the moments of every parameter per edge belong to.

    Raises:
        ValueError: They belong to other edges than the parameter does by now.
    """
    for group in optimizer.param_groups:
        label_group(optimizer, group)


def label_group(optimizer: Optimizer, group: dict[str, Any], anew: bool = False) -> None:
    """As ``label_edges``, for one parameter group; ``anew`` forgets what was noted."""
    params: list[Tensor] = group["params"]
    noted = [None] * len(params) if anew else group.get(KEY, [None] * len(params))
    labels = []
    for parameter, known in zip(params, noted, strict=True):
        edges = edges_of(parameter) if optimizer.state.get(parameter) else None
        if edges is not None and known not in (None, edges):
            raise other_edges(known, edges)
        labels.append(edges)
    if any(label is not None for label in labels) or KEY in group:
        group[KEY] = labels


def check_edges(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Raise unless the moments in a state dict are of the edges of the parameters.

    Raises:
        ValueError: They are of other edges, or of another number of them.
    """
    for parameter, known, state in _saved(optimizer, state_dict):
        edges = edges_of(parameter)
        if edges is None:
            continue
        if known not in (None, edges):
            raise other_edges(known, edges)
        sizes = {len(value) for value in state.values() if _per_edge(value)} - {len(parameter)}
        if sizes:
            raise ValueError(
                "moments per edge must be loaded for as many edges. Got a state of "
                f"{max(sizes)} edges for a parameter of {len(parameter)}; load the state dict of "
                "the model first, which brings its edges along."
            )


def other_edges(known: str | None, edges: str) -> ValueError:
    """What to raise where moments are known to be of other edges."""
    return ValueError(
        "moments per edge must be used on the edges that they belong to. Got those of the "
        f"edges {known} for a parameter of {edges}; load the state dict of the model first, "
        "which brings its edges along, and then that of its optimizer."
    )


def edges_of(parameter: Tensor) -> str | None:
    """The fingerprint of the edges of a parameter; None if they are not known."""
    known: str = getattr(parameter, KEY, "")
    return known or None


def _saved(
    optimizer: Optimizer, state_dict: Mapping[str, Any]
) -> Iterator[tuple[Tensor, str | None, Mapping[str, Any]]]:
    """Every parameter, with the edges and the state that were saved for it."""
    for group, saved in zip(optimizer.param_groups, state_dict["param_groups"], strict=False):
        labels = saved.get(KEY, [None] * len(saved["params"]))
        for parameter, known, index in zip(group["params"], labels, saved["params"], strict=False):
            yield parameter, known, state_dict["state"].get(index, {})


def _per_edge(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0
