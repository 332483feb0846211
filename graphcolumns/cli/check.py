"""Whether a configuration fits the functions that it names, before any of them is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_method

from graphcolumns.cli.groups import near
from graphcolumns.train import TERMS, train

# Arguments of `train` that stand at the top of a configuration, and those in the optimizer group.
OPTIONS = (
    *("steps", "epochs", "batch_size", "grad_accumulation", "amp", "compile", "device", "seed"),
    *("checkpoint_every", "evaluate_every", "evaluate_test", "best", "progress", "tensorboard"),
)
OPTIMIZER = ("lr", "weight_decay", "betas", "warmup", "min_lr", "clip")
# Things that are built, each with the arguments that do not come from its own part.
BUILT: Mapping[str, Sequence[str]] = {
    "geometry": (),
    "graph": ("geometry",),
    "model": (
        *("geometry", "graph", "permutation"),
        *("image_size", "in_channels", "num_classes"),
    ),
    "data": (),
    "augmentation": ("inputs", "generator"),
    "plasticity": ("steps",),
}
OPTIONAL = ("augmentation", "plasticity")  # null: without
# The other top-level keys.
VALUES: Mapping[str, Any] = {
    "name": str,
    "degree": int,
    "run": str,
    "report": bool,
    "fold": int | None,
    "reorder": bool | Literal["before_graph"] | None,
    "optimizer": dict[str, Any],
    "losses": dict[str, Any],
}
HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")


def check(config: Mapping[str, Any]) -> None:
    """Check a resolved configuration.

    Args:
        config: plain dictionaries, lists and values.

    Raises:
        ValueError: an unknown key (with the known ones), or a `_target_` that does not exist.
        TypeError: a value of the wrong type.
    """
    known = (*BUILT, *VALUES, *OPTIONS)
    _check_keys("", config, known)
    missing = [key for key in known if key not in config]
    if missing:
        raise ValueError(f"the configuration lacks {', '.join(missing)}.")
    hints = {**_hints(train), **VALUES}
    for name in (*VALUES, *OPTIONS):
        check_value(name, config[name], hints[name])
    _check_keys("losses", config["losses"], list(TERMS))
    for name, value in config["losses"].items():
        check_value(f"losses.{name}", value, float)
    _check_keys("optimizer", config["optimizer"], OPTIMIZER)
    for name, value in config["optimizer"].items():
        check_value(f"optimizer.{name}", value, hints[name])
    for name, later in BUILT.items():
        if name not in OPTIONAL or config[name] is not None:
            check_call(name, config[name], later)


def check_call(path: str, node: Any, later: Sequence[str] | None = None) -> None:
    """Check a mapping with `_target_` against the signature of the function that it names.

    Args:
        path: where it stands in the configuration.
        node: the mapping.
        later: arguments that it will be called with; None: any, if it is `_partial_`.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise TypeError(f"{path} must name a function under the key _target_. Got {node!r}.")
    target = _target(path, node["_target_"])
    parameters = _parameters(target)
    if parameters is None:
        return
    given = {key: value for key, value in node.items() if key not in HYDRA_KEYS}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        _check_keys(path, given, [name for name in parameters if name not in (later or ())])
    needed = [name for name, p in parameters.items() if p.default is p.empty and _is_named(p)]
    missing = [name for name in needed if name not in (*given, *(later or ()))]
    if missing and (later is not None or not node.get("_partial_")):
        raise ValueError(f"{path} needs {', '.join(f'{path}.{name}=...' for name in missing)}.")
    hints = _hints(target)
    for name, value in given.items():
        check_value(f"{path}.{name}", value, hints.get(name, Any))


def check_value(path: str, value: Any, hint: Any) -> None:
    """Check one value against a type annotation; annotations of other kinds admit anything."""
    if isinstance(value, Mapping) and "_target_" in value:
        check_call(path, value)
    elif not _fits(value, hint):
        suggestion = near(str(value), [str(arg) for arg in get_args(hint)])
        raise TypeError(f"{path} must be {_name(hint)}. Got {value!r}.{suggestion}")


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if origin in (list, tuple, Sequence):
        return isinstance(value, list) and _all_fit(value, get_args(hint))
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and _all_fit(list(value.values()), get_args(hint)[1:])
    if hint in (None, NoneType):
        return value is None
    if hint is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool):
        return isinstance(value, hint)
    return True


def _all_fit(values: list[Any], hints: tuple[Any, ...]) -> bool:
    """`list[T]` and `tuple[T, ...]` take any length, `tuple[S, T]` exactly two."""
    kinds = [hint for hint in hints if hint is not Ellipsis]
    if len(kinds) > 1 and len(kinds) != len(values):
        return False
    return all(
        _fits(value, kinds[place % len(kinds)]) for place, value in enumerate(values) if kinds
    )


def _check_keys(path: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            name = f"{path}.{key}" if path else key
            raise ValueError(
                f"unknown key {name!r}.{near(key, known)} Keys{path and f' in {path}'}: "
                f"{', '.join(known)}."
            )


def _target(path: str, name: Any) -> Callable[..., Any]:
    try:
        return get_method(str(name))
    except Exception as error:  # hydra raises ImportError, AttributeError or ValueError here
        raise ValueError(f"{path}._target_: there is no function {name}.") from error


def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """What a function takes; None for one that does not tell, such as `torch.tensor`."""
    try:
        return inspect.signature(target).parameters
    except ValueError:
        return None


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(target)
    except NameError:  # an annotation that only exists for type checkers
        return {}


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _name(hint: Any) -> str:
    """A type in words: `int or null`, `one of 'a', 'b'`."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_name(choice) for choice in get_args(hint))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if get_origin(hint) in (list, tuple, Sequence):
        return f"a list of {', '.join(_name(choice) for choice in get_args(hint))}"
    if get_origin(hint) in (dict, Mapping):
        return "keys with values"
    if hint in (None, NoneType):
        return "null"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(
        hint, str(hint)
    )
