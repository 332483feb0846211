"""One group of options, given as a value or as a mapping of its fields."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar

from graphcolumns.models.options.former import FORMER, now_called

Options = TypeVar("Options")
Given = Mapping[str, Any]


def read_group(
    name: str,
    given: Options | Given,
    default: Options,
    takes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Options:
    """One group of options as a value.

    Args:
        name: Name of the group.
        given: A value, or a mapping of its fields.
        default: Options where nothing is said.
        takes: Fields that a model has, by group; a group that is not named has all its fields.
    """
    every = [field.name for field in fields(default)]  # type: ignore[arg-type]
    known = takes.get(name, every)
    if isinstance(given, type(default)):
        others = (field for field in every if field not in known)
        differing = [f for f in others if getattr(given, f) != getattr(default, f)]
        _check_fields(name, differing, known)
        return given
    if not isinstance(given, Mapping):
        former = f" {now_called(name)}" if isinstance(given, str) and name in FORMER else ""
        raise TypeError(
            f"{name} must be {type(default).__name__}(...) or a mapping of its fields: "
            f"{', '.join(known)}. Got {given!r}.{former}"
        )
    _check_fields(name, list(given), known)
    return replace(default, **given)  # type: ignore[type-var]


def _check_fields(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raise for a field that is not known, with the one that was perhaps meant."""
    for field in given:
        if field not in known:
            close = get_close_matches(str(field), known, 1, 0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            moved = FORMER.get(field, f"{name}.{field}") != f"{name}.{field}"
            raise TypeError(
                f"{name} must have fields among {', '.join(known)}. Got {field!r}."
                f"{f' {now_called(field)}' if moved else meant}"
            )
