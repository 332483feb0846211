"""Values as flat dictionaries of names and numbers, to be compared by another process."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.data import StreamedDataset, Task

Flat = dict[str, Any]
SCALARS = (bool, int, float, str, type(None))
PIECE = 65537  # elements of a tensor that are weighted at once, a prime
ROUNDING = 1e-6  # relative: sums on another machine differ by less, another sample by more
# What a module may keep that does not decide what it computes, or is kept in the checkpoint.
PASSING = ("training", "wiring_norm", "num_edges", "edges_of", "backend", "memory")


def describe_value(name: str, value: Any) -> Flat:
    """What a value is: scalars as they are, functions by name, tensors by shape and content.

    Floating tensors are described by two sums, which rounding on another machine hardly changes,
    see ``differs``; others by a hash.

    Args:
        name: Name of the value; parts of it are ``name.part``.
        value: Value of any type; other types than those above are described by their name alone.
    """
    if isinstance(value, SCALARS):
        return {name: value}
    if isinstance(value, Path):
        return {name: str(value)}
    if isinstance(value, Tensor):
        return _tensor(name, value)
    if isinstance(value, partial):
        given = _arguments(value)
        called = {f"{name}.given": sorted(given)} | describe_value(name, value.func)
        return called | _parts(name, given)
    if isinstance(value, nn.Module):
        return describe_modules(name, value)
    if isinstance(value, Task | StreamedDataset):
        return describe_value(name, value.described())
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _name(type(value))} | _parts(
            name, {field.name: getattr(value, field.name) for field in fields(value)}
        )
    if isinstance(value, Mapping):
        parts = {str(key): part for key, part in value.items()}
        return {name: sorted(parts)} | _parts(name, parts)
    if isinstance(value, list | tuple):
        if all(isinstance(part, SCALARS) for part in value):
            return {name: list(value)}
        return _parts(name, {str(place): part for place, part in enumerate(value)})
    named = callable(value) and hasattr(value, "__qualname__")
    if named and "<" in value.__qualname__:
        # A lambda, or a function within another one: another process cannot know it again.
        return {}
    return {name: _name(value if named else type(value))}


def describe_all(**values: Any) -> Flat:
    """Several values by their names, see ``describe``."""
    found: Flat = {}
    for name, value in values.items():
        found |= describe_value(name, value)
    return found


def describe_modules(name: str, model: nn.Module) -> Flat:
    """The types of all modules of a model, and the numbers that they were made with."""
    found: Flat = {}
    for path, module in model.named_modules():
        place = f"{name}.{path}" if path else name
        found[place] = _name(type(module))
        for key, value in vars(module).items():
            if not key.startswith("_") and key not in PASSING and _is_plain(value):
                found[f"{place}.{key}"] = list(value) if isinstance(value, tuple) else value
    return found


def differs(was: Any, now: Any) -> bool:
    """Whether two described values are different, rounding aside."""
    if _is_sums(was) and _is_sums(now):
        allowed = ROUNDING * max(was["size"], now["size"])
        return any(abs(was[key] - now[key]) > allowed for key in ("sum", "size"))
    if _is_ours(was) and _is_ours(now):
        # Modules of the library may move from version to version; their names stay.
        return bool(was.rpartition(".")[2] != now.rpartition(".")[2])
    return bool(was != now)


def text_of(value: Any) -> str:
    """A described value for a message."""
    if _is_sums(value):
        return f"{value['sum']:.8g}"
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _tensor(name: str, tensor: Tensor) -> Flat:
    tensor = tensor.detach().cpu()
    about: Flat = {name: f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"}
    if not prod(tensor.shape):
        return about
    if not tensor.is_floating_point():
        content = tensor.contiguous().numpy().tobytes()
        return about | {f"{name}.hash": blake2b(content, digest_size=8).hexdigest()}
    weight = torch.cos(torch.arange(PIECE, dtype=torch.float64))
    total = size = 0.0
    for number, piece in enumerate(tensor.flatten().split(PIECE)):
        values = piece.double()
        total += float(torch.cos(torch.tensor(float(number))) * (values @ weight[: len(values)]))
        size += float(values.abs().sum())
    return about | {f"{name}.values": {"sum": total, "size": size}}


def _parts(name: str, parts: Mapping[str, Any]) -> Flat:
    return describe_all(**{f"{name}.{key}": part for key, part in parts.items()})


def _arguments(function: partial[Any]) -> dict[str, Any]:
    try:
        bound = inspect.signature(function.func).bind_partial(*function.args, **function.keywords)
    except (TypeError, ValueError):
        places = {str(place): value for place, value in enumerate(function.args)}
        return places | function.keywords
    arguments = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    return arguments


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"


def _is_ours(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("graphcolumns.")


def _is_plain(value: Any) -> bool:
    several = isinstance(value, tuple | list) and all(isinstance(part, SCALARS) for part in value)
    return several or isinstance(value, SCALARS)


def _is_sums(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"sum", "size"}
