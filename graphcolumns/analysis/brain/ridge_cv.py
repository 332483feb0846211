"""Ridge regression with a penalty per vertex, chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from graphcolumns.analysis.brain.design import (
    Chunk,
    RidgeResult,
    at_least_float32,
    batches,
    check_design,
    himalaya_part,
    in_chunks,
    on_cpu,
    penalties,
    vertices_at_once,
)

# From almost no shrinking to almost nothing left, for features of about unit variance.
ALPHAS = tuple(10.0**exponent for exponent in range(-2, 8))


def ridge_cv(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    alphas: Sequence[float] = ALPHAS,
    folds: Any = 5,
    chunk: int | None = None,
    progress: bool = True,
) -> RidgeResult:
    r"""Ridge regression with an intercept, and a penalty for each vertex.

    .. math::
        \min_{w, b} \sum_i (y_{iv} - w^\top x_i - b)^2 + \alpha_v \|w\|^2

    The penalty of a vertex is the one with the least squared error in cross-validation within the
    training set; then all of the training set is fitted. With more features than samples the same
    solution is computed from inner products of samples. himalaya does the work, on its current
    backend: ``himalaya.backend.set_backend("torch_cuda")`` computes on a GPU.

    Args:
        train_features: Features of the training samples, ``[n, P]``.
        train_responses: Responses of ``V`` vertices to them, ``[n, V]``.
        test_features: Features of the samples to be predicted, ``[m, P]``.
        alphas: Penalties to choose from.
        folds: Number of folds, which are contiguous in the order of the samples, or a splitter of
            scikit-learn.
        chunk: Number of vertices that are fitted at a time (default: as memory allows). Every chunk
            decomposes the features again.
        progress: Whether a bar shows the chunks.

    Raises:
        ImportError: himalaya is not installed.
        ValueError: Shapes that do not fit, or values that are not finite.

    Source: Dupré la Tour et al., Feature-space selection with banded ridge regression, NeuroImage
        2022, https://doi.org/10.1016/j.neuroimage.2022.119728.
    """
    check_design(train_features, train_responses, test_features, 2)
    train_features, train_responses, test_features = at_least_float32(
        train_features, train_responses, test_features
    )
    x, z = train_features.cpu().numpy(), test_features.cpu().numpy()
    solver = _kernel_solver if x.shape[1] > len(x) else _primal_solver
    solve = solver(x, z, penalties(alphas), folds)
    at_once = vertices_at_once(min(x.shape)) if chunk is None else chunk
    return in_chunks(solve, train_responses, at_once, progress, "ridge")


def _primal_solver(
    x: np.ndarray, z: np.ndarray, alphas: np.ndarray, folds: Any
) -> Callable[[np.ndarray], Chunk]:
    module = himalaya_part("ridge")
    options = batches(len(alphas), len(x), max(x.shape)) | {"warn": False}

    def solve(y: np.ndarray) -> Chunk:
        model = module.RidgeCV(alphas, fit_intercept=True, cv=folds, solver_params=options)
        model.fit(x, y.astype(x.dtype))
        return on_cpu(model.predict(z)), on_cpu(model.best_alphas_), on_cpu(model.cv_scores_)

    return solve


def _kernel_solver(
    x: np.ndarray, z: np.ndarray, alphas: np.ndarray, folds: Any
) -> Callable[[np.ndarray], Chunk]:
    module = himalaya_part("kernel_ridge")
    # The intercept takes the mean up; without it products lose fewer digits.
    mean = x.mean(0, keepdims=True)
    x, z = x - mean, z - mean
    inner, outer = x @ x.T, z @ x.T
    options = batches(len(alphas), len(x), len(x))

    def solve(y: np.ndarray) -> Chunk:
        model = module.KernelRidgeCV(
            alphas, kernel="precomputed", fit_intercept=True, cv=folds, solver_params=options
        )
        model.fit(inner, y.astype(x.dtype))
        return on_cpu(model.predict(outer)), on_cpu(model.best_alphas_), on_cpu(model.cv_scores_)

    return solve
