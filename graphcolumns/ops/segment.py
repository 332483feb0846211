"""Reductions over the in-edges of every column (rows of a CSR)."""

import torch
from torch import Tensor

from graphcolumns.ops.context import accumulator


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    r"""Sums edge values by column, ``out_i = \sum_{e: index_e = i} values_e``.

    Differentiable twice; ``index`` need not be sorted. Half precisions are added in float32. On a
    CPU edges are added in their order at any number of threads; on CUDA the order needs
    ``torch.use_deterministic_algorithms(True)``.

    Args:
        values: ``[E, ...]``.
        index: ``[E]`` int32 or int64 ids, the ``target`` or the ``source`` of a graph.
        num_segments: Number of columns ``N``.

    Returns:
        ``[N, ...]``.
    """
    wide = accumulator(values.dtype)
    out = values.new_zeros((num_segments, *values.shape[1:]), dtype=wide)
    return out.index_add(0, index, values.to(wide)).to(values.dtype)


def segment_max(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """The maximum of edge values by column, detached; ``-inf`` without in-edges.

    It only shifts exponents, and softmax does not depend on the shift: no gradient is due.

    Args:
        values: ``[E, ...]``.
        index: ``[E]``.
        num_segments: Number of columns ``N``.

    Returns:
        ``[N, ...]``.
    """
    out = values.new_full((num_segments, *values.shape[1:]), float("-inf"))
    rows = index.long().view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return out.scatter_reduce(0, rows, values.detach(), "amax")


def segment_softmax(scores: Tensor, index: Tensor, num_segments: int) -> Tensor:
    r"""Softmax over the in-edges of every column, ``p_e = e^{s_e} / \sum_{e'} e^{s_{e'}}``.

    Differentiable twice.

    Args:
        scores: ``[E, ...]``.
        index: ``[E]``, the ``target`` of a graph.
        num_segments: Number of columns ``N``.

    Returns:
        ``[E, ...]``; sums to one over the in-edges of a column. A column whose scores are all
        ``-inf`` gets zeros.
    """
    dtype = scores.dtype
    scores = scores.to(accumulator(dtype))
    highest = segment_max(scores, index, num_segments)
    highest = highest.masked_fill(highest == float("-inf"), 0.0)
    mass = torch.exp(scores - highest.index_select(0, index))
    total = segment_sum(mass, index, num_segments)
    total = total.masked_fill(total == 0.0, 1.0)
    return (mass / total.index_select(0, index)).to(dtype)
