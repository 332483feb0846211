"""The fewest and the most edges, and the least wire, that a rule could leave after some updates."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import checked_pairs
from graphcolumns.plasticity.candidates.mesh_parts import mesh_parts
from graphcolumns.plasticity.rules.rule import Rule


def fewest_edges(rule: Rule, graph: ColumnGraph, updates: int) -> int:
    """The least number of edges after so many updates, by degrees and pinned edges."""
    if rule.constraints.same_in_degree:
        return graph.num_edges
    pinned = ~rule.constraints.may_prune(graph)
    into = _kept_in(rule, graph, updates)
    out = torch.bincount(graph.source[pinned], minlength=graph.num_sources)
    return max(int(into.sum()), int(out.clamp(min=rule.constraints.min_out).sum()))


def most_edges(rule: Rule, graph: ColumnGraph, updates: int, geometry: Geometry | None) -> int:
    """The largest number of edges after so many updates, by allowed pairs and degrees."""
    rules = rule.constraints
    if rules.same_in_degree or not rule.grows:
        return graph.num_edges
    into, out = _possible(rule, graph, geometry)
    if rules.max_new is not None:
        into = torch.minimum(into, graph.in_degree.cpu() + updates * rules.max_new)
    limits = ((into, rules.max_in), (out, rules.max_out))
    return min(int((have if most is None else have.clamp(max=most)).sum()) for have, most in limits)


def least_wire(rule: Rule, graph: ColumnGraph, updates: int) -> float:
    """The least summed length after so many updates that grow nothing, the shortest edges kept."""
    assert graph.distance is not None
    length, target = graph.distance.detach().double().cpu(), graph.target.cpu()
    free = rule.constraints.may_prune(graph).cpu()
    order = length.argsort(stable=True)
    # Sorted by target, pinned edges first, then the shortest.
    for key in (free.long(), target):
        order = order[key[order].argsort(stable=True)]
    kept = _kept_in(rule, graph, updates)
    place = torch.arange(len(order)) - graph.rowptr.cpu()[:-1][target[order]]
    return float(length[order][place < kept[target[order]]].sum())


def _kept_in(rule: Rule, graph: ColumnGraph, updates: int) -> Tensor:
    """The least number of in-edges of every column, ``[N]``."""
    rules, now = rule.constraints, graph.in_degree.cpu()
    pinned = ~rules.may_prune(graph)
    kept = torch.bincount(graph.target[pinned], minlength=graph.num_columns).cpu()
    kept = kept.clamp(min=rules.min_in)
    if rules.max_dropped is not None:
        kept = torch.maximum(kept, now - updates * rules.max_dropped)
    return torch.minimum(kept, now)


def _possible(rule: Rule, graph: ColumnGraph, geometry: Geometry | None) -> tuple[Tensor, Tensor]:
    """Pairs of every target and of every source that are edges or may become ones."""
    n, m = graph.num_columns, graph.num_sources
    label = mesh_parts(graph, geometry)
    sizes = None if label is None else label.bincount()[label]
    into, out = (torch.full((k,), other) for k, other in ((n, m), (m, n)))
    into, out = (into, out) if sizes is None else (sizes, sizes.clone())
    if n == m and not rule.constraints.self_loops:
        own = torch.ones(n, dtype=torch.bool)
        own[graph.target[graph.target == graph.source].long().cpu()] = False
        into, out = into - own.long(), out - own.long()
    if rule.constraints.forbidden is not None:
        targets, sources = _forbidden(rule, graph, label)
        into = into - torch.bincount(targets, minlength=n)
        out = out - torch.bincount(sources, minlength=m)
    return into, out


def _forbidden(rule: Rule, graph: ColumnGraph, label: Tensor | None) -> tuple[Tensor, Tensor]:
    """Forbidden pairs, each once, that would be possible otherwise."""
    pairs = torch.as_tensor(rule.constraints.forbidden).cpu().long()
    if rule.constraints.symmetric:
        pairs = torch.cat([pairs, pairs.flip(0)], 1)
    sources, targets = pairs.unique(dim=1)
    checked_pairs(graph, targets, sources)
    counts = torch.ones(len(targets), dtype=torch.bool)
    if graph.num_columns == graph.num_sources and not rule.constraints.self_loops:
        counts &= targets != sources
    if label is not None:
        counts &= label[targets] == label[sources]
    return targets[counts], sources[counts]
