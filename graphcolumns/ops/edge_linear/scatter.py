"""The signed sum along edges with torch-scatter: gather, multiply, segment sum."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.context import accumulator


def edge_linear(x: Tensor, weight: Tensor, graph: ColumnGraph) -> Tensor:
    """``x [M, B, H, D]``, ``weight [E, H]`` -> ``[N, B, H, D]``; O(E B C) memory."""
    from torch_scatter import segment_csr

    dtype = torch.promote_types(x.dtype, weight.dtype)
    wide = accumulator(dtype)
    messages = weight.to(wide)[:, None, :, None] * x.to(wide).index_select(0, graph.source)
    return segment_csr(messages, graph.rowptr, reduce="sum").to(dtype)
