"""Per-edge costs: what it costs a column to attend along each of its in-edges."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


def distance_cost(
    graph: ColumnGraph, power: float = 1.0, norm: float | None = None
) -> tuple[Tensor, float]:
    r"""Length as a cost, in units of the mean length of the initial graph.

    .. math::
        c_e = d_e^p / D_0, \qquad
        D_0 = \operatorname{mean}_i \operatorname{mean}_{j \in \mathcal{N}(i)} d_{ij}^p

    The outer mean is over columns with in-edges. Uniform attention on the graph that gave
    :math:`D_0` costs exactly 1 on average; with ``norm`` kept, later topologies stay comparable.
    Differentiable in the distances.

    Args:
        graph: Measured edges.
        power: ``p > 0``.
        norm: ``D_0`` of an earlier graph (default: that of this one). Same unit as ``d^p``.

    Returns:
        ``(cost [E], D_0)``. A graph of self-edges only has no wire: cost 0, ``D_0`` = 1.

    Raises:
        ValueError: Distances were never measured, ``power <= 0``, or ``norm <= 0``.

    Source: the wiring cost of Columnformer (Lane, 2023), with a frozen normaliser.
    """
    if power <= 0 or (norm is not None and norm <= 0):
        raise ValueError(f"need power > 0 and norm > 0. Got power={power} and norm={norm}.")
    lengths = _lengths(graph) ** power
    if norm is None:
        norm = _mean_over_columns(lengths.detach(), graph) or 1.0
    return lengths / norm, norm


def gaussian_cost(graph: ColumnGraph, sigma: float) -> Tensor:
    r"""Surprise of an edge under a Gaussian receptive field; its mean is a cross-entropy.

    .. math::
        c_{ij} = -\log \operatorname{softmax}_{j \in \mathcal{N}(i)}(-d_{ij}^2 / 2 \sigma^2)

    Differentiable in the distances.

    Args:
        graph: Measured edges.
        sigma: Radius of the Gaussian, in the unit of the distances.

    Returns:
        ``[E]``, in nats.

    Raises:
        ValueError: Distances were never measured, or ``sigma <= 0``.

    Source: the wiring loss of TopoMoE (Lane, 2024).
    """
    if sigma <= 0:
        raise ValueError(f"need sigma > 0. Got {sigma}.")
    logits = -(_lengths(graph) ** 2) / (2 * sigma**2)
    target = graph.target.long()
    top = logits.detach().new_full((graph.num_columns,), -torch.inf)
    top = top.scatter_reduce(0, target, logits.detach(), "amax")
    shifted = (logits - top[target]).exp()
    total = shifted.new_zeros(graph.num_columns).index_add(0, target, shifted)
    return top[target] + total.log()[target] - logits


def _lengths(graph: ColumnGraph) -> Tensor:
    if graph.distance is None:
        raise ValueError(
            "a wiring cost needs the length of every edge, and this graph was never measured; "
            "call graph.remeasure(geometry)."
        )
    return graph.distance


def _mean_over_columns(values: Tensor, graph: ColumnGraph) -> float:
    """The mean over columns with in-edges of the mean over their in-edges, in float64."""
    sums = values.new_zeros(graph.num_columns, dtype=torch.float64)
    sums = sums.index_add(0, graph.target.long(), values.double())
    connected = graph.in_degree > 0
    means = sums[connected] / graph.in_degree[connected]
    return float(means.mean()) if len(means) else 0.0
