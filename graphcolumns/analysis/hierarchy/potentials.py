"""Numbers of columns whose differences along edges come nearest to given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg, spsolve

from graphcolumns.analysis.connectome.pairs import Floats, Ids

# Sparse elimination up to so many columns, conjugate gradients above.
DIRECT = 2000
TOLERANCE = 1e-12


def fit_potentials(
    source: Ids, target: Ids, weight: Floats, difference: Floats, columns: int
) -> tuple[Floats, Ids]:
    r"""Minimise :math:`\sum_e w_e (h_{t(e)} - h_{s(e)} - d_e)^2`, component by component.

    Args:
        source: Source of each edge, ``[E]``.
        target: Target of each edge, ``[E]``, another column.
        weight: Weight of each edge, ``[E]``, above 0.
        difference: Difference that each edge should have, ``[E]``.
        columns: Number of columns ``N``.

    Returns:
        ``h``, ``[N]``, at least 0 and 0 somewhere in each component; NaN for a column without an
        edge. And the component of each column, ``[N]``.
    """
    ends = (np.append(source, target), np.append(target, source))
    joined = coo_array((np.tile(weight, 2), ends), shape=(columns, columns)).tocsr()
    _, label = connected_components(joined, directed=False)
    flow = weight * difference
    right = np.bincount(target, flow, columns) - np.bincount(source, flow, columns)
    strength = np.asarray(joined.sum(1)).ravel()
    laplacian = csr_array(diags_array(strength) - joined)
    # The first column of each component stays at 0: the others are determined then.
    free = np.setdiff1d(np.arange(columns), np.unique(label, return_index=True)[1])
    level = np.zeros(columns)
    if len(free):
        level[free] = _solve(csr_array(laplacian[free][:, free]), right[free])
    lowest = np.full(label.max(initial=-1) + 1, np.inf)
    np.minimum.at(lowest, label, level)
    level -= lowest[label]
    level[strength == 0] = np.nan
    return level, label


def _solve(matrix: csr_array, right: NDArray[Any]) -> Floats:
    """Solve a positive definite system."""
    if len(right) > DIRECT:
        scale = diags_array(1 / matrix.diagonal())
        found, failed = cg(matrix, right, rtol=TOLERANCE, maxiter=20 * len(right), M=scale)
        if not failed:
            return np.asarray(found)
    return np.atleast_1d(spsolve(matrix.tocsc(), right))
