"""The signed sum along edges as an N x M product: the fastest form on nearly complete graphs.

The same two functions as :mod:`~graphcolumns.ops.edge_linear.reference`.
"""

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.dense import scatter_edges


def forward(x: Tensor, weight: Tensor, source: Tensor, target: Tensor, num_columns: int) -> Tensor:
    """``x [M, B, H, D]``, ``weight [E, H]`` -> ``[N, B, H, D]``; O(N M H) memory."""
    shape = (num_columns, x.shape[0])
    matrix = scatter_edges(weight, target, source, shape, 0.0)  # [N, M, H]
    return torch.einsum("nmh,mbhd->nbhd", matrix, x).contiguous()


def backward(
    grad: Tensor, x: Tensor, weight: Tensor, source: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """``dx = W^T dy``, and the entries of ``dy x^T`` that are edges."""
    grad_x = transposed(grad, weight, source, target, x.shape[0])
    return grad_x, products(grad, x, source, target)


def transposed(
    grad: Tensor, weight: Tensor, source: Tensor, target: Tensor, num_sources: int
) -> Tensor:
    """``W^T dy`` alone."""
    matrix = scatter_edges(weight, target, source, (grad.shape[0], num_sources), 0.0)
    return torch.einsum("nmh,nbhd->mbhd", matrix, grad).contiguous()


def products(grad: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The entries of ``dy x^T`` that are edges."""
    return torch.einsum("nbhd,mbhd->nmh", grad, x)[target.long(), source.long()]
