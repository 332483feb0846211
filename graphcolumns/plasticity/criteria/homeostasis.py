r"""Homeostasis: every column keeps its activity near a set point by growing and retracting ends.

A column has synaptic elements for in-edges (:math:`z^-`) and for out-edges (:math:`z^+`). They grow
while its activity is below the set point and retract while it is above, see :func:`growth_curve`.
Free elements of two columns make an edge; an edge that loses an element is dropped.

Source: Butz & van Ooyen 2013 (https://doi.org/10.1371/journal.pcbi.1003259).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from graphcolumns.graph.edges import place_in_row
from graphcolumns.graph.keys import pair_keys
from graphcolumns.plasticity.criteria.controls import distance_kernel
from graphcolumns.plasticity.criteria.kind import require_same_columns
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.selection.selector import Selection
from graphcolumns.random.counter import gumbel

Curve = Literal["linear", "gaussian", "sigmoid"]


def growth_curve(
    calcium: Tensor,
    target: float,
    rate: float = 1.0,
    curve: Curve = "linear",
    minimum: float = 0.0,
    width: float = 0.1,
) -> Tensor:
    r"""How many synaptic elements a column grows or retracts, :math:`dz_i`.

    With the activity :math:`Ca`, the set point :math:`\epsilon` and the rate :math:`\nu`:

    - ``linear``: :math:`\nu (1 - Ca / \epsilon)`;
    - ``gaussian``: :math:`\nu (2 e^{-((Ca - \xi) / \zeta)^2} - 1)`, zero at the minimum
      :math:`\eta` and at :math:`\epsilon`: :math:`\xi = (\eta + \epsilon) / 2`,
      :math:`\zeta = (\epsilon - \eta) / (2 \sqrt{\ln 2})`;
    - ``sigmoid``: :math:`\nu (2 / (1 + e^{(Ca - \epsilon) / \psi}) - 1)`.

    Args:
        calcium: Moving average of the activity, ``[N]``.
        target: Set point :math:`\epsilon`.
        rate: Elements :math:`\nu` that a silent column grows per update (``linear``).
        curve: Name of the curve.
        minimum: Activity :math:`\eta` below which a column retracts (``gaussian``).
        width: Scale :math:`\psi` of the activity (``sigmoid``).

    Returns:
        ``[N]``, to be added to the number of elements of every column.

    Raises:
        ValueError: Another curve.

    Source: Butz & van Ooyen 2013 (https://doi.org/10.1371/journal.pcbi.1003259); Diaz-Pier et al.
    2016 (https://doi.org/10.3389/fnana.2016.00057).
    """
    if curve not in get_args(Curve):
        raise ValueError(f"curve must be one of {', '.join(get_args(Curve))}. Got {curve!r}.")
    if curve == "linear":
        return rate * (1.0 - calcium / target)
    if curve == "sigmoid":
        return rate * (2.0 * torch.sigmoid((target - calcium) / width) - 1.0)
    middle, spread = (minimum + target) / 2, (target - minimum) / (2 * math.sqrt(math.log(2)))
    return rate * (2.0 * torch.exp(-(((calcium - middle) / spread) ** 2)) - 1.0)


def update_memory(
    edges: Evidence,
    rate: float = 0.5,
    activity: float | None = None,
    decay: float = 0.9,
    curve: Curve = "linear",
) -> Mapping[str, Tensor]:
    """One update of the calcium and the synaptic elements of every column.

    Args:
        edges: Evidence on the edges; columns are targets and sources alike.
        rate: Elements that a silent column grows per update.
        activity: Set point (default: the mean activity at the first update).
        decay: Decay of the moving average of the activity, per update.
        curve: Name of the growth curve.

    Returns:
        ``calcium``, ``synaptic_elements_in`` and ``synaptic_elements_out``, each ``[N]``, and
        ``set_point`` ``[1]``.

    Raises:
        ValueError: The graph is bipartite, or another curve.
    """
    graph = edges.graph
    require_same_columns(graph, "homeostasis")
    now = edges.activity.double().mean(1).cpu()
    past = edges.memory.get("calcium")
    calcium = now if past is None else decay * past + (1 - decay) * now
    point = edges.memory.get("set_point")
    if point is None:
        point = now.mean()[None] if activity is None else torch.tensor([activity]).double()
    change = growth_curve(calcium, float(point), rate, curve)
    start = {"synaptic_elements_in": graph.in_degree, "synaptic_elements_out": graph.out_degree}
    elements = {
        name: (edges.memory.get(name, degree.double().cpu()) + change).clamp(min=0.0)
        for name, degree in start.items()
    }
    return {"calcium": calcium, "set_point": point, **elements}


def choose(edges: Evidence, pairs: Evidence, length: float | None = None) -> Selection:
    """Retracted elements lose an edge each, by chance; free ones are paired, near ones more often.

    A column keeps its last in-edge. Every free element makes at most one edge.

    Args:
        edges: Evidence on the edges.
        pairs: Evidence on the candidates.
        length: Scale of the exponential kernel of distance, in its unit (default: any two).
    """
    names = "synaptic_elements_in", "synaptic_elements_out"
    kept_in, kept_out = (edges.memory[name].floor().long() for name in names)
    targets, sources = edges.targets.cpu(), edges.sources.cpu()
    noise = _noise(edges, "drop")
    dropped = _beyond(targets, noise, kept_in.clamp(min=1))
    dropped |= _beyond(sources, noise, kept_out) & ~_best(targets, noise)
    graph = edges.graph
    free_in = kept_in - torch.bincount(targets[~dropped], minlength=graph.num_columns)
    free_out = kept_out - torch.bincount(sources[~dropped], minlength=graph.num_sources)
    preference = _noise(pairs, "grow")
    if length is not None:
        kernel = distance_kernel(pairs, "exponential", length)
        preference = preference + kernel.cpu().double()
    grown = _paired(pairs, preference, free_in.clamp(min=0), free_out.clamp(min=0))
    return Selection(dropped.nonzero()[:, 0], pairs.targets[grown], pairs.sources[grown], 0)


def _noise(evidence: Evidence, purpose: str) -> Tensor:
    """A Gumbel number per pair: the largest are a draw without replacement."""
    keys = pair_keys(evidence.targets, evidence.sources, evidence.graph.num_sources).cpu()
    return gumbel(evidence.seed, purpose, evidence.update, keys)


def _rank(columns: Tensor, noise: Tensor) -> Tensor:
    """The rank of every edge among those of its column, the largest number first."""
    order = torch.argsort(noise, descending=True, stable=True)
    order = order[torch.argsort(columns[order], stable=True)]
    rank = torch.empty_like(columns)
    rank[order] = place_in_row(torch.bincount(columns))
    return rank


def _beyond(columns: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """Whether each edge is one too many at its column."""
    return _rank(columns, noise) >= kept[columns]


def _best(columns: Tensor, noise: Tensor) -> Tensor:
    return _rank(columns, noise) == 0


def _paired(pairs: Evidence, preference: Tensor, free_in: Tensor, free_out: Tensor) -> Tensor:
    """Indices of the pairs that grow, the highest preference first, while both ends are free."""
    left_in, left_out = free_in.tolist(), free_out.tolist()
    targets, sources = pairs.targets.tolist(), pairs.sources.tolist()
    grown = []
    for index in torch.argsort(preference, descending=True, stable=True).tolist():
        target, source = targets[index], sources[index]
        if left_in[target] > 0 and left_out[source] > 0:
            left_in[target] -= 1
            left_out[source] -= 1
            grown.append(index)
    return torch.tensor(grown, dtype=torch.int64)
