"""The rules of a configuration: one for the first graph of a model, or one for each graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def graph_rules(node: Any) -> Mapping[str, Any] | None:
    """The rules by name of the graph, or None where ``node`` is a single rule.

    A single rule names its function under ``_target_``; a mapping without that key holds a rule for
    each graph that it names.

    Args:
        node: Part ``plasticity`` of a configuration, or what was made of it.
    """
    several = isinstance(node, Mapping) and node and "_target_" not in node
    return node if several else None


def map_rules(function: Callable[[Any], Any], node: Any) -> Any:
    """``function`` of a single rule, or of the rule of each graph."""
    rules = graph_rules(node)
    if rules is None:
        return function(node)
    return {name: function(rule) for name, rule in rules.items()}
