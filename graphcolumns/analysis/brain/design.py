"""What linear models are fitted to: checks of features and responses, chunks of vertices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

# Numbers in the largest array that himalaya makes at a time, 512 MB in float64.
ELEMENTS = 2**26
# Weights of a chunk of vertices, 1 GB in float32.
WEIGHTS = 2**28
# Prediction [m, chunk], chosen penalty [chunk], score in cross-validation [chunk].
Chunk = tuple[np.ndarray, np.ndarray, np.ndarray]


class RidgeResult(NamedTuple):
    """What a ridge regression predicts, and what was chosen for every vertex.

    Attributes:
        prediction: Predicted responses to the test features, ``[m, V]``.
        alpha: Chosen penalty, ``[V]``.
        score: Minus the mean squared error at this penalty in cross-validation within the training
            set, mean over folds, ``[V]``.
    """

    prediction: Tensor
    alpha: Tensor
    score: Tensor


def check_design(
    train_features: Tensor, train_responses: Tensor, test_features: Tensor, ndim: int
) -> None:
    """Raise unless these are features of training and test samples, and responses to the first.

    Args:
        train_features: Features, ``[n, P]`` or ``[n, M, D]``.
        train_responses: Responses, ``[n, V]``.
        test_features: Features, ``[m, P]`` or ``[m, M, D]``.
        ndim: Number of dimensions of features, 2 or 3.
    """
    axes = "[n, P]" if ndim == 2 else "[n, M, D]: samples, tokens, features"
    for name, value in (("train_features", train_features), ("test_features", test_features)):
        if value.ndim != ndim:
            raise ValueError(f"{name} must be {axes}. Got {list(value.shape)}.")
    if train_features.shape[1:] != test_features.shape[1:]:
        raise ValueError(
            "train_features and test_features must have the same axes after the first. Got "
            f"{list(train_features.shape)} and {list(test_features.shape)}."
        )
    samples = len(train_features)
    if train_responses.ndim != 2 or len(train_responses) != samples:
        transposed = train_responses.ndim == 2 and train_responses.shape[1] == samples
        remedy = "; this is transposed: pass train_responses.T." if transposed else "."
        raise ValueError(
            f"train_responses must be [{samples}, V], as many samples as train_features. Got "
            f"{list(train_responses.shape)}{remedy}"
        )
    names = ("train_features", "train_responses", "test_features")
    for name, value in zip(names, (train_features, train_responses, test_features), strict=True):
        if not value.is_floating_point():
            raise TypeError(f"{name} must be a floating tensor. Got {value.dtype}; call .float().")
        if not bool(value.isfinite().all()):
            raise ValueError(
                f"{name} must be finite. Got NaN or infinity; leave out samples or vertices that "
                "were not measured."
            )


def at_least_float32(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors of one floating type, float32 or float64, without gradients.

    Cached features are float16: sums of their products would lose their digits, or overflow.
    """
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    return tuple(tensor.detach().to(dtype) for tensor in tensors)


def penalties(alphas: Sequence[float]) -> np.ndarray:
    """Penalties to choose from as an array, float64; each must be above 0."""
    grid = np.asarray(list(alphas), dtype=np.float64)
    if grid.ndim != 1 or not grid.size or not (grid > 0).all():
        raise ValueError(f"alphas must be penalties above 0, at least one. Got {list(alphas)}.")
    return grid


def himalaya_part(part: str) -> Any:
    """A module of himalaya, such as ``"ridge"``.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return import_module(f"himalaya.{part}")
    except ImportError as error:
        raise ImportError(
            "ridge baselines need himalaya: pip install 'graphcolumns[brain]'."
        ) from error


def on_cpu(values: Any) -> np.ndarray:
    """An array of any backend of himalaya as one of NumPy."""
    return np.asarray(himalaya_part("backend").get_backend().to_numpy(values))


def batches(alphas: int, samples: int, width: int) -> dict[str, Any]:
    """Options of himalaya that bound its memory: numbers of penalties and vertices at a time."""
    at_once = max(1, min(alphas, ELEMENTS // max(1, samples * width)))
    return {
        "n_alphas_batch": at_once,
        "n_targets_batch": max(1, ELEMENTS // (at_once * samples)),
        "n_targets_batch_refit": max(1, ELEMENTS // (at_once * width)),
    }


def vertices_at_once(width: int) -> int:
    """The number of vertices whose weights fit in memory, ``width`` each."""
    return max(1, WEIGHTS // width)


def in_chunks(
    solve: Callable[[np.ndarray], Chunk], responses: Tensor, chunk: int, progress: bool, name: str
) -> RidgeResult:
    """Fit some vertices at a time, with a bar if there are several chunks.

    Args:
        solve: Function of responses ``[n, <= chunk]``.
        responses: Responses of all vertices, ``[n, V]``.
        chunk: Number of vertices at a time.
        progress: Whether to show the bar.
        name: Name of the bar.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be 1 or above. Got {chunk}.")
    parts = responses.cpu().split(chunk, dim=1)
    bar = tqdm(parts, desc=name, unit="chunk", disable=not progress or len(parts) < 2)
    solved = zip(*(solve(part.numpy()) for part in bar), strict=True)
    joined = (torch.from_numpy(np.concatenate(values, axis=-1)) for values in solved)
    return RidgeResult(*(values.to(responses.device) for values in joined))
