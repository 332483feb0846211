"""A rule from options given side by side, as presets, configurations and the command line do."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Unpack

from graphcolumns.plasticity.rules.former import RENAMED
from graphcolumns.plasticity.rules.options import RuleOptions
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.values import VALUES, names_of


def rule_from_options(**options: Unpack[RuleOptions]) -> Rule:
    """Sort options into the values of a rule. Names of fields are unique over all four.

    Args:
        **options: Fields of ``Rule``, ``Scoring``, ``Acceptance`` and ``Newborns``.

    Raises:
        ValueError: An option that no rule has (the message names the nearest one, or the name of
            today of one that was renamed), or what the values refuse.

    Example:
        >>> from graphcolumns.plasticity import criteria, rule_from_options
        >>> rule = rule_from_options(prune=criteria.mass, grow=criteria.chance, samples=32, grace=1)
        >>> rule.scoring.samples, rule.newborns.grace
        (32, 1)
    """
    given: dict[str, Any] = {**options}
    _require_known(given)
    values = {
        name: kind(**{key: given.pop(key) for key in names_of(kind) if key in given})
        for name, kind in VALUES.items()
    }
    return Rule(**values, **given)


def _require_known(options: Mapping[str, Any]) -> None:
    """Raise unless every name is a field of a rule, outside the three values of it."""
    known = [name for kind in (*VALUES.values(), Rule) for name in names_of(kind)]
    known = [name for name in known if name not in VALUES]
    for name in options:
        if name not in known:
            raise ValueError(
                f"a rule has no option {name!r}.{_suggestion(name, known)} Options: "
                f"{', '.join(known)}."
            )


def _suggestion(name: str, known: list[str]) -> str:
    if name in RENAMED:
        return f" It is now {RENAMED[name]!r}."
    return "".join(f" Did you mean {near!r}?" for near in get_close_matches(name, known, 1))
