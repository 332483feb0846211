"""Options and states of rules that have another name or another place today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphcolumns.plasticity.rules.values import VALUES, names_of

RENAMED = {
    "check": "check_samples",
    "errors": "standard_errors",
    "newborn": "first_value",
    "remember": "update_memory",
    "share": "epsilon_share",
    "skip": "skip_optimizer_step",
    "when": "is_due",
}

# Names in the state of a rule at work.
STATE = {"resting": "cool_down"}
MEMORY = {"ends_in": "synaptic_elements_in", "ends_out": "synaptic_elements_out"}


def of_today(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a rule at work, from any version, under the names of today."""
    now = {STATE.get(name, name): value for name, value in state.items()}
    now["memory"] = {MEMORY.get(name, name): value for name, value in state["memory"].items()}
    return now


def require_own_fields(names: Iterable[str]) -> None:
    """Raise a TypeError for a field of one of the three values, or a former name of a field."""
    for name in names:
        now = RENAMED.get(name, name)
        for value, kind in VALUES.items():
            if now in names_of(kind):
                raise TypeError(
                    f"{name} is now {value}.{now}: write Rule({value}={kind.__name__}({now}=...)), "
                    f"or rule_from_options({now}=...)."
                )
        if name in RENAMED:
            raise TypeError(f"{name} is now {now}: write Rule({now}=...).")
