"""The signed sum along edges with torch-scatter: gather, multiply, segment sum."""

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.precision import accumulator


def edge_linear(x: Tensor, weight: Tensor, graph: ColumnGraph) -> Tensor:
    """``x [M, B, H, D]``, ``weight [E, H]`` -> ``[N, B, H, D]``; O(E B C) memory."""
    from torch_scatter import segment_csr

    messages = weight[:, None, :, None] * x.index_select(0, graph.source)
    wide = accumulator(messages.dtype)
    return segment_csr(messages.to(wide), graph.rowptr, reduce="sum").to(messages.dtype)
