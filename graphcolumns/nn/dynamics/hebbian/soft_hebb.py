"""Hebbian learning with soft winners: units share a sample, and most of it goes to the best."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_positive
from graphcolumns.nn.dynamics.hebbian.hebb import check_samples


def soft_winners(overlaps: Tensor, beta: float, anti_hebbian: bool = False) -> Tensor:
    r"""How much every unit wins of every sample.

    .. math::
        y_k = \frac{e^{\beta u_k}}{\sum_l e^{\beta u_l}}

    Args:
        overlaps: Inputs u of the units, ``[B, n]``.
        beta: Inverse temperature; the larger, the harder the competition.
        anti_hebbian: Whether all units but the winner get a negative sign: they move away.

    Returns:
        ``[B, n]``.

    Raises:
        ValueError: A beta that is not positive.
    """
    require_positive(beta=beta)
    y = torch.softmax(beta * overlaps, 1)
    if not anti_hebbian:
        return y
    winner = torch.zeros_like(y).scatter(1, overlaps.argmax(1, keepdim=True), 1.0)
    return torch.where(winner > 0, y, -y)


def soft_hebb_step(
    weight: Tensor, inputs: Tensor, rate: float, beta: float = 1.0, anti_hebbian: bool = False
) -> Tensor:
    r"""One step of SoftHebb.

    .. math::
        w_k \leftarrow w_k + \eta \, \langle y_k (x - u_k w_k) \rangle, \qquad u = W x

    with y of :func:`soft_winners`. The rule is local, and without ``anti_hebbian`` it keeps the
    norm of weights near 1 by itself.

    Args:
        weight: Weights of the units, ``[n, m]``.
        inputs: Inputs, ``[B, m]``.
        rate: Learning rate :math:`\eta`.
        beta: Inverse temperature.
        anti_hebbian: Whether units that do not win move away from the sample.

    Returns:
        New weights, ``[n, m]``.

    Raises:
        ValueError: Shapes that do not fit, no sample, NaN, or a rate or beta that is not positive.
        TypeError: Tensors that are not floating.

    Source: Journé, Garcia Rodriguez, Guo & Moraitis, Hebbian deep learning without feedback, ICLR
    2023, https://arxiv.org/abs/2209.11883.
    """
    check_samples(weight, inputs, rate)
    overlaps = inputs @ weight.T
    y = soft_winners(overlaps, beta, anti_hebbian)
    towards = y.T @ inputs / len(inputs)
    decay = (y * overlaps).mean(0)[:, None] * weight
    return weight + rate * (towards - decay)
