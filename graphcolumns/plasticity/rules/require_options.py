"""Names of options that are checked before any of them is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from graphcolumns.plasticity.rules.former import RENAMED


def require_options(names: Iterable[str], known: Sequence[str], owner: str) -> None:
    """Raise a ValueError for a name that is not known, with the one that was perhaps meant.

    Args:
        names: Names of the options that were given.
        known: Names of all options.
        owner: What has the options, such as ``"a rule"``.
    """
    for name in names:
        if name not in known:
            raise ValueError(
                f"{owner} has no option {name!r}.{_suggestion(name, known)} Options: "
                f"{', '.join(known)}."
            )


def _suggestion(name: str, known: Sequence[str]) -> str:
    if name in RENAMED:
        return f" It is now {RENAMED[name]!r}."
    return "".join(f" Did you mean {near!r}?" for near in get_close_matches(name, known, 1))
