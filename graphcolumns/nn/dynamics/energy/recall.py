"""The memory of a column: an energy that is low near stored patterns."""

from __future__ import annotations

import torch
from torch import Tensor


def memory_energy(hidden: Tensor, kind: str, beta: float) -> Tensor:
    r"""Energy of a memory whose patterns overlap with the activity by h.

    .. math::
        E = -\frac12 \sum_\mu \max(h_\mu, 0)^2 \quad (\texttt{relu}), \qquad
        E = -\frac1\beta \log \sum_\mu e^{\beta h_\mu} \quad (\texttt{softmax})

    Args:
        hidden: Overlaps h, ``[..., K]``.
        kind: ``"relu"`` or ``"softmax"``.
        beta: Inverse temperature of the softmax.

    Returns:
        ``[...]``.
    """
    if kind == "relu":
        return -torch.relu(hidden).square().sum(-1) / 2
    return -torch.logsumexp(beta * hidden, -1) / beta


def recalled(hidden: Tensor, kind: str, beta: float) -> Tensor:
    """The negative gradient of :func:`memory_energy`: the weight of every pattern.

    Args:
        hidden: Overlaps h, ``[..., K]``.
        kind: ``"relu"`` or ``"softmax"``.
        beta: Inverse temperature of the softmax.

    Returns:
        ``[..., K]``.
    """
    return torch.relu(hidden) if kind == "relu" else torch.softmax(beta * hidden, -1)
