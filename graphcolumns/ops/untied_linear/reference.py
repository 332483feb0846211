"""One linear map per column by the batched products of torch: the definition.

What runs on GPUs, in half precision and under a compiler, and the oracle of the C++ kernels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``y_n = x_n W_n + b_n`` of ``x [N, B, Cin]`` and ``weight [N, Cin, Cout]``."""
    if bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(bias[:, None, :], x, weight)


def transposed(grad: Tensor, weight: Tensor) -> Tensor:
    """``dx_n = dy_n W_n^T``, ``[N, B, Cin]``, of ``grad [N, B, Cout]``."""
    return torch.bmm(grad, weight.transpose(1, 2))


def gradient(xs: Sequence[Tensor], grads: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """``dW_n = sum_t x_tn^T dy_tn`` and ``db_n = sum_t sum_b dy_tnb``.

    Of pairs ``[N, B, Cin]`` and ``[N, B, Cout]``, one per step; ``[N, Cin, Cout]``, ``[N, Cout]``.
    """
    x, grad = torch.cat(list(xs), 1), torch.cat(list(grads), 1)
    return torch.bmm(x.transpose(1, 2), grad), grad.sum(1)
