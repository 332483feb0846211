"""Two formulas that share no input, to be learned by one network."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.regression import Regression

# Inputs that each target depends on.
FORMULA_INPUTS = ((0, 2), (1, 3))


def two_formulas(train: int = 1000, test: int = 1000, seed: int = 0) -> Dataset:
    r"""Four numbers, and two targets that depend on two of them each.

    .. math::
        y_1 = (x_1 + x_3)^3, \qquad y_2 = x_2^2 + \sin(\pi x_4),
        \qquad x_k \sim U(-1, 1)

    A network that learns both could consist of two parts without an edge between them. No target
    has noise, so that :math:`R^2 = 1` can be reached.

    Args:
        train: Number of training samples; the publication has 100.
        test: Number of held-out samples.
        seed: Seed of the samples.

    Returns:
        Task :class:`~graphcolumns.data.Regression`: inputs ``[n, 4]``, targets ``[n, 2]``.

    Raises:
        ValueError: Fewer than two samples in a half.

    Source: Liu, Gan & Tegmark, Seeing is believing: Brain-inspired modular training for mechanistic
    interpretability, Entropy 26 (2024), https://doi.org/10.3390/e26010041; formulas and range from
    https://github.com/KindXiaoming/BIMT.
    """
    if min(train, test) < 2:
        raise ValueError(f"two_formulas needs train >= 2 and test >= 2. Got {train} and {test}.")
    draws = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(train + test, 4, generator=draws) - 1
    y = formula_values(x)
    return Dataset(x[:train], y[:train], x[train:], y[train:], task=Regression())


def formula_values(x: Tensor) -> Tensor:
    """Both targets of :func:`two_formulas`, ``[n, 2]``, of inputs ``[n, 4]``."""
    first = (x[:, 0] + x[:, 2]) ** 3
    second = x[:, 1] ** 2 + torch.sin(torch.pi * x[:, 3])
    return torch.stack([first, second], dim=1)
