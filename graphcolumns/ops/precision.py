"""In which precision ops multiply and add: half precisions are summed in float32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The dtype of sums over edges."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype of products with ``x``: that of autocast where it is on and applies to ``x``."""
    if not x.is_floating_point() or x.dtype == torch.float64 or not _autocasts(x):
        return x.dtype
    return torch.get_autocast_dtype(x.device.type)


def as_given(x: Tensor) -> AbstractContextManager:
    """Turns autocast off: a kernel has chosen its dtypes, and backward must repeat forward."""
    return torch.autocast(x.device.type, enabled=False) if _autocasts(x) else nullcontext()


def _autocasts(x: Tensor) -> bool:
    """Whether autocast is on for the device of ``x``; the meta device has no autocast."""
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)
