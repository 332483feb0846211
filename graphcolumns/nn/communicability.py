"""Communicability: by how many ways a weighted network leads from one column to another."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph

# Time grows with N ** 3, and the derivative takes the exponential of a matrix of twice the size.
LIMIT = 1024


def communicability(weights: Tensor) -> Tensor:
    r"""Weighted walks of any number of steps between every two columns, long ones counting less.

    .. math::
        C = \exp\left(S^{-1/2} |W| S^{-1/2}\right), \qquad S_i = \sum_j |W_{ij}|, \qquad C_{ii} = 0

    Computed in float64; differentiable, through the exponential and through :math:`S`. A column
    that sends nothing has the mean strength of those that do, where the paper divides by 0. One
    that sends next to nothing keeps its own: :math:`C_{ij}` grows as :math:`S_j^{-1/2}` with it.

    Args:
        weights: ``W``, ``[N, N]``, row i what i sends.

    Returns:
        ``C``, ``[N, N]``, in the dtype of the weights.

    Raises:
        ValueError: Weights that are not square, or more than 1024 columns.

    Source: Crofts & Higham, A weighted communicability measure applied to complex brain networks,
    Journal of the Royal Society Interface 2009; with the diagonal left out as in Achterberg et
    al., Spatially embedded recurrent neural networks, Nature Machine Intelligence 2023.
    """
    if weights.dim() != 2 or weights.shape[0] != weights.shape[1]:
        raise ValueError(f"weights must be square, [N, N]. Got {list(weights.shape)}.")
    check_limit(len(weights))
    size = weights.abs().double()
    strength = size.sum(1)
    silent = strength == 0
    typical = strength.sum() / (~silent).sum().clamp(min=1)
    strength = torch.where(silent, typical, strength)
    root = torch.where(strength == 0, 1.0, strength).rsqrt()  # no weight at all
    walks = torch.linalg.matrix_exp(root[:, None] * size * root)
    return (walks - torch.diag(walks.diag())).to(weights.dtype)


def edge_communicability(weights: Tensor, graph: ColumnGraph) -> Tensor:
    r"""The communicability :math:`C_{ji}` of every edge, from its source j to its target i.

    Args:
        weights: Weight of each edge, ``[E]``.
        graph: Edges among columns.

    Returns:
        ``[E]``; 0 for self-edges.

    Raises:
        ValueError: A graph with other sources than columns, or more than 1024 columns.
    """
    if graph.num_columns != graph.num_sources:
        raise ValueError(f"communicability is between columns and columns. Got {graph}.")
    check_limit(graph.num_columns)  # before N x N numbers are allocated
    ends = graph.source.long(), graph.target.long()
    empty = weights.new_zeros(graph.num_columns, graph.num_columns)
    return communicability(empty.index_put(ends, weights))[ends]


def check_limit(columns: int) -> None:
    """Raise a ValueError if there are too many columns."""
    if columns > LIMIT:
        raise ValueError(
            "communicability takes the exponential of a matrix of all pairs of columns, in time "
            f"N ** 3 at every step, so there may be at most {LIMIT}. Got {columns}; use "
            "wiring='distance'."
        )
