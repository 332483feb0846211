"""In which precision ops multiply and add: half precisions are summed in float32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The dtype of sums over edges."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype of products with ``x``: that of autocast where it is on and applies to ``x``."""
    device = x.device.type
    if not x.is_floating_point() or x.dtype == torch.float64:
        return x.dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def as_given(x: Tensor) -> AbstractContextManager:
    """Turns autocast off: a kernel has chosen its dtypes, and backward must repeat forward."""
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
