"""A rule from options given side by side, as presets, configurations and the command line do."""

from __future__ import annotations

from typing import Any, Unpack

from graphcolumns.plasticity.rules.options import RuleOptions
from graphcolumns.plasticity.rules.require_options import require_options
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
