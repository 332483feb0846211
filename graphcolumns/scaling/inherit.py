"""Start one model with the parameters of another whose columns it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Origin(NamedTuple):
    """Where the columns and edges of a model come from in another one."""

    columns: Tensor  # [N'] int64
    edges: Tensor  # [E'] int64


@torch.no_grad()
def inherit(model: nn.Module, coarse: nn.Module, origin: Origin) -> None:
    """Copy every parameter of ``coarse`` into ``model``, column by column and edge by edge.

    A module says what it keeps per column as it does per edge, all optional:

    - ``column_tensors``: names of its parameters and buffers whose first dimension is the columns;
    - ``edge_tensors``: whose first dimension is the edges;
    - a method ``rescaled(coarse, columns)``, called in place of all copying of its own tensors (not
      of its parts), for whatever else depends on the columns;
    - ``own_columns = True``: the columns of its parts are not those of the sheet.

    Every other tensor is shared by all columns and copied whole. Buffers that are not in the state
    dict are made by the constructor and left alone.

    Args:
        model: A new model, built as ``coarse`` was for other columns; changed in place.
        coarse: The model that it comes from.
        origin: Origin of the columns and edges of ``model``.

    Raises:
        ValueError: The models have other modules, or a tensor does not fit after copying: it is
            then per column or edge and not declared, or the models have other options.
        TypeError: A tensor has another dtype.
    """
    parts, old_parts = dict(model.named_modules()), dict(coarse.named_modules())
    _check_same_parts(parts, old_parts)
    foreign: list[str] = []
    for path, part in parts.items():
        off_sheet = any(path.startswith(prefix) for prefix in foreign)
        if getattr(part, "own_columns", False):
            foreign.append(f"{path}.")
        if hasattr(part, "rescaled"):
            rescaled: Any = part.rescaled
            rescaled(old_parts[path], origin.columns)
            continue
        old = dict(_tensors(old_parts[path]))
        for name, tensor in _tensors(part):
            full = f"{path}.{name}" if path else name
            if name not in old:
                raise ValueError(f"{full} must be in both models. It is only in the new one.")
            values = old[name] if off_sheet else _inherited(part, name, old[name], origin)
            _copy(full, tensor, values)


def _tensors(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Own parameters and buffers of a module, as far as they are in its state dict."""
    yield from part.named_parameters(recurse=False, remove_duplicate=False)
    for name, buffer in part.named_buffers(recurse=False, remove_duplicate=False):
        if name not in part._non_persistent_buffers_set:
            yield name, buffer


def _inherited(part: nn.Module, name: str, old: Tensor, origin: Origin) -> Tensor:
    if name in getattr(part, "column_tensors", ()):
        return _at(old, origin.columns)
    if name in getattr(part, "edge_tensors", ()):
        return _at(old, origin.edges)
    return old


def _at(old: Tensor, ids: Tensor) -> Tensor:
    return old[ids.to(old.device)]


def _copy(name: str, tensor: Tensor, values: Tensor) -> None:
    if tensor.shape != values.shape:
        raise ValueError(
            f"{name} must have shape {tuple(tensor.shape)} in the new model. It would start with "
            f"{tuple(values.shape)}: build the model with the options of the old one, and if the "
            "tensor is per column or edge name it in column_tensors or edge_tensors of its module."
        )
    if tensor.dtype != values.dtype:
        raise TypeError(f"{name} must be {values.dtype} as in the old model. Got {tensor.dtype}.")
    tensor.copy_(values)


def _check_same_parts(parts: dict[str, nn.Module], old: dict[str, nn.Module]) -> None:
    kinds, old_kinds = (
        {path: type(part).__name__ for path, part in group.items()} for group in (parts, old)
    )
    for path in sorted(kinds.keys() | old_kinds.keys()):
        if kinds.get(path) != old_kinds.get(path):
            raise ValueError(
                f"both models must have the same modules. Got {kinds.get(path)} at {path!r} in the "
                f"new one and {old_kinds.get(path)} in the old one; build it with the same options."
            )
