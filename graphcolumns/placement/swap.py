"""Columns that exchange places: the same edges on less wire."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import place_in_row
from graphcolumns.nn.per_edge import give_graph, parts_on
from graphcolumns.nn.protocols import graph_of


@torch.no_grad()
def swap_change(
    graph: ColumnGraph,
    geometry: Geometry,
    first: Tensor,
    second: Tensor,
    *,
    weight: Tensor | None = None,
    power: float = 1.0,
) -> Tensor:
    r"""How much the cost of wire changes if two columns exchange their places, per pair.

    .. math::
        \Delta = \sum_{e \ni a, b} w_e \left( d'^p_e - d_e^p \right)

    over the in- and out-edges of the two alone: ``O(degree)`` per pair, for many pairs at once.
    (Metric ``"geodesic"`` needs a shortest path per pair of ends on top.) Each pair is taken by
    itself, as if no other were swapped.

    Args:
        graph: ``N`` columns and their edges; its lengths are not used.
        geometry: Current positions of the columns.
        first: Ids of the columns ``a``, ``[P]``.
        second: Ids of the columns ``b``, ``[P]``.
        weight: Weights ``w`` of the edges, ``[E]`` (default: 1), for instance the mean attention of
            each edge.
        power: Exponent ``p`` of the distance, above 0.

    Returns:
        ``[P]`` float64 on the CPU, in the unit of the geometry to the power ``p``; negative where
        wire is saved. Exactly 0 for a column and itself; infinite where an edge would have no path.

    Raises:
        ValueError: A bipartite graph, another number of columns or weights, ids out of range, a
            power that is not above 0.

    Source: Chklovskii, Exact solution for the optimal neuronal layout problem, Neural Computation
    16 (2004), for the cost; Liu, Gan & Tegmark, Seeing is believing, Entropy 26 (2024), for swaps.
    """
    graph, geometry, wire = _on_cpu(graph, geometry, weight, power)
    first, second = checked_columns(graph, first), checked_columns(graph, second)
    pairs = torch.arange(len(first))
    ends = [_incident(graph, column) for column in (first, second)]
    pair, edge = (torch.cat(parts) for parts in zip(*ends, strict=True))
    target, source = graph.target.long()[edge], graph.source.long()[edge]

    def moved(column: Tensor) -> Tensor:
        a, b = first[pair], second[pair]
        return torch.where(column == a, b, torch.where(column == b, a, column))

    # An edge between the two is met twice, and a self-edge too: their lengths do not change.
    before = geometry.distance(target, source) ** power
    after = geometry.distance(moved(target), moved(source)) ** power
    # A place that no path leads to is not to be had, whatever the weight of the wire.
    change = ((after - before) * wire[edge]).masked_fill(after.isinf(), torch.inf)
    return torch.zeros(len(pairs), dtype=torch.float64).index_add(0, pair, change)


@torch.no_grad()
def wire_cost(
    graph: ColumnGraph, geometry: Geometry, *, weight: Tensor | None = None, power: float = 1.0
) -> float:
    r"""The cost of all wire, :math:`\sum_e w_e d_e^p`, in float64.

    Args:
        graph: ``N`` columns and their edges; its lengths are not used.
        geometry: Positions of the columns.
        weight: Weights ``w`` of the edges, ``[E]`` (default: 1).
        power: Exponent ``p`` of the distance, above 0.

    Raises:
        ValueError: See ``swap_change``.
    """
    graph, geometry, wire = _on_cpu(graph, geometry, weight, power)
    return float((geometry.distance(graph.target, graph.source) ** power * wire).sum())


def with_swapped_columns(geometry: Geometry, first: Tensor, second: Tensor) -> Geometry:
    """The geometry after columns exchanged their places; the same swaps again undo it.

    Whatever belongs to a place goes with the place: areas, attributes, corners of faces, anchors.

    Args:
        geometry: ``N`` columns.
        first: Ids, ``[P]``.
        second: Ids they exchange places with, ``[P]``; no column twice.

    Raises:
        ValueError: A column in more than one pair.
    """
    both = torch.cat([first, second])
    if len(both.unique()) != len(both):
        raise ValueError("a column can exchange places once. Got one in several pairs.")
    slot = torch.arange(geometry.num_columns, device=geometry.positions.device)
    slot[both.to(slot)] = torch.cat([second, first]).to(slot)
    return geometry.permute(slot)


def move_columns(model: nn.Module, geometry: Geometry) -> None:
    """Let a model know that its columns are elsewhere: the lengths of its edges change.

    Nothing else does. Parameters, optimizer state and what a column sees belong to the column, not
    to the place, and ids of columns stay.

    Args:
        model: A model of one sheet, with a method ``rewired``; changed in place.
        geometry: Current positions of its columns, column by column.

    Raises:
        ValueError: Another number of columns, or a model that learns its positions.
        TypeError: ``model.graph`` is not a ColumnGraph.
    """
    if getattr(model, "positions", None) is not None:
        raise ValueError("a model that learns positions moves its columns itself.")
    graph = graph_of(model)
    measured = graph.remeasure(geometry.to(graph.device))
    for _, part in list(parts_on(model, graph)):
        if hasattr(part, "rewired"):
            give_graph(part, graph, measured)


def checked_columns(graph: ColumnGraph, ids: Tensor) -> Tensor:
    """Ids of columns on the CPU, checked."""
    ids = ids.cpu().long().reshape(-1)
    bad = ids[(ids < 0) | (ids >= graph.num_columns)]
    if len(bad):
        raise ValueError(f"columns must be ids in [0, {graph.num_columns}). Got {int(bad[0])}.")
    return ids


def _on_cpu(
    graph: ColumnGraph, geometry: Geometry, weight: Tensor | None, power: float
) -> tuple[ColumnGraph, Geometry, Tensor]:
    """What costs are computed from, checked, in float64."""
    if graph.num_sources != graph.num_columns:
        raise ValueError(f"only columns of one sheet can exchange places. Got {graph}.")
    geometry.require_columns(graph.num_columns)
    if not power > 0:
        raise ValueError(f"power must be above 0. Got {power}.")
    wire = torch.ones(graph.num_edges) if weight is None else weight.detach().cpu()
    if wire.shape != (graph.num_edges,):
        raise ValueError(
            f"weight must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(wire.shape)}."
        )
    geometry = geometry.to("cpu")
    exact = replace(geometry, positions=geometry.positions.detach().double())
    return graph.to("cpu"), exact, wire.double()


def _incident(graph: ColumnGraph, column: Tensor) -> tuple[Tensor, Tensor]:
    """Place in ``column`` and edge id, for every in-edge and every out-edge of every entry."""
    inward = _rows(graph.rowptr, column)
    outward = _rows(graph.by_source.colptr, column)
    edges = torch.cat([inward[1], graph.by_source.permutation[outward[1]]])
    return torch.cat([inward[0], outward[0]]), edges


def _rows(pointers: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Place in ``ids`` and position in the row of that id, for every entry of these rows."""
    counts = pointers.diff()[ids]
    place = torch.repeat_interleave(counts)
    return place, pointers[ids][place] + place_in_row(counts)
