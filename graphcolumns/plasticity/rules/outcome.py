"""The budget of a rule that a run did not reach, in the words of a summary."""

from __future__ import annotations

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.selection.selector import Selection


def shortfall(rule: Rule, missing: int, chosen: Selection, candidates: int) -> str | None:
    """The reason why an update left fewer or more edges than its budget; None if it did not.

    Args:
        rule: Rule of the update.
        missing: Number of edges below the budget; negative: above it.
        chosen: Selected swaps, before any trial.
        candidates: Number of candidates that were scored.
    """
    if not missing:
        return None
    if missing < 0:
        return "constraints, pinned edges or grace protected the others"
    if not rule.grows:
        return "this rule grows nothing"
    births = len(chosen.targets)
    wanted = births + missing
    if candidates < wanted:
        return (
            f"only {candidates} candidates were found for {wanted} edges to grow (sampler, "
            "forbidden pairs, pairs that are cooling down or have no path)"
        )
    return (
        f"{births} of {candidates} candidates were selected; the others had no predicted gain, or "
        "would have violated a constraint"
    )


def outcome(
    rule: Rule, graph: ColumnGraph, steps: int, first: int, why: str | None
) -> dict[str, float | str | None]:
    """Entries of ``summary.json`` about the budget of a rule at the end of a run.

    Args:
        rule: Rule of the run.
        graph: Last edges.
        steps: Optimizer steps of the run.
        first: Number of the first edges, the goal of a rule without a budget.
        why: Result of ``shortfall`` for the last update.

    Returns:
        ``edges_missing`` (0 if the budget was reached, negative if there are more edges) and
        ``not_reached``, a sentence or None. For a budget of wire ``not_reached`` alone; for rules
        with a custom ``choose`` nothing.
    """
    if rule.choose is not None:
        return {}
    if rule.budget is not None and rule.budget.unit == "length":
        return {"not_reached": _wire(rule, graph, steps)}
    goal, name = first, "as at the start"
    if rule.budget is not None:
        wanted = rule.budget.edges(steps, graph, rule.constraints.self_loops)
        assert wanted is not None
        goal, name = wanted, "the budget at the end of the run"
    missing = goal - graph.num_edges
    if not missing:
        return {"edges_missing": 0, "not_reached": None}
    last = max((step for step in range(1, steps + 1) if rule.is_due(step)), default=0)
    reason = why or f"the budget changed after the last update, at step {last}"
    much = f"{missing} too few" if missing > 0 else f"{-missing} too many"
    return {
        "edges_missing": missing,
        "not_reached": f"{goal} edges, {name}: there are {graph.num_edges}, {much}; {reason}",
    }


def _wire(rule: Rule, graph: ColumnGraph, steps: int) -> str | None:
    """A sentence if there is more wire than the budget allows, beyond rounding; or None."""
    assert rule.budget is not None
    assert graph.distance is not None
    limit, wire = rule.budget.length(steps), float(graph.distance.detach().double().sum())
    assert limit is not None
    if wire <= limit * (1 + 1e-6):
        return None
    return (
        f"at most {limit:g} of wire at the end of the run: there is {wire:g}; positions or the "
        "budget changed after the last update"
    )
