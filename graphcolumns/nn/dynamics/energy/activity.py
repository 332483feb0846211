"""Layer norm as the gradient of a convex function, which is what makes an energy decrease."""

from __future__ import annotations

import torch
from torch import Tensor


def activity(x: Tensor, gain: Tensor, offset: Tensor, epsilon: float) -> Tensor:
    r"""Normalised activity of columns.

    .. math::
        g = \gamma \frac{x - \bar x}{\sqrt{\mathrm{var}(x) + \epsilon}} + \delta
          = \frac{\partial L}{\partial x}

    Args:
        x: States, ``[N, B, C]``.
        gain: Gain :math:`\gamma`, positive, ``[]`` or one per column, ``[N]``.
        offset: Offset :math:`\delta`, ``[C]`` or one per column, ``[N, C]``.
        epsilon: Variance :math:`\epsilon` that is added.

    Returns:
        Activities, ``[N, B, C]``.
    """
    centred = x - x.mean(-1, keepdim=True)
    return _of_columns(gain) * centred / _deviation(centred, epsilon) + _offset(offset)


def lagrangian(x: Tensor, gain: Tensor, offset: Tensor, epsilon: float) -> Tensor:
    r"""The convex function whose gradient :func:`activity` is.

    .. math::
        L(x) = C \gamma \sqrt{\mathrm{var}(x) + \epsilon} + \delta^\top x

    Args:
        x: States, ``[N, B, C]``.
        gain: Gain, as for :func:`activity`.
        offset: Offset, as for :func:`activity`.
        epsilon: Variance that is added.

    Returns:
        Value of every column, ``[N, B]``.
    """
    centred = x - x.mean(-1, keepdim=True)
    norm = _of_columns(gain) * _deviation(centred, epsilon)
    return x.shape[-1] * norm.squeeze(-1) + (_offset(offset) * x).sum(-1)


def activity_rate(x: Tensor, rate: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    r"""Rate of change of the activity, :math:`\nabla^2 L(x) \, \dot x`.

    Args:
        x: States, ``[N, B, C]``.
        rate: Rate of change of the states, ``[N, B, C]``.
        gain: Gain, as for :func:`activity`.
        epsilon: Variance that is added.

    Returns:
        Rate of change of the activities, ``[N, B, C]``.
    """
    centred, rate = x - x.mean(-1, keepdim=True), rate - rate.mean(-1, keepdim=True)
    deviation = _deviation(centred, epsilon)
    radial = (centred * rate).mean(-1, keepdim=True) / deviation.square()
    return _of_columns(gain) * (rate - centred * radial) / deviation


def _deviation(centred: Tensor, epsilon: float) -> Tensor:
    return torch.sqrt(centred.square().mean(-1, keepdim=True) + epsilon)


def _of_columns(gain: Tensor) -> Tensor:
    return gain[:, None, None] if gain.dim() else gain


def _offset(offset: Tensor) -> Tensor:
    return offset[:, None] if offset.dim() == 2 else offset
