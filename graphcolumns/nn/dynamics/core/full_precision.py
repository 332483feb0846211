"""Dynamics in the precision of their tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

DEVICES = ("cpu", "cuda", "xpu", "mps")


@contextmanager
def full_precision() -> Iterator[None]:
    """Turns autocast off: a state that is rounded in every step does not come to rest."""
    with ExitStack() as stack:
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def widened(x: Tensor, like: Tensor) -> Tensor:
    """Half precisions, which autocast hands over, in the dtype of ``like``; others as they are."""
    return x.to(like.dtype) if x.dtype in (torch.float16, torch.bfloat16) else x
