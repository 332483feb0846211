"""Pure functions on tensors and graphs."""

from graphcolumns.ops.column_attention import Attention, column_attention
from graphcolumns.ops.edge_linear import edge_linear
from graphcolumns.ops.edge_linear.products import edge_products
from graphcolumns.ops.edge_linear.transposed import edge_linear_transposed
from graphcolumns.ops.edge_scores import EdgeScores, edge_scores
from graphcolumns.ops.segment import segment_softmax, segment_sum
from graphcolumns.ops.untied_linear import untied_linear

__all__ = [
    "Attention",
    "EdgeScores",
    "column_attention",
    "edge_linear",
    "edge_linear_transposed",
    "edge_products",
    "edge_scores",
    "segment_softmax",
    "segment_sum",
    "untied_linear",
]
