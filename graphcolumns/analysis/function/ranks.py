"""Rank correlation with a p value from permutations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from torch import Tensor

from graphcolumns.nn.checks import check_counts


class RankCorrelation(NamedTuple):
    """How two orders of columns agree.

    Attributes:
        rho: Spearman's rank correlation; NaN if fewer than three columns have both values, or one
            of the two is the same for all.
        p: Share of permutations, the observed one counted, with as large an absolute correlation;
            NaN with ``rho``.
        columns: Number of columns that have both values.
    """

    rho: float
    p: float
    columns: int


def rank_correlation(
    x: Tensor, y: Tensor, *, permutations: int = 1000, seed: int = 0
) -> RankCorrelation:
    """Spearman's correlation over columns, such as of receptive fields with latency.

    Columns where one of the two is NaN are left out. Permutations exchange columns freely. On a
    sheet neighbours are alike, so that columns are fewer independent samples than they are many,
    and ``p`` is too small: compare seeds or arms too.

    Args:
        x: One value per column, ``[N]``.
        y: One value per column, ``[N]``.
        permutations: Number of permutations.
        seed: Seed of the permutations.

    Raises:
        ValueError: Other shapes than ``[N]`` twice, or infinite values.
    """
    check_counts(permutations=permutations)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "x and y must have one value per column, [N] each. Got "
            f"{list(x.shape)} and {list(y.shape)}."
        )
    if bool(x.isinf().any() | y.isinf().any()):
        raise ValueError("x and y must not be infinite. Got infinity; pass NaN to leave out.")
    both = ~(x.isnan() | y.isnan())
    count = int(both.sum())
    left, right = (_standardised(v[both].double().cpu().numpy()) for v in (x, y))
    if count < 3 or left is None or right is None:
        return RankCorrelation(float("nan"), float("nan"), count)
    rho = float(left @ right)
    generator = np.random.default_rng(seed)
    drawn = np.array([left @ generator.permutation(right) for _ in range(permutations)])
    reached = int((np.abs(drawn) >= abs(rho) - 1e-12).sum())
    return RankCorrelation(rho, (1 + reached) / (1 + permutations), count)


def _standardised(values: np.ndarray) -> np.ndarray | None:
    """Ranks with mean 0 and norm 1; None if all are the same."""
    if not len(values):
        return None
    ranks = rankdata(values)
    ranks = ranks - ranks.mean()
    norm = float(np.linalg.norm(ranks))
    return None if norm == 0 else np.asarray(ranks / norm)
