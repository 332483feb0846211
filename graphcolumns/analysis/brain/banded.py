"""Banded ridge regression: a penalty per band of features and vertex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from graphcolumns.analysis.brain.design import (
    Chunk,
    at_least_float32,
    batches,
    check_design,
    himalaya_part,
    in_chunks,
    on_cpu,
    penalties,
    vertices_at_once,
)
from graphcolumns.analysis.brain.ridge_cv import ALPHAS

Tokens = Literal["mean", "all"]


def banded_ridge(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    *,
    bands: Sequence[int],
    tokens: Tokens = "mean",
    alphas: Sequence[float] = ALPHAS,
    trials: int = 20,
    folds: Any = 5,
    seed: int = 0,
    chunk: int | None = None,
    progress: bool = True,
) -> Tensor:
    r"""Ridge regression whose bands of features have penalties of their own, for each vertex.

    .. math::
        \min_{w, b} \sum_i \Big(y_{iv} - \sum_k w_k^\top x_{ik} - b\Big)^2
        + \sum_k \frac{\alpha_v}{\gamma_{kv}} \|w_k\|^2, \qquad \sum_k \gamma_{kv} = 1

    Bands are groups of features such as the layers of a network. ``trials`` shares :math:`\gamma`
    of the bands are drawn from Dirichlet distributions, the first being equal shares; shares and
    :math:`\alpha` of a vertex are those with the least squared error in cross-validation within
    the training set. himalaya does the work (``GroupRidgeCV``).

    Args:
        train_features: Features of the tokens of training images, ``[n, M, D]``.
        train_responses: Responses to them, ``[n, V]``.
        test_features: Features of the images to be predicted, ``[m, M, D]``.
        bands: Numbers of features of the bands, in the order of the ``D`` features; their sum is
            ``D``.
        tokens: Features that are used: ``"mean"``, their mean over tokens; or ``"all"`` tokens,
            with ``M`` times as many features in a band.
        alphas: Penalties to choose from.
        trials: Number of shares that are tried.
        folds: Number of contiguous folds, or a splitter of scikit-learn.
        seed: Seed of the shares, which are the same for all vertices.
        chunk: Number of vertices that are fitted at a time (default: as memory allows).
        progress: Whether a bar shows the chunks.

    Returns:
        Predicted responses, ``[m, V]``.

    Raises:
        ImportError: himalaya is not installed.
        ValueError: Shapes that do not fit, or bands of another number of features.

    Source: Dupré la Tour et al., Feature-space selection with banded ridge regression, NeuroImage
        2022, https://doi.org/10.1016/j.neuroimage.2022.119728.
    """
    check_design(train_features, train_responses, test_features, 3)
    train_features, train_responses, test_features = at_least_float32(
        train_features, train_responses, test_features
    )
    depth = train_features.shape[2]
    if not bands or min(bands) < 1 or sum(bands) != depth:
        raise ValueError(
            f"bands must be numbers of features with sum D={depth}. Got {tuple(bands)}, sum "
            f"{sum(bands)}."
        )
    if tokens not in ("mean", "all"):
        raise ValueError(f"tokens must be 'mean' or 'all'. Got {tokens!r}.")
    if trials < 1:
        raise ValueError(f"trials must be 1 or above. Got {trials}.")
    halves = (train_features, test_features)
    if tokens == "mean":
        train, test = (half.mean(1, keepdim=True) for half in halves)
    else:
        train, test = halves
    x = [part.flatten(1).cpu().numpy() for part in train.split(list(bands), dim=2)]
    z = [part.flatten(1).cpu().numpy() for part in test.split(list(bands), dim=2)]
    grid = penalties(alphas)
    width = sum(part.shape[1] for part in x)
    options = batches(len(grid), len(train), max(width, len(train)))
    options |= {"alphas": grid, "n_iter": trials, "progress_bar": False, "warn": False}
    module = himalaya_part("ridge")

    def solve(y: np.ndarray) -> Chunk:
        model = module.GroupRidgeCV(
            "input", solver_params=options, fit_intercept=True, cv=folds, random_state=seed
        )
        model.fit(x, y.astype(x[0].dtype))
        best = on_cpu(model.cv_scores_).max(0)
        return on_cpu(model.predict(z)), on_cpu(model.best_alphas_), best

    at_once = vertices_at_once(width) if chunk is None else chunk
    return in_chunks(solve, train_responses, at_once, progress, "banded ridge").prediction
