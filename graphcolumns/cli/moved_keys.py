"""Keys of a configuration that have moved, for messages about keys that are not there."""

from __future__ import annotations

from collections.abc import Sequence

from graphcolumns.cli.groups import near
from graphcolumns.models.options.former import FORMER
from graphcolumns.plasticity.rules.former import RENAMED

MOVED_KEYS = {f"model.{was}": f"model.{now}" for was, now in FORMER.items()}
MOVED_KEYS |= {f"plasticity.{was}": f"plasticity.{now}" for was, now in RENAMED.items()}


def meant(key: str, known: Sequence[str]) -> str:
    """What an unknown key is now, or the question whether a known one was meant, or nothing.

    Args:
        key: Unknown key with the keys above it, joined by dots.
        known: Known keys beside it.
    """
    groups = MOVED_KEYS.get(key, "").split(".")[1:-1]
    hint = moved_hint(key)
    if hint and set(groups) <= set(known):
        return hint
    return near(key.rpartition(".")[2], known)


def moved_hint(key: str) -> str:
    """What a key of an earlier version is now, or nothing."""
    parent, _, name = key.rpartition(".")
    # The rule of one graph of several stands below the name of the graph.
    if parent.startswith("plasticity.") and name in RENAMED:
        return f" {key} is now {parent}.{RENAMED[name]}."
    return f" {key} is now {MOVED_KEYS[key]}." if key in MOVED_KEYS else ""
