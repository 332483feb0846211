"""From a rule and a look at the model to the edges that die and the pairs that are born."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from graphcolumns.plasticity.candidates.draw import draw_candidates
from graphcolumns.plasticity.candidates.mesh_parts import mesh_parts
from graphcolumns.plasticity.probe.evidence import Evidence, Probe
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.selection.select import gumbel_scores, select
from graphcolumns.plasticity.selection.selector import Selection


def propose_swaps(
    rule: Rule,
    probe: Probe,
    cooling_down: Tensor | None = None,
    second: Probe | None = None,
) -> Selection:
    """The swaps of one update.

    Args:
        rule: what decides.
        probe: the look at the model.
        cooling_down: sorted keys of the pairs that may not grow yet, see `CoolDown`.
        second: for `accept="split"`, a look on other samples.

    Raises:
        ValueError: what `candidates` and `select` refuse, or a score of another shape.
    """
    edges = probe.edges()
    budget = _budget(rule, probe)
    pairs = probe.candidates(*_drawn(rule, edges, budget, cooling_down))
    if rule.choose is not None:
        return rule.choose(edges, pairs)
    limits = {**budget, "constraints": rule.constraints, "overhead": rule.overhead}
    worth = _score(rule, "prune", edges)
    options: dict[str, Any] = {
        **limits,
        "eligible": rule.constraints.may_prune(probe.graph, edges.age, rule.newborns.grace),
        "regrow_score": _score(rule, "grow", edges) if rule.acceptance.regrow else None,
        "margin": None if rule.acceptance.accept == "always" else rule.acceptance.margin,
        "pair_length": pairs.distance if budget["length"] is not None else None,
        "fraction": rule.fraction_at(probe.step),
    }
    ends = pairs.targets, pairs.sources
    chosen = select(probe.graph, worth, ends, _score(rule, "grow", pairs), **options)
    return chosen if second is None else _confirmed(rule, second, chosen, limits)


def _confirmed(rule: Rule, probe: Probe, chosen: Selection, limits: dict[str, Any]) -> Selection:
    """What of `chosen` still gains on other samples: the same choice, among the chosen only."""
    edges, pairs = probe.edges(), probe.candidates(chosen.targets, chosen.sources)
    offered = torch.zeros(len(edges), dtype=torch.bool)
    offered[chosen.drop] = True
    return select(
        probe.graph,
        _score(rule, "prune", edges),
        (pairs.targets, pairs.sources),
        _score(rule, "grow", pairs),
        fraction=1.0,
        eligible=offered,
        margin=rule.acceptance.margin,
        pair_length=pairs.distance if limits["length"] is not None else None,
        **limits,
    )


def _budget(rule: Rule, probe: Probe) -> dict[str, Any]:
    if rule.budget is None:
        return {"edges": None, "length": None}
    step, graph = probe.step, probe.graph
    edges = rule.budget.edges(step, graph, rule.constraints.self_loops)
    return {"edges": edges, "length": rule.budget.length(step)}


def _drawn(
    rule: Rule, edges: Evidence, budget: dict[str, Any], cooling_down: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As many candidates per edge that may be born as the rule wants."""
    if not rule.grows:
        return edges.targets[:0], edges.sources[:0]
    now = len(edges)
    swaps = rule.fraction_at(edges.step) * now
    more = 0 if budget["edges"] is None else max(0, budget["edges"] - now)
    return draw_candidates(
        edges.graph,
        rule.scoring.sampler(edges),
        math.ceil(rule.scoring.per_grow * (swaps + more)),
        seed=edges.seed,
        update=edges.update,
        constraints=rule.constraints,
        cooling_down=cooling_down,
        parts=mesh_parts(edges.graph, edges.probe.geometry),
    )


def _score(rule: Rule, name: str, evidence: Evidence) -> Tensor:
    """The score of a rule as `select` takes it: drawn with a temperature if it has one."""
    score = getattr(rule.scoring, name)
    if score is None or not len(evidence):
        return torch.zeros(len(evidence), dtype=torch.float64)
    values: Tensor = score(evidence)
    if not torch.is_tensor(values):
        raise TypeError(
            f"the {name} score of a rule must be a tensor. Got {type(values).__name__}."
        )
    if values.shape != (len(evidence),):
        raise ValueError(
            f"the {name} score of a rule must give one number per pair, [{len(evidence)}]. Got "
            f"{list(values.shape)}."
        )
    if bool(values.isnan().any()):
        where = int(values.isnan().nonzero()[0, 0])
        raise ValueError(
            f"the {name} score of a rule must be a number for every pair. Got NaN for (source "
            f"{int(evidence.sources[where])}, target {int(evidence.targets[where])})."
        )
    temperature = rule.scoring.temperature_at(evidence.step)
    if temperature is None:
        return values
    # Weight 0 is drawn last; it stays a number, because `-inf` never grows at all.
    weight = values.double().clamp(min=torch.finfo(torch.float64).tiny).log() * temperature
    ends = evidence.targets, evidence.sources
    purpose = {"prune": "drop", "grow": "grow"}[name]
    return gumbel_scores(weight, evidence.graph, ends, evidence.seed, evidence.update, purpose)
