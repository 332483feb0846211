"""A baseline of separable weights: where a vertex looks, times what it looks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from graphcolumns.analysis.brain.alternating_ridge import SpaceFeatureWeights, alternating_ridge
from graphcolumns.analysis.brain.design import at_least_float32, check_design, penalties

# For features and responses of unit variance, whose loss without weights is 1.
FACTORISED_ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1)
# Numbers in the largest array at a time.
LARGEST = 2**25


class _Scaled(NamedTuple):
    """Training samples with mean 0 and about unit variance, and how to get back."""

    features: Tensor
    responses: Tensor
    mean: Tensor
    deviation: Tensor
    offset: Tensor
    unit: Tensor


def factorised(
    train_features: Tensor,
    train_responses: Tensor,
    test_features: Tensor,
    alphas: Sequence[float] = FACTORISED_ALPHAS,
    folds: int = 3,
    iterations: int = 10,
    chunk: int | None = None,
    progress: bool = True,
) -> Tensor:
    r"""Separable weights for each vertex: ``M`` over tokens times ``D`` over features.

    .. math::
        \hat y_{iv} = \sum_m s_{vm} \sum_d f_{vd} x_{imd} + b_v

    The place where a vertex looks is part of its weights and never depends on the image. They are
    fitted by ``alternating_ridge``, where the objective is stated, after responses are scaled to
    unit variance and features by one number. The penalty of a vertex is the one with the least
    squared error in cross-validation on contiguous folds within the training set. Computed on the
    device of the features, in ``O(n M D V)`` per turn and penalty.

    Args:
        train_features: Features of the tokens of training images, ``[n, M, D]``.
        train_responses: Responses to them, ``[n, V]``.
        test_features: Features of the images to be predicted, ``[m, M, D]``.
        alphas: Penalties to choose from.
        folds: Number of folds, at least 2.
        iterations: Number of turns.
        chunk: Number of vertices that are fitted at a time (default: as memory allows).
        progress: Whether a bar shows the chunks.

    Returns:
        Predicted responses, ``[m, V]``.

    Raises:
        ValueError: Shapes that do not fit, values that are not finite, or a number out of range.

    Source: Klindt et al., Neural system identification for large populations separating "what" and
        "where", NeurIPS 2017, https://arxiv.org/abs/1711.02653.
    """
    check_design(train_features, train_responses, test_features, 3)
    train_features, train_responses, test_features = at_least_float32(
        train_features, train_responses, test_features
    )
    samples, tokens, width = train_features.shape
    if not 2 <= folds <= samples or iterations < 1 or (chunk is not None and chunk < 1):
        raise ValueError(
            f"folds must be 2 to {samples}, iterations and chunk 1 or above. Got {folds}, "
            f"{iterations} and {chunk}."
        )
    grid = penalties(alphas).tolist()
    largest = max(samples * max(tokens, width), tokens * width)
    parts = train_responses.split(chunk or max(1, LARGEST // largest), dim=1)
    found = []
    for part in tqdm(
        parts, desc="factorised", unit="chunk", disable=not progress or len(parts) < 2
    ):
        responses = part.to(train_features)
        alpha = _chosen(train_features, responses, grid, folds, iterations)
        found.append(_predicted(train_features, responses, test_features, alpha, iterations))
    return torch.cat(found, dim=1).to(train_responses)


def _chosen(
    features: Tensor, responses: Tensor, grid: Sequence[float], folds: int, iterations: int
) -> Tensor:
    """The penalty of every vertex with the least squared error on folds, ``[V]``."""
    if len(grid) == 1:
        return responses.new_full((responses.shape[1],), grid[0])
    places = torch.arange(len(features), device=features.device)
    errors = responses.new_zeros(len(grid), responses.shape[1])
    for held in places.tensor_split(folds):
        rest = torch.cat([places[: held[0]], places[held[-1] + 1 :]])
        for number, value in enumerate(grid):
            alpha = responses.new_full((responses.shape[1],), value)
            predicted = _predicted(
                features[rest], responses[rest], features[held], alpha, iterations
            )
            errors[number] += (predicted - responses[held]).square().sum(0)
    return torch.as_tensor(grid).to(responses)[errors.argmin(0)]


def _predicted(
    features: Tensor, responses: Tensor, test: Tensor, alpha: Tensor, iterations: int
) -> Tensor:
    scaled = _scaled(features, responses)
    weights: SpaceFeatureWeights = alternating_ridge(
        scaled.features, scaled.responses, alpha, iterations
    )
    predicted = weights.predict((test - scaled.mean) / scaled.deviation)
    return predicted * scaled.unit + scaled.offset


def _scaled(features: Tensor, responses: Tensor) -> _Scaled:
    mean, offset = features.mean(0), responses.mean(0)
    # One number, so that features keep their variances relative to each other.
    deviation = (features - mean).square().mean().sqrt().clamp(min=1e-30)
    unit = (responses - offset).square().mean(0).sqrt()
    safe = torch.where(unit > 0, unit, 1.0)
    centred, answers = (features - mean) / deviation, (responses - offset) / safe
    return _Scaled(centred, answers, mean, deviation, offset, unit)
