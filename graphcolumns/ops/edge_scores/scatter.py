"""Scores of pairs with torch-scatter: every row of every pair gathered, all pairs at once.

What the field writes today; kept as a peer to test and to measure against. Rows of targets, which
neighbours in the list share, come from ``gather_csr``.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphcolumns.graph.edges import pointers
from graphcolumns.ops.context import accumulator
from graphcolumns.ops.edge_scores.reference import CLIP


def edge_scores(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    out: Tensor,
    grad_out: Tensor,
    targets: Tensor,
    sources: Tensor,
    bias: Tensor | None,
    sole: Tensor | None,
    scale: float,
    chunk: int | None,
    slice_size: int | None,
) -> Tensor:
    """See :func:`~graphcolumns.ops.edge_scores.reference.edge_scores`; O(P B H D) memory."""
    from torch_scatter import gather_csr

    targets, order = targets.long().sort(stable=True)
    sources, rowptr, wide = (
        sources.long()[order],
        pointers(targets, q.shape[1]),
        accumulator(q.dtype),
    )
    effects = torch.zeros(7, len(targets), k.shape[2], dtype=wide, device=q.device)
    for t in range(len(q)):
        query, arriving, level, received = (
            gather_csr(x[t].to(wide).contiguous(), rowptr) for x in (q, grad_out, lse, out)
        )
        score = scale * (query * k[t].to(wide)[sources]).sum(-1)
        if bias is not None:
            score = score + _of_step(bias, t)[order].to(wide)[:, None]
        given = (arriving * received).sum(-1)
        advantage = (arriving * v[t].to(wide)[sources]).sum(-1) - given
        alone = None if sole is None else sole[order][:, None, None]
        effects += _effects(score, level, advantage, given, alone)
    effects[[0, 3]] /= len(q) * q.shape[3]
    sums = torch.empty(10, len(targets), dtype=wide, device=q.device)
    sums[:, order] = _summed(effects)
    return sums


def _of_step(bias: Tensor, t: int) -> Tensor:
    """``[P, 1]`` or ``[P, H]``."""
    if bias.dim() == 3:
        return bias[t]
    return bias[:, None] if bias.dim() == 1 else bias


def _effects(
    score: Tensor, level: Tensor, advantage: Tensor, given: Tensor, alone: Tensor | None
) -> Tensor:
    """Effects of one step, summed over heads, ``[7, P, B]`` in the order of the reference."""
    empty = level == float("-inf")
    x = torch.where(score == float("-inf"), score, score - level)
    p = torch.where(empty, 0.0, x.clamp(max=0.0).exp())
    deletion = -p / (-x.clamp(max=0.0).expm1()).clamp(min=CLIP) * advantage
    if alone is not None:
        deletion = torch.where(alone, -given, deletion)
    a, rho = logsigmoid(x).exp(), x.exp().clamp(max=1 / CLIP)
    terms = (p, p * advantage, deletion, a, advantage, rho * advantage, a * advantage)
    return torch.stack([term.sum(2) for term in terms])


def _summed(effects: Tensor) -> Tensor:
    """Over samples, ``[10, P]``."""
    mass, gradient, deletion, would_be, advantage, gate, insertion = effects
    rows = (
        mass, gradient, gradient.abs(), deletion, deletion**2,
        would_be, advantage, gate, insertion, insertion**2,
    )  # fmt: skip
    return torch.stack(rows).sum(2)
