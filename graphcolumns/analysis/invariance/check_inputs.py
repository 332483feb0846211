"""Checks of images and outputs that several measures share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.nn.recording import evaluating


def check_images(images: Tensor) -> None:
    """``[B, channels, Y, X]`` floating and finite, at least one image and 2 pixels per side."""
    if not torch.is_tensor(images) or not images.is_floating_point():
        got = images.dtype if torch.is_tensor(images) else type(images).__name__
        raise TypeError(f"images must be a floating tensor. Got {got}; call .float() on a tensor.")
    if images.ndim != 4 or not len(images) or min(images.shape[2:]) < 2:
        raise ValueError(
            "images must be [B, channels, Y, X], at least one of at least 2 x 2 pixels. Got "
            f"{list(images.shape)}."
        )
    if not bool(images.isfinite().all()):
        raise ValueError(
            f"images must be finite. Got {int((~images.isfinite()).sum())} values that are not; "
            "leave these images out."
        )


def tensor_in(output: Any, expected: str) -> Tensor:
    """The tensor that a function returned: itself, the first of a tuple, or its prediction."""
    found = output
    if not torch.is_tensor(found):
        prediction = getattr(found, "prediction", None)
        found = (
            found[0] if prediction is None and isinstance(found, tuple) and found else prediction
        )
    if not torch.is_tensor(found):
        raise TypeError(
            f"the output must be a tensor {expected}, or have one named prediction. Got "
            f"{type(output).__name__}."
        )
    return found


def check_finite_output(output: Tensor) -> None:
    """Raise for outputs that are not finite: no measure would mean anything."""
    if not bool(output.isfinite().all()):
        raise ValueError(
            f"the output must be finite. Got {int((~output.isfinite()).sum())} values of "
            f"{output.numel()} that are not."
        )


@contextmanager
def without_dropout(function: Any) -> Iterator[None]:
    """Evaluation mode inside, if it is a module."""
    with evaluating(function) if isinstance(function, nn.Module) else nullcontext():
        yield
