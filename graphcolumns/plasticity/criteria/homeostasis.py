r"""Homeostatic structural plasticity: every column keeps its activity near a set point.

A column has ends to listen (:math:`z^-`) and ends to be listened to (:math:`z^+`), which grow
while it is too quiet, :math:`dz = \nu (1 - Ca / \epsilon)`, and retract while it is too loud. Free
ends of two columns make an edge; an edge whose end is retracted dies.

Source: Butz & van Ooyen, PLOS Computational Biology 2013, with the linear growth curve.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphcolumns.graph.keys import pair_keys
from graphcolumns.plasticity.criteria import catalogue as scores
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.selection.selector import Selection
from graphcolumns.random.counter import gumbel


def remember(
    edges: Evidence, rate: float = 0.5, activity: float | None = None, decay: float = 0.9
) -> Mapping[str, Tensor]:
    """One update of calcium and ends, all per column.

    Args:
        edges: the evidence; columns are targets and sources alike.
        rate: ends that a silent column grows per update.
        activity: the set point (default: the mean activity at the first update).
        decay: of the moving average of the activity, per update.

    Returns:
        `calcium`, `synaptic_elements_in` and `synaptic_elements_out` `[N]`, and `set_point` `[1]`.

    Raises:
        ValueError: the graph is bipartite.
    """
    graph = edges.graph
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            "homeostasis needs columns that listen and are listened to, a graph within one sheet. "
            f"Got {graph}; choose another rule."
        )
    now = edges.activity.double().mean(1).cpu()
    past = edges.memory.get("calcium")
    calcium = now if past is None else decay * past + (1 - decay) * now
    point = edges.memory.get("set_point")
    if point is None:
        point = now.mean()[None] if activity is None else torch.tensor([activity]).double()
    change = scores.growth_curve(calcium, float(point), rate)
    start = {"synaptic_elements_in": graph.in_degree, "synaptic_elements_out": graph.out_degree}
    ends = {
        name: (edges.memory.get(name, degree.double().cpu()) + change).clamp(min=0.0)
        for name, degree in start.items()
    }
    return {"calcium": calcium, "set_point": point, **ends}


def choose(edges: Evidence, pairs: Evidence, length: float | None = None) -> Selection:
    """Retracted ends lose an edge each, by chance; free ends are paired, near ones more often.

    A column keeps its last in-edge. Every free end makes at most one edge.

    Args:
        edges: the evidence on the edges.
        pairs: candidates.
        length: scale of the exponential kernel of distance, in its unit (default: any two).
    """
    names = "synaptic_elements_in", "synaptic_elements_out"
    kept_in, kept_out = (edges.memory[name].floor().long() for name in names)
    targets, sources = edges.targets.cpu(), edges.sources.cpu()
    chance = _chance(edges, "drop")
    dies = _beyond(targets, chance, kept_in.clamp(min=1))
    dies |= _beyond(sources, chance, kept_out) & ~_best(targets, chance)
    graph = edges.graph
    free_in = kept_in - torch.bincount(targets[~dies], minlength=graph.num_columns)
    free_out = kept_out - torch.bincount(sources[~dies], minlength=graph.num_sources)
    wish = _chance(pairs, "grow")
    if length is not None:
        wish = wish + scores.distance(pairs.distance, "exponential", length).cpu().double()
    born = _paired(pairs, wish, free_in.clamp(min=0), free_out.clamp(min=0))
    return Selection(dies.nonzero()[:, 0], pairs.targets[born], pairs.sources[born], 0)


def _chance(evidence: Evidence, purpose: str) -> Tensor:
    """A Gumbel number per pair: the largest are a draw without replacement."""
    keys = pair_keys(evidence.targets, evidence.sources, evidence.graph.num_sources).cpu()
    return gumbel(evidence.seed, purpose, evidence.update, keys)


def _rank(columns: Tensor, chance: Tensor) -> Tensor:
    """The rank of every edge among those of its column, the largest number first."""
    order = torch.argsort(chance, descending=True, stable=True)
    order = order[torch.argsort(columns[order], stable=True)]
    start = torch.bincount(columns).cumsum(0) - torch.bincount(columns)
    rank = torch.empty_like(columns)
    rank[order] = torch.arange(len(columns)) - start[columns[order]]
    return rank


def _beyond(columns: Tensor, chance: Tensor, kept: Tensor) -> Tensor:
    """Whether each edge is one too many at its column."""
    return _rank(columns, chance) >= kept[columns]


def _best(columns: Tensor, chance: Tensor) -> Tensor:
    return _rank(columns, chance) == 0


def _paired(pairs: Evidence, wish: Tensor, free_in: Tensor, free_out: Tensor) -> Tensor:
    """Places of the pairs that are born, the strongest wish first, while both ends are free."""
    room_in, room_out = free_in.tolist(), free_out.tolist()
    targets, sources = pairs.targets.tolist(), pairs.sources.tolist()
    born = []
    for place in torch.argsort(wish, descending=True, stable=True).tolist():
        target, source = targets[place], sources[place]
        if room_in[target] > 0 and room_out[source] > 0:
            room_in[target] -= 1
            room_out[source] -= 1
            born.append(place)
    return torch.tensor(born, dtype=torch.int64)
