"""Whether a learning rule goes with a model and its losses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from graphcolumns.data import AnyDataset
from graphcolumns.learning import backprop
from graphcolumns.learning.backprop import Terms
from graphcolumns.nn.unchanged import unchanged
from graphcolumns.training.step import Learn


def try_learning(
    model: nn.Module,
    data: AnyDataset,
    terms: Terms,
    learn: Learn,
    *,
    augmentation: Callable[..., Tensor] | None = None,
    amp: str | None = None,
) -> None:
    """Let a rule fill gradients for two training samples, and forget them.

    So that a rule that refuses a model, a loss or an option does so before anything is written.
    Backpropagation goes with all of them and is not tried.

    Args:
        model: Model, on the device of the data.
        data: Data set that the samples come from.
        terms: Weight and term by name.
        learn: Learning rule.
        augmentation: Augmentation of training batches, as in ``train``.
        amp: Precision of products.

    Raises:
        TypeError: ``learn`` is no function.
    """
    if not callable(learn):
        raise TypeError(
            "learn must be a function, such as learning.counter_hebb. Got "
            f"{learn!r}; import it from graphcolumns.learning."
        )
    if (learn.func if isinstance(learn, partial) else learn) is backprop:
        return
    inputs, targets = data.batch("train", torch.arange(min(2, data.size("train"))))
    if augmentation is not None:
        inputs = augmentation(inputs, generator=torch.Generator())
    with unchanged(model):
        learn(model, (inputs, targets), terms, scaler=GradScaler(enabled=False), parts=1, amp=amp)
