"""The energy of attention along edges, and its gradient as two attentions."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import column_attention


def edge_energy(
    q: Tensor, k: Tensor, graph: ColumnGraph, beta: float, bias: Tensor | None = None
) -> Tensor:
    r"""Energy of attention along the in-edges of every column.

    .. math::
        E_{ih} = -\frac1\beta \log \sum_{j \in \mathcal{N}(i)} e^{\beta q_{ih}^\top k_{jh} + b_{ij}}

    A column without in-edges has energy 0.

    Args:
        q: Queries, ``[N, B, H, D]``.
        k: Keys, ``[N, B, H, D]``.
        graph: Edges.
        beta: Inverse temperature.
        bias: Bias of edges, ``[E]`` or ``[E, H]``.

    Returns:
        ``[N, B, H]``.
    """
    lse = column_attention(q, k, k, graph, bias=bias, scale=beta).lse
    return -_without_infinity(lse) / beta


def edge_forces(
    q: Tensor,
    k: Tensor,
    graph: ColumnGraph,
    reverse: ColumnGraph,
    beta: float,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The negative gradient of the sum of :func:`edge_energy`.

    .. math::
        -\frac{\partial E}{\partial q_i} = \sum_{j \in \mathcal{N}(i)} p_{ij} k_j, \qquad
        -\frac{\partial E}{\partial k_j} = \sum_{i: j \in \mathcal{N}(i)} p_{ij} q_i

    The first is attention. The second sums over out-edges with weights that are normalised over
    in-edges: attention on the reversed graph with the scores :math:`\log p_{ij}`, times the sum of
    its weights.

    Args:
        q: Queries, ``[N, B, H, D]``.
        k: Keys, ``[N, B, H, D]``.
        graph: Edges.
        reverse: The same edges turned round, ``graph.reverse()``.
        beta: Inverse temperature.
        bias: Bias of edges, ``[E]`` or ``[E, H]``.

    Returns:
        Forces on queries and on keys, both ``[N, B, H, D]``.
    """
    ahead = column_attention(q, k, k, graph, bias=bias, scale=beta)
    # log p_ij = beta q_i.k_j - lse_i + b_ij is a dot product of one more channel.
    lse = _without_infinity(ahead.lse).to(q.dtype)[..., None]
    as_keys = torch.cat([beta * q, -lse], -1)
    as_queries = torch.cat([k, torch.ones_like(lse)], -1)
    turned = None if bias is None else bias[graph.by_source.permutation]
    back = column_attention(as_queries, as_keys, q, reverse, bias=turned, scale=1.0)
    mass = torch.exp(back.lse).to(q.dtype)[..., None]
    return ahead.out, mass * back.out


def _without_infinity(lse: Tensor) -> Tensor:
    """Zero for columns without open in-edges, which the energy leaves out."""
    return lse.masked_fill(lse == -torch.inf, 0.0)
