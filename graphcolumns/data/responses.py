"""Responses of simulated units to the digits: a regression with masks and noise ceilings."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.digits import digits
from graphcolumns.data.regression import Regression, masked
from graphcolumns.nn.batches import first_tensor


def responses(units: int = 32, noise: float = 0.5, missing: float = 0.1, seed: int = 0) -> Dataset:
    r"""What units with random weights answer to the handwritten digits, with noise and gaps.

    Unit :math:`v` answers :math:`y_v = s_v(\max(0, w_v^\top x)) + \sigma \varepsilon` to the pixels
    :math:`x` of an image, with normal weights :math:`w_v` and normal noise :math:`\varepsilon`.
    :math:`s_v` brings the mean of its answers to the training images to 0 and their variance to 1,
    so that the images can explain the share :math:`1 / (1 + \sigma^2)` of the variance: the noise
    ceiling of every unit. Recordings look like that: many responses to one image, some of which
    were not measured.

    Args:
        units: Number of units ``V``.
        noise: Standard deviation of the noise, in standard deviations of the answers without it.
        missing: Share of the responses that were not measured, in ``[0, 1)``.
        seed: Seed of weights, noise and gaps.

    Returns:
        Task :class:`~graphcolumns.data.Regression`: inputs ``[n, 1, 8, 8]`` as those of
        :func:`~graphcolumns.data.digits`, targets ``[n, V]``, NaN where nothing was measured.

    Raises:
        ValueError: A number is out of range.
    """
    if units < 1 or not 0 <= noise < float("inf") or not 0 <= missing < 1:
        raise ValueError(
            "responses needs units >= 1, noise >= 0 and 0 <= missing < 1. "
            f"Got units={units}, noise={noise}, missing={missing}."
        )
    images = digits()
    draws = torch.Generator().manual_seed(seed)
    pixels = [first_tensor(x).flatten(1) for x in (images.train_inputs, images.test_inputs)]
    weights = torch.randn(pixels[0].shape[1], units, generator=draws)
    halves = [torch.relu(x @ weights) for x in pixels]
    mean, deviation = halves[0].mean(0), halves[0].std(0).clamp(min=1e-6)

    def measured(answers: Tensor) -> Tensor:
        known = torch.rand(answers.shape, generator=draws) >= missing
        noisy = (answers - mean) / deviation + noise * torch.randn(answers.shape, generator=draws)
        return masked(noisy, known)

    ceiling = torch.full((units,), 1 / (1 + noise**2))
    task = Regression(noise_ceiling=ceiling, missing=missing > 0)
    train, test = (measured(answers) for answers in halves)
    return Dataset(images.train_inputs, train, images.test_inputs, test, task=task)
