"""The rule of a preset: what the preset says, then what the user says."""

from __future__ import annotations

from typing import Any, Unpack

from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.options import PresetOptions, RuleOptions
from graphcolumns.plasticity.rules.presets.updates import Updates
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.rule_from_options import require_options, rule_from_options
from graphcolumns.plasticity.rules.schedules import Linear
from graphcolumns.plasticity.selection.constraints import Constraints


def preset_rule(updates: Updates, options: PresetOptions, **parts: Unpack[RuleOptions]) -> Rule:
    """The rule of a preset, in which every column keeps at least one in-edge.

    Args:
        updates: Times of the updates.
        options: Options of the user.
        **parts: Fields of the rule that the preset says; options of the user win.

    Raises:
        ValueError: An option that neither presets nor rules have, or what ``Rule`` refuses.
    """
    known = [*PresetOptions.__annotations__, *RuleOptions.__annotations__]
    require_options(options, list(dict.fromkeys(known)), "a preset")
    degree = options.pop("degree", None)
    if degree is not None:
        if parts.get("budget") is not None:
            raise ValueError(
                f"a rule keeps to one budget. Got degree={degree} and {parts['budget']}; leave "
                "one of them out."
            )
        parts["budget"] = Budget(degree, "mean_degree")
    usual: RuleOptions = {"is_due": updates.is_due, "constraints": Constraints(min_in=1)}
    given: dict[str, Any] = {**usual, **parts, **options}
    return rule_from_options(**given)


def falling_budget(
    updates: Updates, options: PresetOptions, curve: type[Linear], initial: float | None
) -> Budget | None:
    """The budget from ``initial`` to the ``degree`` of the options, which lose it.

    Args:
        updates: Times of the updates.
        options: Options of the user.
        curve: Schedule between the two.
        initial: Mean in-degree of the first graph. None: ``degree`` from the first update on.

    Raises:
        ValueError: ``initial`` without ``degree``.
    """
    degree = options.pop("degree", None)
    if degree is None and initial is not None:
        raise ValueError(
            f"a budget falls from initial to degree. Got initial={initial} and degree=None; give "
            "the mean in-degree at the end."
        )
    if degree is None:
        return None
    value = degree if initial is None else updates.between(curve, initial, degree)
    return Budget(value, "mean_degree")
