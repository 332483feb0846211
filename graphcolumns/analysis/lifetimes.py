"""Survival and turnover of edges, as spine imaging measures them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def survival(ages: Floats, died: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    r"""Kaplan-Meier: the share of edges that grow older than a given age.

    .. math:: S(a) = \prod_{a_k \le a} (1 - d_k / n_k)

    with :math:`d_k` deaths at age :math:`a_k` among the :math:`n_k` edges that were seen to reach
    it. Edges that are still alive count as long as they were seen, and no longer.

    Args:
        ages: Age of each edge at its death, or when it was last seen, ``[L]``.
        died: Whether that was its death, ``[L]`` bool.

    Returns:
        Ages, rising from 0, and the share of edges that get older, falling from 1.

    Raises:
        ValueError: No edges, or another number of ages than of fates.

    Source: Kaplan and Meier, Nonparametric estimation from incomplete observations (1958).
    """
    ages, died = np.asarray(ages, dtype=np.float64), np.asarray(died, dtype=bool)
    if not len(ages) or ages.shape != died.shape:
        raise ValueError(
            "survival needs one age and one fate per edge, and at least one edge. "
            f"Got shapes {ages.shape} and {died.shape}."
        )
    curve = stats.ecdf(stats.CensoredData.right_censored(ages, ~died)).sf
    return np.append(0.0, curve.quantiles), np.append(1.0, curve.probabilities)


def turnover(born: int, died: int, before: int, after: int) -> float:
    """Spines gained and lost between two views, over all spines seen in both: from 0 to 1.

    Args:
        born: Edges in the second view only.
        died: Whether that was its death, ``[L]`` bool.
        before: Edges in the first view.
        after: Edges in the second view.

    Source: the turnover ratio of spine imaging, Holtmaat et al., Transient and persistent dendritic
    spines in the neocortex in vivo, Neuron 45 (2005).
    """
    return (born + died) / (before + after) if before + after else 0.0
