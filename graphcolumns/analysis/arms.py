"""What was varied between runs, in short names: the arms of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TARGET = "_target_"
LONGEST = 28  # letters of a value in a figure


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        values |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return values


def with_choices(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Flat configurations in which a part that is another function has that function's name.

    Where the function of a part is not the same in all runs, ``plasticity._target_`` and the like
    become ``plasticity``: ``rigl``, or None where there is none. Options of that part that follow
    from its function, in these runs, are left out.

    Args:
        configs: Flat configurations.
    """
    shown = [dict(config) for config in configs]
    for part in _parts(configs):
        # Of `shown`: a part of a part whose function follows from the outer one is gone.
        targets = [config.get(f"{part}.{TARGET}") for config in shown]
        if len(set(targets)) < 2:
            continue
        names = _short_names([target for target in targets if target is not None])
        chosen = [None if target is None else names[target] for target in targets]
        below = [key for key in _keys(configs) if key.startswith(f"{part}.")]
        follows = [key for key in below if _follows(configs, key, chosen)]
        for config, name in zip(shown, chosen, strict=True):
            for key in follows:
                config.pop(key, None)
            config[part] = name
    return shown


def short(value: Any) -> str:
    """A value as a label: ``rigl``, ``0.003``, ``none``, the end of a long path."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """For each dotted key its last name, or as many more as tell it from the others.

    The field of a group keeps the name of the group: ``weights.attention``.
    """
    found = _short_names(keys)
    for key in keys:
        *_, group, field = ["", *key.split(".")]
        if key.count(".") > 1 and found[key] == field:
            found[key] = f"{group}.{field}"
    return found


def _parts(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is made by a function, the outer before the inner."""
    end = f".{TARGET}"
    return sorted(key.removesuffix(end) for key in _keys(configs) if key.endswith(end))


def _keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for config in configs for key in config))


def _follows(configs: Sequence[Mapping[str, Any]], key: str, chosen: Sequence[Any]) -> bool:
    """Whether runs with the same choice have the same value."""
    values: dict[Any, set[str]] = {}
    for config, name in zip(configs, chosen, strict=True):
        values.setdefault(name, set()).add(repr(config.get(key)))
    return all(len(own) == 1 for own in values.values())


def _short_names(paths: Sequence[str]) -> dict[str, str]:
    """For each dotted path the shortest end that no other path has."""
    different = list(dict.fromkeys(paths))
    found = {}
    for path in different:
        words = path.split(".")
        ends = (".".join(words[-count:]) for count in range(1, len(words) + 1))
        others = [other for other in different if other != path]
        found[path] = next(
            (end for end in ends if not any(f".{o}".endswith(f".{end}") for o in others)), path
        )
    return found
