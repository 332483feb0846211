"""The signed sum along edges as an N x M product: the fastest form on nearly complete graphs."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.column_attention.dense import scatter_edges


def edge_linear(x: Tensor, weight: Tensor, graph: ColumnGraph) -> Tensor:
    """``x [M, B, H, D]``, ``weight [E, H]`` -> ``[N, B, H, D]``; O(N M H) memory."""
    matrix = scatter_edges(weight, graph, 0.0)  # [N, M, H]
    return torch.einsum("nmh,mbhd->nbhd", matrix, x)
