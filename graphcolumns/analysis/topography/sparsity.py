"""How few columns respond, or to how few samples a column responds."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from graphcolumns.analysis.topography.inputs import Floats, as_responses
from graphcolumns.geometry.checks import check_choice

Over = Literal["columns", "samples"]


def active_percent(responses: Any, threshold: float = 0.0) -> float:
    """Percentage of responses whose size is above a threshold.

    After ReLU it is the percentage of entries that are not 0; GELU has no exact zeros, so that it
    needs a threshold above 0.

    Args:
        responses: Responses ``[S, N]`` of samples x columns.
        threshold: Size from which on a response counts, itself not counted; in the unit of the
            responses, 0 or above.

    Returns:
        Percentage in [0, 100].

    Raises:
        ValueError: Responses of another shape or not finite, a threshold below 0.

    Source: Li et al., The lazy neuron phenomenon: on emergence of activation sparsity in
    transformers, ICLR 2023, https://arxiv.org/abs/2210.06313.
    """
    found = as_responses(responses)
    if not 0 <= threshold < float("inf"):
        raise ValueError(f"threshold must be 0 or above and finite. Got {threshold}.")
    return float(100 * (np.abs(found) > threshold).mean())


def hoyer_sparsity(responses: Any, *, over: Over) -> Floats:
    r"""Sparsity by the ratio of two norms.

    .. math::
        \frac{\sqrt n - \lVert x \rVert_1 / \lVert x \rVert_2}{\sqrt n - 1}

    1 if one entry alone is not 0, 0 if all have the same size.

    Args:
        responses: Responses ``[S, N]`` of samples x columns.
        over: Entries that are compared: ``"columns"``, in every sample; ``"samples"``, of every
            column.

    Returns:
        Sparsity in [0, 1], without unit, ``[S]`` over columns or ``[N]`` over samples; NaN where
        all entries are 0.

    Raises:
        ValueError: Responses of another shape or not finite, fewer than two entries, an unknown
            ``over``.

    Source: Hoyer, Non-negative matrix factorization with sparseness constraints, JMLR 5 (2004),
    https://www.jmlr.org/papers/v5/hoyer04a.html.
    """
    found, axis = _checked(responses, over)
    root = np.sqrt(found.shape[axis])
    size = _scaled(np.abs(found), axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = size.sum(axis) / np.sqrt((size**2).sum(axis))
    return np.clip((root - ratio) / (root - 1), 0, 1)


def treves_rolls_sparsity(responses: Any, *, over: Over) -> Floats:
    r"""The sparseness of Treves and Rolls: about the share of entries that respond.

    .. math::
        a = \frac{(\sum_k r_k / n)^2}{\sum_k r_k^2 / n}

    1 if all respond alike, ``1 / n`` if one alone responds: **smaller is sparser**. The index of
    Vinje and Gallant is ``(1 - a) / (1 - 1 / n)``.

    Args:
        responses: Responses ``[S, N]`` of samples x columns, rates of 0 or above.
        over: Entries that are compared: ``"columns"``, in every sample (population sparseness);
            ``"samples"``, of every column (lifetime sparseness).

    Returns:
        Sparseness in [1 / n, 1], without unit, ``[S]`` over columns or ``[N]`` over samples; NaN
        where all entries are 0.

    Raises:
        ValueError: Responses of another shape, not finite or negative, fewer than two entries, an
            unknown ``over``.

    Source: Treves and Rolls, What determines the capacity of autoassociative memories in the
    brain?, Network 2 (1991), https://doi.org/10.1088/0954-898X_2_4_004.
    """
    found, axis = _checked(responses, over)
    if (found < 0).any():
        raise ValueError(
            f"responses must be rates of 0 or above. Got {found.min():.3g}; rectify them, or call "
            "hoyer_sparsity, which takes any sign."
        )
    scaled = _scaled(found, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return scaled.mean(axis) ** 2 / (scaled**2).mean(axis)


def _checked(responses: Any, over: str) -> tuple[Floats, int]:
    check_choice("over", over, ("columns", "samples"))
    found = as_responses(responses)
    axis = 1 if over == "columns" else 0
    if found.shape[axis] < 2:
        raise ValueError(
            f"sparsity over {over} needs at least two of them. Got responses {list(found.shape)}."
        )
    return found, axis


def _scaled(size: Floats, axis: int) -> Floats:
    # Both measures are free of scale, and squares of 1e-200 would be 0.
    top = size.max(axis, keepdims=True)
    return np.divide(size, top, out=np.zeros_like(size), where=top > 0)
