"""The number of edges, or the length of wire, that an edge set may have at a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from graphcolumns.geometry.checks import check_choice
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.rules.schedules import Schedule, value_at

BudgetUnit = Literal["edges", "mean_degree", "density", "length"]


@dataclass(frozen=True)
class Budget:
    """A limit of the edge set, a number or a schedule.

    Args:
        value: Limit at every step.
        unit: Unit of the limit: ``"edges"``; ``"mean_degree"``, in-edges per column;
            ``"density"``, the share of all allowed pairs, ``N (N - 1)`` without self-edges; or
            ``"length"``, the summed length of all edges in the unit of the geometry, such as
            millimetres.

    Raises:
        ValueError: An unknown unit.
    """

    value: float | Schedule
    unit: BudgetUnit = "edges"

    def __post_init__(self) -> None:
        check_choice("the unit of a budget", self.unit, get_args(BudgetUnit))

    def edges(self, step: int, graph: ColumnGraph, self_loops: bool = False) -> int | None:
        """The number of edges after an update at ``step``; None for a length.

        The number is rounded from float64: a density counted in float32 is off by several edges
        from some 30 million pairs on.

        Args:
            step: Optimizer step.
            graph: Graph whose columns and sources are counted.
            self_loops: Whether a column and itself are an allowed pair.

        Raises:
            ValueError: The number is negative, not finite, or above the number of allowed pairs.
        """
        if self.unit == "length":
            return None
        n, m = graph.num_columns, graph.num_sources
        pairs = n * m if self_loops or n != m else n * (n - 1)
        size = {"edges": 1, "mean_degree": n, "density": pairs}[self.unit]
        value = value_at(self.value, step)
        count = round(value * size) if math.isfinite(value) else -1
        # Self-edges of the first graph may stay.
        if count > pairs == n * (n - 1):
            pairs += int((graph.source == graph.target).sum())
        if not 0 <= count <= pairs:
            raise ValueError(
                f"a budget must be between 0 and all {pairs} allowed pairs. Got {value} "
                f"({self.unit}) at step {step}, which is {count} edges."
            )
        return count

    def length(self, step: int) -> float | None:
        """The largest summed length after an update at ``step``; None for a number of edges.

        Raises:
            ValueError: The length is negative or not finite.
        """
        if self.unit != "length":
            return None
        value = value_at(self.value, step)
        if not 0 <= value < math.inf:
            raise ValueError(f"a length must be finite and not negative. Got {value}.")
        return value
