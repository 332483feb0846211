"""The cost of an error, and what it sends to the layers that predicted."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.states import as_rows
from graphcolumns.nn.dynamics.predictive_coding.layer import Layer, summed


def signal_of(layer: Layer, values: Tensor, prediction: Tensor, batch_dim: int) -> Tensor:
    """The precision-weighted error: the negative gradient of its cost by the prediction."""
    if layer.loss == "squared":
        return layer.weighted(values - prediction, batch_dim)
    probabilities = as_rows(prediction, batch_dim).softmax(1)
    shape = prediction.movedim(batch_dim, 0).shape
    spread = probabilities.reshape(shape).movedim(0, batch_dim)
    weights = layer.weighted(values, batch_dim)
    # Targets that do not sum to 1 weigh their sample, as precisions do.
    total = summed(weights, batch_dim).reshape([-1] + [1] * (prediction.dim() - 1))
    return weights - total.movedim(0, batch_dim) * spread


def energy_of(layer: Layer, values: Tensor, prediction: Tensor, batch_dim: int) -> Tensor:
    """The cost of the error of every sample, ``[B]``."""
    if layer.loss == "squared":
        error = values - prediction
        return summed(layer.weighted(error.square(), batch_dim), batch_dim) / 2
    logits = torch.log_softmax(as_rows(prediction, batch_dim), 1)
    return -(as_rows(layer.weighted(values, batch_dim), batch_dim) * logits).sum(1)
