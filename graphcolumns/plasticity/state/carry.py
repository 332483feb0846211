"""Bring everything that is kept per edge through a change of topology."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from graphcolumns.nn.per_edge import EdgeTensor, edge_tensors, give_graph, parts_on, resize
from graphcolumns.nn.topology_state import settle
from graphcolumns.plasticity.rewiring.rewiring import Rewiring
from graphcolumns.plasticity.state.newborn import Newborn, neighbours_median, node_mean

KEY = "edges_of"  # of a parameter group: the fingerprint behind every parameter, or None
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

    A module says what it keeps per edge in two ways, both optional: ``edge_tensors``, the names of
    its parameters and buffers whose first dimension is E (None is skipped), and a method
    ``rewired(graph)``, called at the end, for anything else that depends on the graph. A module
    that keeps a ColumnGraph must have ``rewired``; one that keeps another graph is left alone with
    all its parts. A module that keeps several graphs says to which of them each tensor belongs
    and takes ``rewired(graph, name)``, see :mod:`graphcolumns.nn.protocols`.

    Survivors keep every entry bit for bit. Parameters stay the same objects, so ties, parameter
    groups and learning rates stay. Of a dropped edge nothing is kept. Newborns start with
    ``newborn(...)``, gradient 0, and optimizer state 0, which for ``EdgeAdamW`` includes their step
    count. Nothing is changed when an error is raised.

    Args:
        rewiring: Change of topology.
        module: Model or layer on the graph.
        optimizer: Optimizer whose state is carried too; a tensor of it is per edge if its first
            dimension is E, and shared by all edges if it has no dimension.
        newborn: First values of parameters: ``node_mean``, ``zero``, ``epsilon(...)``, or any
            ``f(module, name, rewiring) -> [born, ...]``.
        state: Start of second moments in stock optimizers, ``"cold"`` (0) or ``"median"``, the
            median over the edges of the same target. They have one step count for all edges, and
            0 under an old step count makes a newborn's first steps several times the learning
            rate.
        averages: Copies of ``module`` that hold moving averages of its parameters, or the
            ``AveragedModel`` around them; a newborn starts at its live value.

    Raises:
        ValueError: A tensor declared per edge, or the optimizer state of one, does not fit the
            graph; a module keeps a graph and cannot take a new one; ``module`` is on another graph.
    """
    if state not in ("cold", "median"):
        raise ValueError(f"state must be 'cold' or 'median'. Got {state!r}.")
    roots = [module, *(_averaged(average) for average in averages)]
    parts_of = [list(parts_on(root, rewiring.before)) for root in roots]
    found, *copies = (
        list(edge_tensors(root, rewiring.before, parts))
        for root, parts in zip(roots, parts_of, strict=True)
    )
    writes = {id(entry.tensor): (entry.tensor, _fresh(entry, rewiring, newborn)) for entry in found}
    states: list[tuple[dict[str, Any], str, Tensor]] = []
    if optimizer is not None:
        for group in optimizer.param_groups:
            label_group(optimizer, group)  # refuses moments of other edges
        for entry in found:
            if entry.tensor in optimizer.state:
                states += _states(entry, optimizer.state[entry.tensor], rewiring, state)
    for twins in copies:
        # Copies have their modules in the same order; names differ where one of them is wrapped.
        for twin, entry in zip(twins, found, strict=True):
            live = writes[id(entry.tensor)][1]
            born = live[rewiring.born.to(live.device)]
            writes[id(twin.tensor)] = twin.tensor, rewiring.carried(twin.tensor, born)
    for tensor, values in writes.values():
        _replace(tensor, values, rewiring)
    for kept, key, values in states:
        kept[key] = values
    for parts in parts_of:
        changed = [part for _, part in parts]
        for part in changed:
            if hasattr(part, "rewired"):
                give_graph(part, rewiring.before, rewiring.graph)
        settle(changed, rewiring.graph)
    if optimizer is not None:
        keep_edges(optimizer)
        for group in optimizer.param_groups:
            label_group(optimizer, group, anew=True)


def _averaged(average: nn.Module) -> nn.Module:
    """The copy of the model in an ``AveragedModel``."""
    return average.module if isinstance(average, AveragedModel) else average


def _fresh(entry: EdgeTensor, rewiring: Rewiring, newborn: Newborn) -> Tensor:
    """The carried values; buffers start at 0, and their module may know better in ``rewired``."""
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
    """Put carried values into a tensor, which stays the same object, and carry its gradient."""
    grad = tensor.grad
    resize(tensor, values)
    if grad is not None:
        tensor.grad = rewiring.carried(grad)


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
