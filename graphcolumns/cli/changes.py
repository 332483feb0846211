"""What may change when a run is resumed: ``graphcolumns resume RUN KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml  # type: ignore[import-untyped]

from graphcolumns.checkpoint import Change
from graphcolumns.cli.check import OPTIMIZER, CheckedConfig, check_config
from graphcolumns.cli.groups import keys_in
from graphcolumns.cli.moved_keys import meant
from graphcolumns.training.fingerprint import CHANGEABLE, FREE, REASONS

# Keys of this call alone, which change nothing that a run keeps.
PASSING = ("progress", "report", "tensorboard")
WHY = {
    "fold": "data",
    "degree": "model",
    "graph": "model",
    "geometry": "geometry",
    "reorder": "permutation",
}


def with_overrides(
    config: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[CheckedConfig, list[str]]:
    """A configuration with what a resumed run is to change, and the names of its options.

    Args:
        config: Configuration of the run as it is.
        overrides: Changes, each ``KEY=VALUE``.

    Raises:
        ValueError: No ``KEY=VALUE``, an unknown key, or one that cannot change.
        TypeError: A value of the wrong type.
    """
    changed, names = deepcopy(dict(config)), []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or key[:1] in ("+", "~", "-"):
            raise ValueError(f"write KEY=VALUE, such as steps=2000. Got {override!r}.")
        value = _value(override, text)
        if value == _at(config, key):
            continue
        name = _option(key)
        if key not in PASSING:
            names.append(name)
        _set(changed, key, value)
    return check_config(changed), list(dict.fromkeys(names))


def with_changes(config: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """A configuration with what was changed whenever its run was resumed."""
    changed = deepcopy(dict(config))
    for change in changes:
        for name, (_, now) in change.changes.items():
            _set(changed, f"optimizer.{name}" if name in OPTIMIZER else name, now)
    return changed


def _option(key: str) -> str:
    """The option of ``train`` that a key sets; an error if a resumed run cannot change it."""
    if key == "epochs":
        return "steps"
    name = key.removeprefix("optimizer.")
    if name in (*CHANGEABLE, *FREE) and (name in OPTIMIZER) == (name != key):
        return name
    if key in PASSING:
        return key
    top = key.partition(".")[0]
    reason = REASONS.get(WHY.get(top, top))
    because = f" ({reason})" if reason else ""
    raise ValueError(
        f"{key} cannot change when a run is resumed{because}. Resume with one of "
        f"{', '.join(_keys())}, or start a new run: graphcolumns train ... {key}=VALUE run=OTHER."
    )


def _keys() -> list[str]:
    options = [f"optimizer.{name}" if name in OPTIMIZER else name for name in (*CHANGEABLE, *FREE)]
    return [*options, "epochs", *PASSING]


def _at(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    path = ""
    for name in key.split("."):
        path = f"{path}.{name}".lstrip(".")
        if not isinstance(node, Mapping) or name not in node:
            known = list(node) if isinstance(node, Mapping) else []
            keys = keys_in(path.rpartition(".")[0], known)
            raise ValueError(f"unknown key {key!r}.{meant(path, known)} {keys}")
        node = node[name]
    return node


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    node = config
    for name in path:
        node = node[name]
    node[last] = value
    # A run has a number of steps, or of epochs.
    if key == "epochs" and value is not None:
        config["steps"] = None


def _value(override: str, text: str) -> Any:
    """A value as in a YAML file; 1e-4 is a number too."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"write KEY=VALUE, such as steps=2000. Got {override!r}.") from error
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
