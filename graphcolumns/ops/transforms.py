"""Where an op must be plain torch: under function transforms and in forward mode.

A registered op knows one derivative, in reverse mode. What ``torch.func`` does (``grad``, ``vmap``,
``jacfwd``, ``hessian`` and their compositions) and what ``torch.autograd.forward_ad`` does is left
to torch, by giving it the operations that it knows.
"""

import torch
from torch import Tensor
from torch.autograd import forward_ad


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
