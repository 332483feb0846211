"""From a rule and measurements of the model to edges to drop and pairs to grow."""

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
    """The swaps of one update: candidates are drawn, scored, and selected.

    Args:
        rule: Rule that decides.
        probe: Measurements of the model.
        cooling_down: Sorted keys of the pairs that may not grow yet, see ``CoolDown``.
        second: Measurements on other samples, for ``accept="split"``.

    Raises:
        ValueError: Whatever ``draw_candidates`` and ``select`` refuse, or a score of another shape.
    """
    graph, edges = probe.graph, probe.edges()
    number = length = None
    if rule.budget is not None:
        number = rule.budget.edges(probe.step, graph, rule.constraints.self_loops)
        length = rule.budget.length(probe.step)
    fraction = rule.fraction_at(probe.step)
    pairs = probe.candidates(*_drawn(rule, edges, fraction, number, cooling_down))
    if rule.choose is not None:
        return rule.choose(edges, pairs)
    limits: dict[str, Any] = {"edges": number, "length": length, "overhead": rule.overhead}
    chosen = select(
        graph,
        _score(rule, "prune", edges),
        (pairs.targets, pairs.sources),
        _score(rule, "grow", pairs),
        fraction=fraction,
        eligible=rule.constraints.may_prune(graph, edges.age, rule.newborns.grace),
        regrow_score=_score(rule, "grow", edges) if rule.acceptance.regrow else None,
        margin=None if rule.acceptance.accept == "always" else rule.acceptance.margin,
        pair_length=None if length is None else pairs.distance,
        constraints=rule.constraints,
        **limits,
    )
    return chosen if second is None else _confirmed(rule, second, chosen, limits)


def _confirmed(rule: Rule, probe: Probe, chosen: Selection, limits: dict[str, Any]) -> Selection:
    """Those of ``chosen`` that gain on other samples, too: the same test among the chosen only."""
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
        pair_length=None if limits["length"] is None else pairs.distance,
        constraints=rule.constraints,
        **limits,
    )


def _drawn(
    rule: Rule, edges: Evidence, fraction: float, budget: int | None, cooling_down: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Candidates, as many per edge that may be grown as the rule wants."""
    if not rule.grows:
        return edges.targets[:0], edges.sources[:0]
    now, geometry = len(edges), edges.probe.geometry
    more = 0 if budget is None else max(0, budget - now)
    # Pairs of two parts of a mesh have no length.
    meshed = geometry is not None and geometry.metric == "geodesic"
    return draw_candidates(
        edges.graph,
        rule.scoring.sampler(edges),
        math.ceil(rule.scoring.per_grow * (fraction * now + more)),
        seed=edges.seed,
        update=edges.update,
        constraints=rule.constraints,
        cooling_down=cooling_down,
        parts=mesh_parts(edges.graph, geometry) if meshed else None,
    )


def _score(rule: Rule, name: str, evidence: Evidence) -> Tensor:
    """The score of a rule as ``select`` takes it: drawn with a temperature if it has one."""
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
    if rule.scoring.temperature is None:
        return values
    temperature = rule.scoring.temperature_at(evidence.step)
    assert temperature is not None
    # Weight 0 is drawn last; it stays a number, because ``-inf`` never grows at all.
    weight = values.double().clamp(min=torch.finfo(torch.float64).tiny).log() * temperature
    ends = evidence.targets, evidence.sources
    purpose = {"prune": "drop", "grow": "grow"}[name]
    return gumbel_scores(weight, evidence.graph, ends, evidence.seed, evidence.update, purpose)
