"""A rule from options given side by side, as presets, configurations and the command line do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    known = [name for kind in (*VALUES.values(), Rule) for name in names_of(kind)]
    require_options(given, [name for name in known if name not in VALUES], "a rule")
    values = {
        name: kind(**{key: given.pop(key) for key in names_of(kind) if key in given})
        for name, kind in VALUES.items()
    }
    return Rule(**values, **given)


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
