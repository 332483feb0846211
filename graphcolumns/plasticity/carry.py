"""Bring everything that is kept per edge through a change of topology."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from graphcolumns.plasticity.newborn import Newborn, neighbours_median, node_mean
from graphcolumns.plasticity.per_edge import EdgeTensor, edge_tensors, parts_on
from graphcolumns.plasticity.rewiring import Rewiring

# What stock optimizers of torch divide by: Adam's, Adagrad's, Adadelta's and RMSprop's.
SECOND_MOMENTS = {"exp_avg_sq", "max_exp_avg_sq", "exp_inf", "sum", "square_avg", "acc_delta"}


@torch.no_grad()
def carry(
    rewiring: Rewiring,
    module: nn.Module,
    optimizer: Optimizer | None = None,
    *,
    newborn: Newborn = node_mean,
    state: Literal["cold", "median"] = "cold",
    averages: Iterable[nn.Module] = (),
) -> None:
    """Bring parameters, gradients, buffers and optimizer state along with their edges.

    A module says what it keeps per edge in two ways, both optional: `edge_tensors`, the names of
    its parameters and buffers whose first dimension is E (None is skipped), and a method
    `rewired(graph)`, called at the end, for anything else that depends on the graph. A module
    that keeps a ColumnGraph must have `rewired`; one that keeps another graph is left alone with
    all its parts.

    Survivors keep every entry bit for bit. Parameters stay the same objects, so ties, parameter
    groups and learning rates stay. Of a dead edge nothing is kept. Newborns start with
    `newborn(...)`, gradient 0, and optimizer state 0, which for `EdgeAdamW` includes their step
    count. Nothing is changed when an error is raised.

    Args:
        rewiring: what changed.
        module: a model or a layer that lives on the graph.
        optimizer: its state is carried too; a tensor of it is per edge if its first dimension is
            E, and shared by all edges if it has no dimension.
        newborn: first values of parameters: `node_mean`, `zero`, `epsilon(...)`, or any
            `f(module, name, rewiring) -> [born, ...]`.
        state: stock optimizers have one step count for all edges, and a second moment of 0 under
            an old step count makes a newborn's first steps several times the learning rate.
            `"median"` starts second moments at the median over the edges of the same target.
        averages: copies of `module` that hold moving averages of its parameters; a newborn starts
            at its live value.

    Raises:
        ValueError: a tensor declared per edge, or the optimizer state of one, does not fit the
            graph; a module keeps a graph and cannot take a new one; `module` is on another graph.
    """
    if state not in ("cold", "median"):
        raise ValueError(f"state must be 'cold' or 'median'. Got {state!r}.")
    found = list(edge_tensors(module, rewiring.before))
    writes = {id(entry.tensor): (entry.tensor, _fresh(entry, rewiring, newborn)) for entry in found}
    states: list[tuple[dict[str, Any], str, Tensor]] = []
    for entry in found:
        if optimizer is not None and entry.tensor in optimizer.state:
            states += _states(entry, optimizer.state[entry.tensor], rewiring, state)
    live = {entry.name: writes[id(entry.tensor)][1] for entry in found}
    for average in averages:
        for entry in edge_tensors(average, rewiring.before):
            born = live[entry.name][rewiring.born.to(live[entry.name].device)]
            writes[id(entry.tensor)] = entry.tensor, rewiring.carried(entry.tensor, born)
    for tensor, values in writes.values():
        _replace(tensor, values, rewiring)
    for kept, key, values in states:
        kept[key] = values
    for root in (module, *averages):
        for _, part in list(parts_on(root, rewiring.before)):
            if hasattr(part, "rewired"):
                rewired: Any = part.rewired
                rewired(rewiring.graph)


def _fresh(entry: EdgeTensor, rewiring: Rewiring, newborn: Newborn) -> Tensor:
    """The carried values; buffers start at 0, and their module may know better in `rewired`."""
    if not isinstance(entry.tensor, nn.Parameter):
        return rewiring.carried(entry.tensor)
    start = newborn(entry.owner, entry.attribute, rewiring)
    expected = (len(rewiring.born), *entry.tensor.shape[1:])
    if start.shape != expected:
        raise ValueError(
            f"newborn must return a value per newborn for {entry.name}, shape {expected}. "
            f"Got {tuple(start.shape)}."
        )
    return rewiring.carried(entry.tensor, start)


def _states(
    entry: EdgeTensor, kept: dict[str, Any], rewiring: Rewiring, start: str
) -> list[tuple[dict[str, Any], str, Tensor]]:
    """The new values of the optimizer state of one parameter."""
    edges = rewiring.before.num_edges
    tensors = {key: v for key, v in kept.items() if torch.is_tensor(v) and v.ndim}
    for key, values in tensors.items():
        if len(values) != edges:
            raise ValueError(
                f"optimizer state {key!r} of {entry.name} must have one entry per edge, {edges} in "
                f"its first dimension, or no dimension at all. Got shape {tuple(values.shape)}; "
                "which entry belongs to which edge is not known, so use an optimizer that works "
                "elementwise, such as EdgeAdamW, AdamW or SGD."
            )
    warm = start == "median" and "step" not in tensors  # with clocks of their own: cold, exactly
    writes = []
    for key, values in tensors.items():
        fill = neighbours_median(values, rewiring) if warm and key in SECOND_MOMENTS else 0.0
        writes.append((kept, key, rewiring.carried(values, fill)))
    return writes


def _replace(tensor: Tensor, values: Tensor, rewiring: Rewiring) -> None:
    """Put values of another shape into a tensor, which stays the same object."""
    grad = tensor.grad
    tensor.grad = None
    # A loss that is still alive keeps autograd's node for this tensor, with the old shape, and
    # torch renews that node only when the type of the data changes.
    tensor.data = torch.empty(0, dtype=_other_type(tensor), device=tensor.device)
    tensor.data = values
    if grad is not None:
        tensor.grad = rewiring.carried(grad)


def _other_type(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float32 else torch.float32
