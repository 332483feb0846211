"""The additive score of pairs: that of their edge, or the one that they would be born with.

A constant on all in-edges of a column changes nothing that it receives. Where it is large, ``lse``
has lost to rounding what tells edges apart, so the bias and ``lse`` are taken without it.
"""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import column_attention
from graphcolumns.ops.column_attention.closed import centred
from graphcolumns.plasticity.probe.stacked import AttentionTrace

# From here on a float32 `lse` is off by more than one millionth.
LARGE = 16.0


def mean_of_open(bias: Tensor, graph: ColumnGraph) -> Tensor:
    r"""The mean score of the open in-edges of every column, :math:`\bar b_i`.

    A newborn with that score is neither favoured nor starved, and adding a constant to all scores
    of a column, which changes nothing that it receives, changes no score of a candidate.

    Args:
        bias: ``[E]`` or ``[E, H]``; ``-inf`` closes an edge.
        graph: Edges of the columns.

    Returns:
        ``[N]`` or ``[N, H]``, 0 for a column without open in-edges.
    """
    is_open = bias != float("-inf")
    ends = graph.rowptr.to(bias.device)
    # Sums over sorted segments: one writer per column, so the same bits at any thread count.
    total, count = (
        torch.segment_reduce(values, "sum", offsets=ends, initial=0)
        for values in (bias.masked_fill(~is_open, 0.0), is_open.to(bias.dtype))
    )
    return total / count.clamp(min=1.0)


def check_newborn(newborn: Tensor, pairs: int) -> None:
    """Raises ValueError unless there is one score, or one per head, for each pair."""
    if newborn.dim() not in (1, 2) or len(newborn) != pairs:
        raise ValueError(
            f"newborn_bias must hold one score per pair, [P] = [{pairs}] or [P, H], "
            f"got {list(newborn.shape)}"
        )


def pair_bias(
    bias: Tensor | None,
    newborn: Tensor | None,
    graph: ColumnGraph,
    ids: Tensor,
    targets: Tensor,
) -> Tensor | None:
    """Scores of pairs as edge_scores takes them.

    Args:
        bias: Scores of the edges: ``[E]``, ``[E, H]``, ``[T, E, H]`` or None.
        newborn: Scores of pairs that are no edges, ``[P]`` or ``[P, H]`` (default:
            :func:`mean_of_open`).
        graph: Edges of the columns.
        ids: ``[P]``, see :func:`edge_ids`.
        targets: ``[P]``.

    Returns:
        ``[P]``, ``[P, H]``, ``[T, P, H]`` or None.

    Raises:
        ValueError: ``newborn`` of another shape.
    """
    if newborn is not None:
        check_newborn(newborn, len(ids))
    if bias is None:
        return None if newborn is None else _on_candidates(newborn, ids)
    if bias.dim() == 3:
        steps = [pair_bias(b, newborn, graph, ids, targets) for b in bias]
        return torch.stack([x for x in steps if x is not None])
    born = mean_of_open(bias, graph).index_select(0, targets) if newborn is None else newborn
    there = bias.index_select(0, ids.clamp(min=0)) if len(bias) else torch.zeros_like(born)
    born = born.to(bias.dtype)
    if there.dim() != born.dim():
        there, born = both_per_head(there, born)
    is_edge = ids >= 0
    return torch.where(is_edge if there.dim() == 1 else is_edge[:, None], there, born)


def _on_candidates(newborn: Tensor, ids: Tensor) -> Tensor:
    is_edge = ids >= 0
    return newborn.masked_fill(is_edge if newborn.dim() == 1 else is_edge[:, None], 0.0)


def both_per_head(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both per head if one of them is."""
    if x.dim() == y.dim():
        return x, y
    return (x[:, None].expand_as(y), y) if x.dim() < y.dim() else (x, y[:, None].expand_as(x))


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
