"""Scores of pairs in plain torch, chunk of pairs by chunk, slice of samples by slice."""

from collections.abc import Iterator
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.ops.column_attention.reference import dot
from graphcolumns.ops.context import accumulator

# 1 - p is at least this where it divides: what an edge leaves to the others is a difference of
# rounded numbers, and below it nothing of it is right.
CLIP = 1e-6
# Numbers of one gathered tensor [chunk, slice, H, D]: a few of them fit the cache of a core.
NUMBERS = 2**18
SLICE = 16


class Step(NamedTuple):
    """One step of a slice of samples ``b``; ``delta_i = g_i . out_i``."""

    q: Tensor  # [N, b or 1, H, D]
    k: Tensor  # [M, b, H, D]
    v: Tensor  # [M, b, H, Dv]
    lse: Tensor  # [N, b, H]
    grad_out: Tensor  # [N, b, H, Dv]
    delta: Tensor  # [N, b, H]
    bias: Tensor | None  # [P, 1] or [P, H]


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
    """Returns the rows of :class:`EdgeScores`, ``[10, P]``."""
    wide, batch = accumulator(q.dtype), k.shape[2]
    slice_size = max(1, min(batch, SLICE if slice_size is None else slice_size))
    if chunk is None:
        chunk = max(1, NUMBERS // (slice_size * q.shape[3] * max(q.shape[4], v.shape[4])))
    sums = torch.zeros(10, len(targets), dtype=wide, device=q.device)
    for first in range(0, batch, slice_size):
        samples = slice(first, first + slice_size)
        steps = list(_steps(q, k, v, lse, out, grad_out, bias, samples, wide))
        for start in range(0, len(targets), chunk):
            pairs = slice(start, start + chunk)
            alone = None if sole is None else sole[pairs]
            effects = _effects(steps, targets[pairs], sources[pairs], pairs, alone, scale)
            sums[:, pairs] += _over_samples(effects)
    return sums


def _steps(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    out: Tensor,
    grad_out: Tensor,
    bias: Tensor | None,
    samples: slice,
    wide: torch.dtype,
) -> Iterator[Step]:
    for t in range(q.shape[0]):
        arrived, given = grad_out[t][:, samples], out[t][:, samples]
        yield Step(
            q[t] if q.shape[2] == 1 else q[t][:, samples],
            k[t][:, samples],
            v[t][:, samples],
            lse[t][:, samples],
            arrived,
            dot(arrived.to(wide), given.to(wide)),
            _bias_of_step(bias, t),
        )


def _bias_of_step(bias: Tensor | None, t: int) -> Tensor | None:
    if bias is None or bias.dim() == 2:
        return bias
    return bias[:, None] if bias.dim() == 1 else bias[t]


def _effects(
    steps: list[Step],
    targets: Tensor,
    sources: Tensor,
    pairs: slice,
    sole: Tensor | None,
    scale: float,
) -> Tensor:
    """Per pair and sample, summed over steps and heads: ``[7, c, b]``.

    Mass, bias gradient, deletion, attention as a candidate, advantage, gate, insertion.
    """
    total: Tensor | None = None
    for step in steps:
        delta, log_ratio = _gathered(step, targets, sources, pairs, scale)
        advantage = delta[0] - delta[1]
        p, a, ratio, leaves = _weights(log_ratio)
        deletion = -leaves * advantage
        if sole is not None:  # nothing is left: the column receives 0
            deletion = torch.where(sole[:, None, None], -delta[1], deletion)
        terms = (p, p * advantage, deletion, a, advantage, ratio * advantage, a * advantage)
        summed = torch.stack([term.sum(2) for term in terms])
        total = summed if total is None else total + summed
    assert total is not None
    mean = 1.0 / (len(steps) * steps[0].lse.shape[2])
    total[0] *= mean
    total[3] *= mean
    return total


def _gathered(
    step: Step, targets: Tensor, sources: Tensor, pairs: slice, scale: float
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """``(g_i . v_j, g_i . out_i)`` and ``log rho = s_ij - lse_i``, each ``[c, b, H]``."""
    wide = step.delta.dtype
    query = step.q.index_select(0, targets).to(wide)
    s = scale * dot(query, step.k.index_select(0, sources).to(wide))
    if step.bias is not None:
        s = s + step.bias[pairs].to(wide)[:, None]
    arrived = step.grad_out.index_select(0, targets).to(wide)
    worth = dot(arrived, step.v.index_select(0, sources).to(wide))
    log_ratio = s - step.lse.index_select(0, targets).to(wide)
    # A closed pair (bias -inf) stays closed, also where nothing is open: no inf - inf.
    log_ratio = log_ratio.masked_fill(s == float("-inf"), float("-inf"))
    return (worth, step.delta.index_select(0, targets)), log_ratio


def _weights(log_ratio: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``p``, ``a = rho / (1 + rho)``, ``rho`` and ``p / (1 - p)``, finite for any ``log rho``."""
    capped = log_ratio.clamp(max=0.0)  # a mass is at most 1, whatever rounding says
    p = capped.exp().masked_fill(log_ratio == float("inf"), 0.0)  # no open edge: no mass
    leaves = p / (-capped.expm1()).clamp(min=CLIP)
    return p, log_ratio.sigmoid(), log_ratio.clamp(max=-log(CLIP)).exp(), leaves


def _over_samples(effects: Tensor) -> Tensor:
    """``[7, c, b]`` to the ten sums ``[10, c]`` in the order of EdgeScores."""
    mass, gradient, deletion, would_be, advantage, gate, insertion = effects
    rows = (
        mass, gradient, gradient.abs(), deletion, deletion**2,
        would_be, advantage, gate, insertion, insertion**2,
    )  # fmt: skip
    return torch.stack([row.sum(1) for row in rows])
