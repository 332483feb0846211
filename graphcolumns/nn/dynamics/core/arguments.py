"""Checks of the tensors and numbers that circuits are made of."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from graphcolumns.nn.checks import has_values


def require_shape(name: str, tensor: Tensor, *shapes: tuple[int | str, ...]) -> None:
    """Raises ValueError unless a floating tensor has one of the shapes, letters for any size.

    Args:
        name: Name of the argument.
        tensor: Tensor to check.
        shapes: Sizes that are allowed, a letter where any will do: ``("B", 64)``.

    Raises:
        TypeError: It is not a floating tensor.
    """
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"{name} must be a floating tensor. Got {got}.")
    if not any(_fits(tensor, shape) for shape in shapes):
        expected = " or ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
        raise ValueError(
            f"{name} must have a shape that fits. Expected {expected}. Got {list(tensor.shape)}."
        )


def require_finite(name: str, tensor: Tensor) -> None:
    """Raises ValueError for NaN or infinity."""
    if has_values(tensor) and not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} must be finite. Got NaN or infinity; check where it comes from.")


def require_positive(**values: float | Tensor) -> None:
    """Raises ValueError for numbers, or entries of tensors, that are not positive and finite."""
    for name, value in values.items():
        if isinstance(value, Tensor):
            require_finite(name, value)
            if has_values(value) and bool((value <= 0).any()):
                raise ValueError(f"{name} must be positive. Got {float(value.min()):.6g}.")
        elif not (value > 0 and isfinite(value)):
            raise ValueError(f"{name} must be positive and finite. Got {value!r}.")


def _fits(tensor: Tensor, shape: tuple[int | str, ...]) -> bool:
    pairs = zip(shape, tensor.shape, strict=False)
    return len(shape) == tensor.dim() and all(isinstance(a, str) or a == b for a, b in pairs)
