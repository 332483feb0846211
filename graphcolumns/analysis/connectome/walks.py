"""Communicability of a connectome without directions."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import Floats, joined_pairs
from graphcolumns.graph import ColumnGraph


def communicability_matrix(
    graph: ColumnGraph, weights: Tensor | None = None, normalised: bool = True
) -> Floats:
    r"""Weighted walks of any number of steps between every two columns, long ones counting less.

    .. math::
        C = \exp\left(S^{-1/2} W S^{-1/2}\right), \qquad S_i = \sum_j W_{ij}

    with weights symmetrised, :math:`(w_{ij} + w_{ji}) / 2`, and self-edges left out. Through the
    eigenvectors of the symmetric matrix, in time N ** 3 and with a few matrices of N x N in memory:
    ``scipy.linalg.expm`` of 400 columns and more has returned other numbers from call to call. The
    term of a regulariser, differentiable and directed, is ``nn.communicability``.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above (default: 1 for each joined pair).
        normalised: Whether weights are divided by strengths; else :math:`C = \exp(W)`.

    Returns:
        ``[N, N]``, diagonal included. A column without edges has 1 on the diagonal and 0 else.

    Raises:
        ValueError: Weights of another shape, negative or not finite; a bipartite graph; numbers
            that overflow without ``normalised``.

    Source: Crofts and Higham, A weighted communicability measure applied to complex brain networks,
    Journal of the Royal Society Interface 6 (2009).
    """
    matrix = joined_pairs(graph, weights).matrix(weighted=True).toarray()
    if normalised:
        strength = matrix.sum(1)
        root = np.divide(1, np.sqrt(strength), out=np.zeros(len(strength)), where=strength > 0)
        matrix = root[:, None] * matrix * root
    values, vectors = np.linalg.eigh(matrix)
    if values[-1] > 700:
        raise ValueError(
            f"the exponential must be finite. Got an eigenvalue of {values[-1]:.3g}; pass "
            "normalised=True, or smaller weights."
        )
    result: Floats = (vectors * np.exp(values)) @ vectors.T
    return (result + result.T) / 2


def mean_communicability(graph: ColumnGraph, weights: Tensor | None = None) -> float:
    """Mean of ``communicability_matrix`` over pairs of different columns; NaN for one column.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.

    Raises:
        ValueError: See ``communicability_matrix``.
    """
    matrix = communicability_matrix(graph, weights)
    n = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (n * (n - 1))) if n > 1 else math.nan
