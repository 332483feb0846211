"""Checks of dictionaries, thresholds and inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.checks import has_values
from graphcolumns.nn.dynamics.core.arguments import require_positive

# Largest difference of the norm of an atom from 1.
UNIT_NORM = 1e-4


def check_threshold(threshold: float | Tensor) -> None:
    """Raises unless a threshold is a positive, finite number.

    Raises:
        TypeError: It is a tensor, which would be neither learned nor one per unit.
        ValueError: It is not positive or not finite.
    """
    if isinstance(threshold, Tensor):
        raise TypeError(
            f"threshold must be one number. Got a tensor of shape {list(threshold.shape)}; pass "
            "float(threshold)."
        )
    require_positive(threshold=threshold)


def check_atoms(dictionary: Tensor, shape: str, dims: tuple[int, ...]) -> None:
    """Raises unless a dictionary has atoms of unit norm along its first dimension.

    Raises:
        TypeError: It is not a floating tensor.
        ValueError: Another number of dimensions, no atom, NaN, or atoms of another norm.
    """
    if not isinstance(dictionary, Tensor) or not dictionary.is_floating_point():
        kind = dictionary.dtype if isinstance(dictionary, Tensor) else type(dictionary).__name__
        raise TypeError(f"dictionary must be a floating tensor. Got {kind}.")
    if dictionary.dim() not in dims or 0 in dictionary.shape:
        raise ValueError(
            f"dictionary must be {shape}, none of them 0. Got {list(dictionary.shape)}."
        )
    if has_values(dictionary):
        norms = torch.linalg.vector_norm(dictionary.detach().flatten(1), dim=1)
        check_unit_norms(norms, "torch.nn.functional.normalize(dictionary.flatten(1)).view_as(...)")


def check_unit_norms(norms: Tensor, remedy: str) -> None:
    """Raises ValueError for the atom whose norm is furthest from 1, or is not finite."""
    tolerance = max(UNIT_NORM, 10 * torch.finfo(norms.dtype).eps)
    error = (norms - 1).abs().nan_to_num(nan=float("inf"))
    worst = int(error.argmax())
    if not float(error[worst]) <= tolerance:
        raise ValueError(
            f"atoms must have unit norm, so that each inhibits itself by its own activity. "
            f"Expected norms within {tolerance:g} of 1. Got {float(norms[worst]):.6g} for atom "
            f"{worst}; pass {remedy}."
        )


def check_signals(inputs: Tensor, shape: str, like: Tensor, fits: bool) -> None:
    """Raises unless inputs are finite, fit a dictionary and have its dtype.

    Raises:
        TypeError: They are no tensor, or of another dtype.
        ValueError: Another shape, or values that are not finite.
    """
    if not isinstance(inputs, Tensor) or inputs.dtype != like.dtype:
        kind = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
        raise TypeError(
            f"inputs must have the dtype of the dictionary. Expected {like.dtype}. Got {kind}; "
            "call inputs.to(dictionary.dtype)."
        )
    if not fits:
        raise ValueError(f"inputs must be {shape}. Got {list(inputs.shape)}.")
    if has_values(inputs) and not bool(inputs.isfinite().all()):
        raise ValueError(
            "inputs must be finite. Got NaN or infinite values; replace them first, for example "
            "with torch.nan_to_num."
        )
