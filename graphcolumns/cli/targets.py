"""What a ``_target_`` names, and why it names nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from hydra._internal.utils import _locate

from graphcolumns.cli.groups import near


def function_of(name: Any) -> Callable[..., Any]:
    """What a dotted path names, as ``hydra.utils.get_method``, which also writes errors to the log.

    Raises:
        ValueError: Nothing that can be called; or whatever an import raises.
    """
    found = _locate(str(name))
    if not callable(found):
        raise ValueError(f"{name} cannot be called.")
    function: Callable[..., Any] = found
    return function


def named_targets(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The place and the name of every function that a part of a configuration names."""
    if isinstance(node, list):
        node = {str(place): part for place, part in enumerate(node)}
    if isinstance(node, Mapping):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            if key == "_target_":
                yield here, str(value)
            else:
                yield from named_targets(value, here)


def why_missing(name: str) -> str:
    """Why a dotted path names no function: which part of it is not there, or cannot be imported."""
    found: Any = None
    parts = name.split(".")
    for count, part in enumerate(parts, 1):
        path = ".".join(parts[:count])
        if found is not None and hasattr(found, part):
            found = getattr(found, part)
            continue
        try:
            found = import_module(path)
        except ModuleNotFoundError as error:
            if error.name is None or not path.startswith(error.name):
                return f"Importing {path} fails: {error}."
            if found is None:
                return (
                    f"There is no module {part!r}, neither in the current folder nor installed; "
                    "PYTHONPATH=FOLDER adds a folder."
                )
            where = ".".join(parts[: count - 1])
            return f"{where} has no {part!r}.{near(part, _public(found))}"
        except Exception as error:
            return f"Importing {path} fails with {type(error).__name__}: {error}."
    return f"{name} is a {type(found).__name__}, which cannot be called."


def _public(thing: Any) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]
