"""Trials that leave a model as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Gradients, buffers and what modules keep between steps are afterwards as they were.

    Inside there are no gradients at first. Parameters are not looked at: rules step nothing.

    Args:
        model: Model.
    """
    gradients = [(p, p.grad) for p in model.parameters()]
    # Attributes too: norms keep the statistics of all passes until the next step.
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        for p, _ in gradients:
            p.grad = None
        yield
    finally:
        for p, gradient in gradients:
            p.grad = gradient
        for module, kept in attributes:
            vars(module).update(kept)
        for module, name, buffer, values in buffers:
            setattr(module, name, buffer)
            if not torch.equal(buffer, values):
                buffer.copy_(values)
