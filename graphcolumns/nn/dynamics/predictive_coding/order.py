"""An order in which layers can be computed from the layers that predict them."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from graphcolumns.nn.dynamics.predictive_coding.connection import Connection


def feedforward_order(
    names: Iterable[str], free: Iterable[str], connections: Iterable[Connection]
) -> tuple[str, ...]:
    """Layers, each after all free layers that predict it; clamped layers need no order.

    Raises:
        ValueError: Free layers predict each other in a cycle.
    """
    free = frozenset(free)
    before: dict[str, set[str]] = {name: set() for name in names}
    for connection in connections:
        if connection.source in free and connection.target in free:
            before[connection.target].add(connection.source)
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise ValueError(
            "an order of layers must exist: states are rebuilt from errors layer by layer. Got the "
            f"cycle {cycle}; pass form='state', clamp a layer of the cycle, or unroll it into "
            "one layer per step."
        ) from error
