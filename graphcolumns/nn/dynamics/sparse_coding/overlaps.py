"""Where atoms on edges have inputs in common."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids


def overlaps(lateral: ColumnGraph, fields: ColumnGraph) -> tuple[Tensor, Tensor, Tensor]:
    """Where the atoms at both ends of lateral edges have inputs in common.

    Args:
        lateral: Edges between units.
        fields: Edges from inputs to units, such as pixels to the columns that see them.

    Returns:
        Three int64 tensors with an entry per common input: the lateral edge, the edge from the
        input to its target, and that from the input to its source.
    """
    target, source = lateral.target.long(), lateral.source.long()
    count = fields.in_degree[target]
    edge = torch.arange(len(count), device=count.device).repeat_interleave(count)
    start = fields.rowptr[target] - (count.cumsum(0) - count)
    first = torch.arange(len(edge), device=edge.device) + start[edge]
    second = edge_ids(fields, source[edge], fields.source[first])
    common = second >= 0
    return edge[common], first[common], second[common]


def overlap_sums(
    lateral: ColumnGraph, common: tuple[Tensor, Tensor, Tensor], weight: Tensor
) -> Tensor:
    """Inner products of the atoms at both ends of lateral edges, ``[E]``, with their gradient.

    Args:
        lateral: Edges between units.
        common: Where atoms have inputs in common, see :func:`overlaps`.
        weight: Value of every input in every atom, one for each edge from inputs to units.
    """
    edge, first, second = common
    products = weight[first] * weight[second]
    return products.new_zeros(lateral.num_edges).index_add(0, edge, products)
