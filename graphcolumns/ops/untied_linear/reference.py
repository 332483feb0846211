"""One linear map per column in plain torch: the definition, and the oracle of the fast forms."""

import torch
from torch import Tensor


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``y_n = x_n W_n + b_n`` of ``x [N, B, Cin]`` and ``weight [N, Cin, Cout]``."""
    y = torch.einsum("nbi,nio->nbo", x, weight)
    return y if bias is None else y + bias[:, None, :]


def backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``dx_n = dy_n W_n^T``, ``dW_n = x_n^T dy_n`` and ``db_n = sum_b dy_nb``."""
    grad_x = torch.einsum("nbo,nio->nbi", grad, weight)
    grad_weight = torch.einsum("nbi,nbo->nio", x, grad)
    return grad_x, grad_weight, grad.sum(1)
