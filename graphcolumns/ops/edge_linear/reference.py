"""The signed sum along edges in plain torch: the definition, and the oracle of every backend."""

import torch
from torch import Tensor

from graphcolumns.ops.context import batched
from graphcolumns.ops.segment import segment_sum


def forward(x: Tensor, weight: Tensor, source: Tensor, target: Tensor, num_columns: int) -> Tensor:
    """``y_i = sum_j w_ij x_j`` of ``x [M, B, H, D]`` and ``weight [E, H]``: ``[N, B, H, D]``."""
    messages = weight[:, None, :, None] * x.index_select(0, source)
    return segment_sum(messages, target, num_columns)


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, source: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    r"""``dx_j = sum_i w_ij dy_i`` and ``dw_ij = dy_i . x_j``, on existing edges only."""
    grad_e = grad.index_select(0, target)
    grad_x = segment_sum(weight[:, None, :, None] * grad_e, source, x.shape[0])
    return grad_x, _products(grad_e, x.index_select(0, source))


def products(grad: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """``dw_ij = dy_i . x_j`` alone, ``[E, H]``."""
    return _products(grad.index_select(0, target), x.index_select(0, source))


def _products(grad_e: Tensor, x_e: Tensor) -> Tensor:
    if batched(grad_e):
        return (grad_e * x_e).sum((1, 3))
    return torch.einsum("ebhd,ebhd->eh", grad_e, x_e)
