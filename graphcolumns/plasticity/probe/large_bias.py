"""Scores of edges where biases are large: counted from the highest bias of their column.

A constant on all in-edges of a column changes nothing that it receives. Where it is large, ``lse``
has lost to rounding what tells edges apart, so the bias and ``lse`` are taken without it.
"""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import column_attention
from graphcolumns.ops.column_attention.closed import centred
from graphcolumns.plasticity.probe.pair_bias import both_per_head, pair_bias
from graphcolumns.plasticity.probe.stacked import AttentionTrace

# From here on a float32 `lse` is off by more than one millionth.
LARGE = 16.0


def from_highest(
    bias: Tensor, newborn: Tensor | None, graph: ColumnGraph, ids: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """As :func:`pair_bias`, and the bias of the edges, both less the highest of their column."""
    if bias.dim() == 3:
        steps = [from_highest(b, newborn, graph, ids, targets) for b in bias]
        return torch.stack([pairs for pairs, _ in steps]), torch.stack([own for _, own in steps])
    shifted, level = centred(bias, graph.target, graph.num_columns)
    assert shifted is not None
    assert level is not None
    if newborn is not None:
        given, below = both_per_head(newborn.to(level.dtype), level.index_select(0, targets))
        newborn = given - below
    pairs = pair_bias(shifted, newborn, graph, ids, targets)
    assert pairs is not None
    return pairs, shifted


def lse_from_highest(part: AttentionTrace, bias: Tensor, graph: ColumnGraph) -> Tensor:
    """``lse [T, N, b, H]`` of attention with the second result of :func:`from_highest`."""
    steps = [
        column_attention(
            q, k, k[..., :1], graph, bias=bias[t] if bias.dim() == 3 else bias, scale=part.scale
        ).lse
        for t, (q, k) in enumerate(zip(part.q, part.k, strict=True))
    ]
    # Heads that receive nothing go on receiving nothing.
    return torch.where(part.lse == float("-inf"), part.lse, torch.stack(steps).to(part.lse.dtype))
