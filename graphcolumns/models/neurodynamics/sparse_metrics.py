"""Metrics of models that settle, functions of (model, data) for ``train`` and configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.nn.held_out import reads_held_out
from graphcolumns.nn.recording import evaluating

BATCH = 256


@reads_held_out
def mean_energy(model: nn.Module, data: Any) -> float:
    """Mean energy of held-out samples at the fixed point."""
    return _mean(model, data, lambda inputs: model(inputs).energy)


@reads_held_out
def mean_iterations(model: nn.Module, data: Any) -> float:
    """Mean number of iterations that held-out samples take."""
    return _mean(model, data, lambda inputs: model(inputs).iterations)


@reads_held_out
def final_residual(model: nn.Module, data: Any) -> float:
    """Mean distance of held-out samples from the fixed point at the end of ``relaxation``."""
    settling: Any = model
    return _mean(model, data, lambda inputs: settling.relaxation(inputs).residual[-1])


@reads_held_out
def active_share(model: nn.Module, data: Any) -> float:
    """Mean share of columns whose state is not zero on held-out samples."""
    return _mean(model, data, lambda inputs: (model(inputs).state != 0).double().mean((0, 2)))


@torch.no_grad()
def _mean(model: nn.Module, data: Any, measure: Callable[[Tensor], Tensor]) -> float:
    """The mean over held-out samples of a number per sample."""
    with evaluating(model):
        batches = data.in_order("test", BATCH, data.num_scored("test"))
        return float(torch.cat([measure(inputs).double() for inputs, _ in batches]).mean())
