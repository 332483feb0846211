"""Gradients by backpropagation, through all steps of a recurrent model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from graphcolumns.nn.batches import Inputs, device_of, require_samples, split_evenly
from graphcolumns.ops.context import accumulator

Terms = Mapping[str, tuple[float, Callable[[nn.Module, Any, Tensor], Tensor]]]
PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def backprop(
    model: nn.Module,
    batch: tuple[Inputs, Tensor],
    terms: Terms,
    *,
    scaler: GradScaler,
    parts: int = 1,
    amp: str | None = None,
) -> Tensor:
    r"""Fills ``.grad`` with the gradient of :math:`\sum_k w_k \, L_k`.

    Args:
        model: Model that returns an output for the inputs.
        batch: Inputs, a tensor ``[B, ...]`` or a mapping of such tensors, and targets ``[B, ...]``.
        terms: Weight and term by name.
        scaler: Scaler of the loss for float16, disabled otherwise; gradients stay scaled.
        parts: Number of parts that the batch goes through the model in, each weighted by its share
            of the samples, which gives the gradient of the whole batch.
        amp: Precision of products: None, ``"bfloat16"`` or ``"float16"``.

    Returns:
        The value of every term, ``[len(terms)]``, detached.
    """
    inputs, targets = batch
    samples = require_samples(inputs)
    weights = [float(weight) for weight, _ in terms.values()]
    values = torch.zeros(len(terms), device=device_of(inputs))
    for x, y in zip(split_evenly(inputs, parts), targets.tensor_split(parts), strict=True):
        losses = _losses(model, x, y, terms, amp) * (len(y) / samples)
        scaler.scale(losses.new_tensor(weights) @ losses).backward()
        values += losses.detach()
    return values


def _losses(
    model: nn.Module, inputs: Inputs, targets: Tensor, terms: Terms, amp: str | None
) -> Tensor:
    """The value of every term, ``[len(terms)]``, in float32 or float64."""
    lower = None if amp is None else PRECISIONS[amp]
    with torch.autocast(device_of(inputs).type, dtype=lower, enabled=amp is not None):
        output = model(inputs)
    values = [term(model, output, targets) for _, term in terms.values()]
    return torch.stack([value.to(accumulator(value.dtype)) for value in values])
