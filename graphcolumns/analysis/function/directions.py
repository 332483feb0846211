"""Feed-forward and feedback edges by an order of columns, and how the two differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.analysis.connectome.nulls.binned_lengths import length_bounds
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts

Floats = NDArray[np.float64]


class EdgeDirections(NamedTuple):
    """Which edges lead up an order of columns, ``[E]`` bool each, in the order of the graph.

    An edge with an end without a place in the order is in none of the three.

    Attributes:
        forward: Edges from a lower column to a higher one.
        feedback: Edges from a higher column to a lower one.
        lateral: Edges between columns of one place; self-edges too.
    """

    forward: Tensor
    feedback: Tensor
    lateral: Tensor


class DirectionContrast(NamedTuple):
    """A mean of feed-forward edges against one of feedback edges, with a null.

    Attributes:
        forward: Mean over feed-forward edges; NaN without one.
        feedback: Mean over feedback edges; NaN without one.
        difference: Difference ``forward - feedback``.
        null_mean: Mean difference of the null.
        null_sd: Standard deviation of the null.
        z: Difference from the null mean in standard deviations; NaN for a null without any.
        p: Share of draws, the observed one counted, at least as far from the null mean.
    """

    forward: float
    feedback: float
    difference: float
    null_mean: float
    null_sd: float
    z: float
    p: float


def edge_directions(graph: ColumnGraph, order: Tensor) -> EdgeDirections:
    """Label edges by an order of columns that was fixed before, such as their latency.

    Args:
        graph: Edges among ``N`` columns.
        order: Place of each column, ``[N]`` floating, low for early; NaN for none.

    Raises:
        ValueError: An order of other columns, or a graph of two kinds of columns.
    """
    if graph.num_columns != graph.num_sources:
        raise ValueError(f"edges must be among the same columns. Got {graph}.")
    if order.shape != (graph.num_columns,) or not order.is_floating_point():
        raise ValueError(
            f"order must be floating, one place per column, [{graph.num_columns}]. Got "
            f"{order.dtype} {list(order.shape)}."
        )
    place = order.to(graph.device)
    source, target = place[graph.source.long()], place[graph.target.long()]
    return EdgeDirections(source < target, source > target, source == target)


def weight_contrast(
    graph: ColumnGraph,
    directions: EdgeDirections,
    weights: Tensor,
    *,
    bins: int = 10,
    permutations: int = 1000,
    seed: int = 0,
) -> DirectionContrast:
    """Mean weight of feed-forward against feedback edges.

    The null shuffles weights among edges of similar length, so that a difference that lengths
    explain is none. Lateral edges and those without a label take no part.

    Args:
        graph: Graph with lengths.
        directions: Labels of its edges.
        weights: Weight of each edge, ``[E]``, such as attention or a difference after a lesion.
        bins: Number of bins with as many edges each and number of bins of one width, whose bounds
            are merged.
        permutations: Number of draws of the null.
        seed: Seed of the draws.

    Raises:
        ValueError: A graph without lengths, or weights that are not ``[E]`` and finite.
    """
    check_counts(bins=bins, permutations=permutations)
    values, up = _labelled(directions, _edge_values("weights", weights, graph))
    lengths, _ = _labelled(directions, _lengths(graph))
    generator = np.random.default_rng(seed)
    if not len(values):
        return _contrast(values, up, lambda: values, permutations)
    place = np.searchsorted(length_bounds(lengths, bins), lengths, side="right")
    # Sorted by bin and then at random, the edges of every bin exchange values.
    slots = np.argsort(place, kind="stable")

    def shuffled() -> Floats:
        drawn = np.empty_like(values)
        drawn[slots] = values[np.lexsort((generator.random(len(values)), place))]
        return drawn

    return _contrast(values, up, shuffled, permutations)


def length_contrast(
    graph: ColumnGraph,
    directions: EdgeDirections,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> DirectionContrast:
    """Mean length of feed-forward against feedback edges.

    The null shuffles the labels among the edges that have one of the two. Pairs of edges in both
    directions are of one length and add nothing to the difference.

    Args:
        graph: Graph with lengths, in the unit of its geometry.
        directions: Labels of its edges.
        permutations: Number of draws of the null.
        seed: Seed of the draws.

    Raises:
        ValueError: A graph without lengths.
    """
    check_counts(permutations=permutations)
    values, up = _labelled(directions, _lengths(graph))
    generator = np.random.default_rng(seed)
    return _contrast(values, up, lambda: generator.permutation(values), permutations)


def _contrast(
    values: Floats, up: NDArray[np.bool_], draw: Callable[[], Floats], permutations: int
) -> DirectionContrast:
    if up.all() or not up.any():
        forward, feedback = (float(v.mean()) if len(v) else math.nan for v in _split(values, up))
        return DirectionContrast(forward, feedback, *[math.nan] * 5)
    forward, feedback = (float(v.mean()) for v in _split(values, up))
    null = np.array([v[up].mean() - v[~up].mean() for v in (draw() for _ in range(permutations))])
    difference, mean, sd = forward - feedback, float(null.mean()), float(null.std())
    # Sums in another order differ by rounding.
    rounding = 1e-9 * float(np.abs(values).max())
    z = (difference - mean) / sd if sd > rounding else math.nan
    reached = int((np.abs(null - mean) >= abs(difference - mean) - rounding).sum())
    p = (1 + reached) / (1 + permutations)
    return DirectionContrast(forward, feedback, difference, mean, sd, z, p)


def _split(values: Floats, up: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    return values[up], values[~up]


def _labelled(directions: EdgeDirections, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Values of feed-forward and feedback edges, and which of them are feed-forward."""
    up, down = (part.cpu().numpy() for part in (directions.forward, directions.feedback))
    if up.shape != values.shape:
        raise ValueError(
            f"directions must be of the {len(values)} edges of the graph. Got {len(up)}."
        )
    return values[up | down], up[up | down]


def _lengths(graph: ColumnGraph) -> Floats:
    if graph.distance is None:
        raise ValueError(
            "the graph must have lengths. Got none; call graph.remeasure(geometry) first."
        )
    return _edge_values("lengths", graph.distance, graph)


def _edge_values(name: str, values: Tensor, graph: ColumnGraph) -> Floats:
    if values.shape != (graph.num_edges,) or not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"{name} must be finite, one per edge, [{graph.num_edges}]. Got {list(values.shape)}."
        )
    return values.detach().double().cpu().numpy()
