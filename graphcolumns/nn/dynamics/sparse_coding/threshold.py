"""Thresholds: from the state of a unit to its activity."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_threshold(u: Tensor, threshold: float, nonnegative: bool = False) -> Tensor:
    r"""Shrinks towards zero: :math:`\text{sign}(u) \max(|u| - \lambda, 0)`.

    Args:
        u: State, any shape.
        threshold: Threshold :math:`\lambda`, in units of the state.
        nonnegative: Whether only states above the threshold are active.
    """
    if nonnegative:
        return torch.relu(u - threshold)
    return torch.nn.functional.softshrink(u, threshold)


def hard_threshold(u: Tensor, threshold: float, nonnegative: bool = False) -> Tensor:
    r"""Keeps what is above the threshold: :math:`u` where :math:`|u| > \lambda`, otherwise 0.

    Args:
        u: State, any shape.
        threshold: Threshold :math:`\lambda`, in units of the state.
        nonnegative: Whether only states above the threshold are active.
    """
    size = u if nonnegative else u.abs()
    return torch.where(size > threshold, u, torch.zeros_like(u))
