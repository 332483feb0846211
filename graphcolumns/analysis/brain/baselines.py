"""Linear baselines of a brain encoder, all with the same call.

``baseline(train_features [n, M, D], train_responses [n, V], test_features [m, M, D])`` returns
predicted responses ``[m, V]``. Penalties are chosen by cross-validation within the training set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import Tensor

from graphcolumns.analysis.brain.design import at_least_float32, check_design
from graphcolumns.analysis.brain.factorised import factorised
from graphcolumns.analysis.brain.ridge_cv import ALPHAS, ridge_cv

FitPredict: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


def ridge(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    alphas: Sequence[float] = ALPHAS,
    folds: Any = 5,
    chunk: int | None = None,
    progress: bool = True,
) -> Tensor:
    """Ridge regression from all features of all tokens, ``M * D`` weights per vertex.

    Args:
        train_features: Features of the tokens of training images, ``[n, M, D]``.
        train_responses: Responses to them, ``[n, V]``.
        test_features: Features of the images to be predicted, ``[m, M, D]``.
        alphas: Penalties to choose from, see ``ridge_cv``.
        folds: Number of contiguous folds, or a splitter of scikit-learn.
        chunk: Number of vertices that are fitted at a time (default: as memory allows).
        progress: Whether a bar shows the chunks.

    Returns:
        Predicted responses, ``[m, V]``.
    """
    check_design(train_features, train_responses, test_features, 3)
    x, z = train_features.flatten(1), test_features.flatten(1)
    return ridge_cv(x, train_responses, z, alphas, folds, chunk, progress).prediction


def mean_token_ridge(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    alphas: Sequence[float] = ALPHAS,
    folds: Any = 5,
    chunk: int | None = None,
    progress: bool = True,
) -> Tensor:
    """Ridge regression from the mean over tokens, ``D`` weights per vertex: no space.

    Args:
        train_features: Features of the tokens of training images, ``[n, M, D]``.
        train_responses: Responses to them, ``[n, V]``.
        test_features: Features of the images to be predicted, ``[m, M, D]``.
        alphas: Penalties to choose from, see ``ridge_cv``.
        folds: Number of contiguous folds, or a splitter of scikit-learn.
        chunk: Number of vertices that are fitted at a time (default: as memory allows).
        progress: Whether a bar shows the chunks.

    Returns:
        Predicted responses, ``[m, V]``.
    """
    check_design(train_features, train_responses, test_features, 3)
    x, z = (part.mean(1) for part in at_least_float32(train_features, test_features))
    return ridge_cv(x, train_responses, z, alphas, folds, chunk, progress).prediction


def cls_ridge(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    alphas: Sequence[float] = ALPHAS,
    folds: Any = 5,
    chunk: int | None = None,
    progress: bool = True,
) -> Tensor:
    """Ridge regression from the first token, which is the class token of a vision transformer.

    Features without a class token have a patch there: this baseline then means nothing.

    Args:
        train_features: Features of the tokens of training images, ``[n, M, D]``.
        train_responses: Responses to them, ``[n, V]``.
        test_features: Features of the images to be predicted, ``[m, M, D]``.
        alphas: Penalties to choose from, see ``ridge_cv``.
        folds: Number of contiguous folds, or a splitter of scikit-learn.
        chunk: Number of vertices that are fitted at a time (default: as memory allows).
        progress: Whether a bar shows the chunks.

    Returns:
        Predicted responses, ``[m, V]``.
    """
    check_design(train_features, train_responses, test_features, 3)
    x, z = train_features[:, 0], test_features[:, 0]
    return ridge_cv(x, train_responses, z, alphas, folds, chunk, progress).prediction


# Those that need nothing but features and responses. `banded_ridge` needs its bands.
BASELINES: Mapping[str, FitPredict] = MappingProxyType(
    {
        "ridge": ridge,
        "mean_token_ridge": mean_token_ridge,
        "cls_ridge": cls_ridge,
        "factorised": factorised,
    }
)
