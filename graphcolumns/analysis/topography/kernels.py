"""The two measures of All-TNN on kernels: how different those of neighbours are."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphcolumns.analysis.topography.inputs import as_column_values, as_numbers, require_columns
from graphcolumns.graph import ColumnGraph


def kernel_spatial_loss(kernels: Any, graph: ColumnGraph, bias: Any = None) -> float:
    r"""Mean cosine distance of the kernels of neighbours, the spatial loss of All-TNN.

    .. math::
        \operatorname{mean}_{j \to i} \left(1 -
        \frac{w_i \cdot w_j}{\lVert w_i \rVert \lVert w_j \rVert}\right)

    In [0, 2]: 0 if neighbours have the same kernel up to a factor, about 1 for random kernels.
    Neighbours are the two ends of an edge; those of the publication are ``rook_neighbours``.
    Self-edges are left out. A kernel of zeros has cosine 0 with everything. The publication
    multiplies the loss with a factor alpha, which is left out here. To train for it, see the loss
    term ``weight_smoothness``.

    Args:
        kernels: Kernel of every column, ``[N, ...]``, in your order of columns.
        graph: Edges among the columns.
        bias: Bias of every column, ``[N]``, joined to its kernel (default: none).

    Returns:
        The loss, without unit; NaN if no edge joins different columns.

    Raises:
        ValueError: Kernels or biases of another number or not finite, or a graph with other sources
            than its columns.

    Source: Lu et al., End-to-end topographic networks as models of cortical map formation and human
    visual behaviour, Nature Human Behaviour 9 (2025),
    https://doi.org/10.1038/s41562-025-02220-7.
    """
    require_columns(graph)
    found = as_numbers("kernels", kernels)
    n = graph.num_columns
    if found.ndim < 2 or len(found) != n:
        raise ValueError(
            f"kernels must be [N, ...] with N = {n} columns and at least one weight dimension. Got "
            f"{list(found.shape)}; a sheet [Y, X, ...] is kernels.flatten(0, 1)."
        )
    found = found.reshape(n, -1)
    if bias is not None:
        found = np.concatenate([found, as_column_values("bias", bias, n)[:, None]], 1)
    source, target = graph.edge_index.cpu().numpy()
    other = source != target
    if not other.any():
        return float("nan")
    norm = np.linalg.norm(found, axis=1, keepdims=True)
    unit = found / np.where(norm > 0, norm, 1)
    return float(1 - (unit[target[other]] * unit[source[other]]).sum(1).mean())


def kernel_smoothness(kernels: Any, graph: ColumnGraph, bias: Any = None) -> float:
    """``1 / kernel_spatial_loss``, the smoothness of All-TNN.

    Args:
        kernels: Kernel of every column, ``[N, ...]``.
        graph: Edges among the columns.
        bias: Bias of every column, ``[N]``, joined to its kernel (default: none).

    Returns:
        Smoothness, without unit, 1/2 or above and about 1 for random kernels; infinite if the loss
        is 0 up to rounding (below 1e-12), NaN if no edge joins different columns.

    Raises:
        ValueError: As ``kernel_spatial_loss``.

    Source: Lu et al., End-to-end topographic networks as models of cortical map formation and human
    visual behaviour, Nature Human Behaviour 9 (2025),
    https://doi.org/10.1038/s41562-025-02220-7.
    """
    loss = kernel_spatial_loss(kernels, graph, bias)
    # Above rounding of float64, below any loss of weights in float32.
    return float("inf") if loss < 1e-12 else 1 / loss
