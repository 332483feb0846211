"""Errors that say which array has which shape, and what was probably meant."""

from __future__ import annotations

import torch
from torch import Tensor


def check_targets(targets: Tensor) -> None:
    """Raise unless these are measured responses, ``[n, V]`` floating with two samples or more."""
    if targets.ndim != 2 or targets.shape[0] < 2 or not targets.shape[1]:
        raise ValueError(
            "targets must be [samples, vertices], with at least two samples. Got "
            f"{list(targets.shape)}."
        )
    if not targets.is_floating_point():
        raise TypeError(f"targets must be a floating tensor. Got {targets.dtype}; call .float().")


def check_predicted(name: str, predicted: Tensor, targets: Tensor) -> None:
    """Raise unless predictions have the shape of the targets, ``[n, V]``, and no NaN."""
    check_targets(targets)
    if predicted.shape != targets.shape:
        raise ValueError(
            f"{name} must have the shape of targets, {_shape(targets)}. Got "
            f"{list(predicted.shape)}; {_remedy(name, predicted, targets)}"
        )
    if not predicted.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor. Got {predicted.dtype}; call .float().")
    if not bool(predicted.isfinite().all()):
        where = int((~predicted.isfinite()).any(0).sum())
        raise ValueError(f"{name} must be finite. Got NaN or infinity in {where:,} vertices.")


def check_ceilings(name: str, values: Tensor, vertices: int) -> None:
    """Raise unless these are shares of variance, one per vertex in [0, 1], ``[V]``."""
    if values.shape != (vertices,):
        raise ValueError(
            f"{name} must hold one value per vertex, [{vertices}]. Got {list(values.shape)}."
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(
            f"{name} must lie in [0, 1]: shares of variance. Got {float(values.min()):.4g} to "
            f"{float(values.max()):.4g}; divide percent by 100, set NaN to 0."
        )


def check_counted(mask: Tensor, vertices: int) -> None:
    """Raise unless this says of every vertex whether it counts, ``[V]`` bool."""
    if mask.dtype != torch.bool or mask.shape != (vertices,):
        raise ValueError(
            f"mask must be bool, one per vertex, [{vertices}]. Got {mask.dtype}, "
            f"{list(mask.shape)}."
        )


def _shape(targets: Tensor) -> str:
    samples, vertices = targets.shape
    return f"[{samples}, {vertices}]: {samples:,} samples of {vertices:,} vertices"


def _remedy(name: str, predicted: Tensor, targets: Tensor) -> str:
    samples, vertices = targets.shape
    if predicted.shape == (vertices, samples):
        return f"this is transposed: pass {name}.T."
    if predicted.ndim != 2:
        return "pass model(inputs).prediction of all samples, joined along the first axis."
    if len(predicted) == samples:
        return (
            f"{predicted.shape[1]:,} vertices where the targets have {vertices:,}: join "
            "hemispheres along the second axis, or choose the same vertices in both."
        )
    if predicted.shape[1] == vertices:
        return f"{len(predicted):,} samples: predict the samples of the targets, all of them."
    return "predict the same samples and vertices."
