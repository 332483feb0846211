"""Under what an op is called: the precision of products, autocast, and function transforms.

Half precisions are summed in float32. Under function transforms and in forward mode an op must be
plain torch: a registered op knows one derivative, in reverse mode. What ``torch.func`` does
(``grad``, ``vmap``, ``jacfwd``, ``hessian`` and their compositions) and what
``torch.autograd.forward_ad`` does is left to torch, by giving it the operations that it knows.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad


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


def check_precision(x: Tensor, weight: Tensor) -> None:
    """Raises TypeError for an input that cannot be multiplied with the weights."""
    if product_dtype(x) != product_dtype(weight):
        raise TypeError(
            f"x must be {weight.dtype} like the weights, got {x.dtype}: convert the input or the "
            "module with .to(dtype), or use torch.autocast"
        )


def transformed() -> bool:
    """Whether a function transform or a level of forward-mode differentiation is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def batched(*tensors: Tensor | None) -> bool:
    """Whether gradients arrive in batches: ``torch.autograd.grad(..., is_grads_batched=True)``.

    What ``torch.autograd.functional.jacobian(vectorize=True)`` does too. Its batching is not that
    of ``torch.vmap``: it knows fewer operations.
    """
    if torch.compiler.is_compiling():
        return False
    return any(x is not None and torch._C._functorch.is_legacy_batchedtensor(x) for x in tensors)
