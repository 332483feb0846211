"""Losses besides that of the task, each a pure function of tensors that returns a scalar."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import edge_linear


def wiring(cost: Tensor) -> Tensor:
    r"""Expected wiring cost: the mean of :math:`\sum_j p_{ij} c_{ij}` over everything.

    With :math:`c = d^p / D_0` uniform attention on the initial graph costs 1; with the Gaussian
    surprise of ``graphcolumns.nn.wiring.gaussian_cost`` this is a cross-entropy in nats.

    Args:
        cost: Expected cost of attention, ``[T, N, B, H]`` (any shape).

    Source: Columnformer and TopoMoE (Lane, 2023-24).
    """
    return cost.float().mean()


def total_variation(coefficients: Tensor, graph: ColumnGraph) -> Tensor:
    r"""How much mixture maps change along edges: :math:`\frac{1}{E} \sum_{ij} |c_i - c_j|_1`.

    Self-edges are not counted; without other edges the result is 0.

    Args:
        coefficients: Share of each of ``R`` weight sets in each column, ``[N, R]``.
        graph: Edges among these columns.

    Raises:
        ValueError: The sources of the graph are not its columns.

    Source: the total variation of Columnformer's mixture-of-experts maps (Lane, 2024).
    """
    target, source = _other_edges(graph)
    if not len(target):
        return coefficients.sum() * 0
    difference = coefficients[target] - coefficients[source]
    return difference.abs().sum(1).mean()


def activity_sparsity(state: Tensor) -> Tensor:
    r"""Mean activity: :math:`\operatorname{mean} |x|`.

    Args:
        state: State of the columns, ``[N, B, C]`` (any shape).
    """
    return state.float().abs().mean()


def feature_smoothness(state: Tensor, graph: ColumnGraph) -> Tensor:
    r"""Disagreement along edges: :math:`\operatorname{mean}_{ij, b} (1 - \cos(x_{ib}, x_{jb}))`.

    Self-edges are not counted; without other edges the result is 0. A column that is exactly 0
    has cosine 0 with everything. Computed as ``<y_i, sum_j y_j>`` of the unit vectors y.

    Args:
        state: State of the columns, ``[N, B, C]``.
        graph: Edges among these columns.

    Raises:
        ValueError: The sources of the graph are not its columns.

    Source: the feature-agreement penalty proposed for Columnformer (Lane, 2023).
    """
    target, _ = _other_edges(graph)
    if not len(target):
        return state.sum() * 0
    unit = functional.normalize(state.float(), dim=-1)
    counted = (graph.target != graph.source).to(unit)
    agreement = (unit * edge_linear(unit, counted, graph)).sum()
    return 1 - agreement / (len(target) * state.shape[1])


def weight_difference(kernels: Tensor, graph: ColumnGraph) -> Tensor:
    r"""Difference of weights along edges: :math:`\operatorname{mean}_{ij} (1 - \cos(w_i, w_j))`.

    The activity of columns does not enter, see ``feature_smoothness`` for that. Any graph will do,
    so that no sheet has to be divided. Self-edges are not counted; without other edges the result
    is 0. A kernel of zeros has cosine 0 with everything, and no gradient.

    Args:
        kernels: Weights of every column, ``[N, P]``.
        graph: Edges among these columns.

    Raises:
        ValueError: The sources of the graph are not its columns.

    Source: Lu et al., End-to-end topographic networks as models of cortical map formation and human
    visual behaviour, Nature Human Behaviour 9 (2025),
    https://doi.org/10.1038/s41562-025-02220-7.
    """
    # The direction of 0 has no derivative, and that of a tiny norm would be 1e12.
    some = (kernels.detach() != 0).any(1, keepdim=True)
    return feature_smoothness(torch.where(some, kernels, kernels.detach())[:, None], graph)


def _other_edges(graph: ColumnGraph) -> tuple[Tensor, Tensor]:
    """Target and source of every edge between two different columns, int64."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            "a loss along edges compares columns with columns: the graph must have as many "
            f"sources as columns. Got {graph}."
        )
    kept = torch.nonzero(graph.target != graph.source).squeeze(1)
    return graph.target[kept].long(), graph.source[kept].long()
