"""Whether the values of a configuration fit the signatures of the functions that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Literal, Union, Unpack, get_args, get_origin, get_type_hints

from graphcolumns.cli.former import renamed
from graphcolumns.cli.groups import keys_in, near
from graphcolumns.cli.moved_keys import meant, moved_hint
from graphcolumns.cli.targets import function_of, why_missing
from graphcolumns.plasticity.criteria.former import VALUES

HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")


def check_call(path: str, node: Any, later: Sequence[str] | None = None) -> None:
    """Check a mapping with ``_target_`` against the signature of the function that it names.

    Args:
        path: Place of the mapping in the configuration.
        node: Mapping to check.
        later: Arguments that the function will be called with besides; None for any, if it is
            ``_partial_``.
    """
    target, given = _call(path, node)
    parameters = _parameters(target)
    if parameters is None:
        return
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        check_keys(path, given, [name for name in parameters if name not in (later or ())])
    needed = [name for name, p in parameters.items() if p.default is p.empty and _is_named(p)]
    missing = [name for name in needed if name not in (*given, *(later or ()))]
    if missing and (later is not None or not node.get("_partial_")):
        raise ValueError(f"{path} needs {', '.join(f'{path}.{name}=...' for name in missing)}.")
    _check_values(path, given, target)


def check_function(path: str, node: Any, called: Sequence[str], named: Sequence[str] = ()) -> None:
    """Check a mapping with ``_target_`` whose function will be called with arguments by position.

    Args:
        path: Place of the mapping in the configuration.
        node: Mapping to check.
        called: Names of the arguments by position, for the message; the function may name them
            otherwise.
        named: Names of further arguments.

    Raises:
        ValueError, TypeError: As ``check_call``, or the function cannot be called so.
    """
    target, given = _call(path, node)
    parameters = _parameters(target)
    if parameters is None:
        return
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        check_keys(path, given, list(parameters)[len(called) :])
    try:
        inspect.signature(target).bind(*called, **dict.fromkeys((*given, *named)))
    except TypeError as error:
        raise TypeError(
            f"{path} must be a function of ({', '.join([*called, *named])}) and of the keys beside "
            f"_target_. Got {node['_target_']}{inspect.signature(target)}: {error}."
        ) from error
    _check_values(path, given, target)


def check_value(path: str, value: Any, hint: Any) -> None:
    """Check one value against a type annotation; annotations of other kinds admit anything."""
    group = _group(hint)
    if isinstance(value, Mapping) and "_target_" in value:
        check_call(path, value)
    elif group is not None:
        _check_group(path, value, group)
    elif not _fits(value, hint):
        former = VALUES.get(path.rpartition(".")[2], {}) if isinstance(value, str) else {}
        suggestion = near(str(value), [str(arg) for arg in get_args(hint)])
        if former and value in former:
            suggestion = f" It is now {former[value]!r}."
        raise TypeError(f"{path} must be {_name(hint)}. Got {value!r}.{suggestion}")


def _group(hint: Any) -> type | None:
    """The dataclass of an argument that is given as a value or as a mapping of its fields."""
    choices = get_args(hint)
    if not any(get_origin(choice) is Mapping for choice in choices):
        return None
    return next((c for c in choices if isinstance(c, type) and is_dataclass(c)), None)


def _check_group(path: str, value: Any, group: type) -> None:
    """Check the fields of a group of options."""
    known = [field.name for field in fields(group)]
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{path} must be keys with values: {', '.join(known)}. Got {value!r}.{moved_hint(path)}"
        )
    check_keys(path, value, known)
    hints = hints_of(group)
    for name, part in value.items():
        check_value(f"{path}.{name}", part, hints[name])


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
    """``list[T]`` and ``tuple[T, ...]`` take any length, ``tuple[S, T]`` exactly two."""
    kinds = [hint for hint in hints if hint is not Ellipsis]
    if len(kinds) > 1 and len(kinds) != len(values):
        return False
    return all(
        _fits(value, kinds[place % len(kinds)]) for place, value in enumerate(values) if kinds
    )


def check_keys(path: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise a ValueError, with what was perhaps meant, unless all keys are known."""
    for key in given:
        if key not in known:
            name = f"{path}.{key}" if path else key
            raise ValueError(f"unknown key {name!r}.{meant(name, known)} {keys_in(path, known)}")


def further_arguments(target: str, given: Sequence[str]) -> list[str] | None:
    """The arguments of a function that are not given; None if it takes any, or is not there.

    Args:
        target: Dotted path of the function.
        given: Names of arguments that are given.
    """
    try:
        parameters = _parameters(function_of(target))
    except Exception:  # what is wrong with the path is said where the function is called
        return None
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return [name for name in parameters if name not in given]


def _call(path: str, node: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that a mapping names, and the arguments beside its name."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise TypeError(f"{path} must name a function under the key _target_. Got {node!r}.")
    given = {key: value for key, value in node.items() if key not in HYDRA_KEYS}
    return _target(path, node["_target_"]), given


def _check_values(path: str, given: Mapping[str, Any], target: Callable[..., Any]) -> None:
    hints = hints_of(target)
    for name, value in given.items():
        check_value(f"{path}.{name}", value, hints.get(name, Any))


def _target(path: str, name: Any) -> Callable[..., Any]:
    try:
        return function_of(name)
    except Exception as error:  # hydra raises ImportError, AttributeError or ValueError here
        now = renamed(str(name))
        why = why_missing(now) if now == name else f"It is now {now}."
        raise ValueError(f"{path}._target_: there is no function {name}. {why}") from error


def _parameters(target: Callable[..., Any]) -> Mapping[str, Parameter] | None:
    """What a function takes; None for one that does not tell, such as ``torch.tensor``."""
    try:
        found = dict(inspect.signature(target).parameters)
    except ValueError:
        return None
    for name, options in _unpacked(target).items():
        del found[name]
        found |= {key: Parameter(key, Parameter.KEYWORD_ONLY, default=None) for key in options}
    return found


def hints_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the arguments of a function, those of ``**options`` each by its name."""
    hints = _hints(target)
    for name, options in _unpacked(target).items():
        del hints[name]
        hints |= options
    return hints


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(target)
    except NameError:  # an annotation that only exists for type checkers
        return {}


def _unpacked(target: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """The keys of every ``**options`` that is annotated ``Unpack[Options]``, by its name."""
    return {
        name: get_type_hints(get_args(hint)[0])
        for name, hint in _hints(target).items()
        if get_origin(hint) is Unpack
    }


def _is_named(parameter: Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _name(hint: Any) -> str:
    """A type in words: ``int or null``, ``one of 'a', 'b'``."""
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
