"""Whether a rule can reach its budget within a run, checked before the run begins."""

from __future__ import annotations

import math

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.limits import fewest_edges, least_wire, most_edges
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.schedules import At, Every

# Relative difference within which a budget of wire counts as reached.
NEARLY = 1e-3


def require_arrival(
    rule: Rule, graph: ColumnGraph, steps: int, geometry: Geometry | None = None
) -> None:
    """Raise unless a rule can reach its budget within a run, whatever it selects.

    A run without any update is refused, except for a rule with ``is_due=At(())``. So is a schedule
    of a budget that goes on after the last update, and a budget at the last update that no edge set
    could keep.

    Args:
        rule: Rule of the run.
        graph: First edges.
        steps: Optimizer steps of the run.
        geometry: Positions of the columns, if they are known.

    Raises:
        ValueError: The budget cannot be reached; the message has the numbers and what to change.
    """
    due = [step for step in range(1, steps + 1) if rule.is_due(step)]
    if not due:
        if rule.is_due != At(()) or rule.budget is not None:
            raise ValueError(_no_update(rule, steps))
        return
    for step in due:
        rule.check_budget(step, graph)
    if rule.budget is None:
        return
    _check_schedule(rule.budget, rule, graph, due, steps)
    if rule.budget.unit == "length":
        _check_wire(rule, graph, due)
    else:
        _check_edges(rule, graph, due, geometry)


def _no_update(rule: Rule, steps: int) -> str:
    when, last = rule.is_due, steps
    remedy = "let it be due within the run, or train longer"
    if isinstance(when, Every):
        last = steps if when.stop is None else min(steps, when.stop - 1)
        remedy = "train longer"
        if last > 0:
            remedy = f"lower every and start to at most {last} steps, or train longer"
        if when.stop is not None and when.stop - 1 < steps:
            remedy += ", or let updates stop later"
    return (
        f"a rule needs an update within the run of {steps} steps. Got {when}, which is due at none "
        f"of them: nothing would change; {remedy}. A graph that never changes needs no rule "
        "(plasticity=static, or null)."
    )


def _check_schedule(
    budget: Budget, rule: Rule, graph: ColumnGraph, due: list[int], steps: int
) -> None:
    """Raise unless the schedule of the budget has ended at the last update."""
    end = getattr(budget.value, "stop", None)
    if end is None or end <= due[-1]:
        return
    loops = rule.constraints.self_loops
    final, now = (
        budget.length(step) if budget.unit == "length" else budget.edges(step, graph, loops)
        for step in (end, due[-1])
    )
    assert final is not None
    assert now is not None
    near = NEARLY if budget.unit == "length" else 0.0
    if not math.isclose(final, now, rel_tol=near):
        what = "of wire" if budget.unit == "length" else "edges"
        count = "1 update" if len(due) == 1 else f"{len(due)} updates"
        raise ValueError(
            f"a budget must reach its end within the run. It goes to {final:g} {what} at step "
            f"{end}. Got {count} in {steps} steps, the last at step {due[-1]}, where it is "
            f"{now:g}; train longer, update more often (lower every), or let the schedule end at "
            "the last update."
        )


def _check_edges(rule: Rule, graph: ColumnGraph, due: list[int], geometry: Geometry | None) -> None:
    """Raise unless the number of edges at the last update can be reached in so many updates."""
    assert rule.budget is not None
    goal = rule.budget.edges(due[-1], graph, rule.constraints.self_loops)
    least = fewest_edges(rule, graph, len(due))
    most = most_edges(rule, graph, len(due), geometry)
    assert goal is not None
    if least <= goal <= most:
        return
    if goal > most and not rule.grows:
        why = "this rule grows nothing (grow=None); lower the budget, or start from more edges"
    elif rule.constraints.same_in_degree:
        why = "same_in_degree keeps every in-degree; leave the budget out"
    elif goal > most:
        why = (
            "degrees (max_in, max_out), max_new per update, forbidden pairs, self-edges and pairs "
            "without a path allow no more; lower the budget, update more often, or loosen them"
        )
    else:
        why = (
            "degrees (min_in, min_out), pinned edges and max_dropped per update allow no fewer; "
            "raise the budget, update more often, or loosen them"
        )
    raise ValueError(
        f"a budget must be within reach. It is {goal} edges at the last of {len(due)} updates. Got "
        f"a graph of {graph.num_edges} edges, of which the rule can make {least} to {most}: {why}."
    )


def _check_wire(rule: Rule, graph: ColumnGraph, due: list[int]) -> None:
    """Raise unless every budget of wire holds the edges that must be kept."""
    assert rule.budget is not None
    if graph.distance is None:
        raise ValueError(
            "a budget of length needs a graph with distances. Got none; call "
            "graph.remeasure(geometry)."
        )
    slow = rule.constraints.max_dropped or 0
    most = int(graph.in_degree.max()) if graph.num_columns else 0
    # After so many updates no column has edges left that max_dropped still protects.
    drained = max(1, math.ceil(most / slow)) if slow else 1
    for number, step in enumerate(due, 1):
        length = rule.budget.length(step)
        assert length is not None
        if number <= drained:
            least = least_wire(rule, graph, number)
        if length < least:
            raise ValueError(
                f"a budget of wire must be within reach. It is {length:g} at update {number}, step "
                f"{step}. Got edges of at least {least:g} that must be kept: pinned ones, the "
                "shortest that min_in demands, and those that max_dropped protects so far. Raise "
                "the budget, or start from a shorter graph."
            )
