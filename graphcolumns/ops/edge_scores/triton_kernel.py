"""Scores of pairs in Triton: a program does a block of pairs, all samples, steps and heads."""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from graphcolumns.ops.column_attention.triton.lanes import lanes_of, numbers_of


@triton.jit
def rows_at(x, row, here, at, exists):
    """Numbers of a row per pair as float32: ``[PAIRS, *at.shape]`` at ``row [PAIRS]``."""
    if len(at.shape) == 1:
        row, here = row[:, None], here[:, None]
    else:
        row, here = row[:, None, None], here[:, None, None]
    return tl.load(x + row + at[None], mask=here & exists[None], other=0.0).to(tl.float32)


@triton.jit
def remainder(x, e):
    """``1 - e^x`` for ``x <= 0`` and ``e = e^x``, with all digits also near 0."""
    near = tl.where(x > -0.5, x, 0.0)
    total = tl.zeros_like(x) + 1.0 / 16
    for n in tl.static_range(14):
        total = total * near * (1.0 / (15 - n)) + 1.0 / (15 - n)
    return tl.where(x > -0.5, -(near + near * near * total), 1.0 - e)


@triton.jit
def over_heads(x, exists, BATCH: tl.constexpr, HEADS: tl.constexpr):
    """``[PAIRS, BATCH HEADS]`` to ``[PAIRS, BATCH]``."""
    x = tl.where(exists[None], x, 0.0)
    return tl.sum(tl.reshape(x, [x.shape[0], BATCH, HEADS]), 2)


@triton.jit(do_not_specialize=["pairs", "columns", "sources", "steps", "batch"])
def score_pairs(
    q,  # [T, N, B or 1, H, D]
    k,  # [T, M, B, H, D]
    v,  # [T, M, B, H, DV]
    grad,  # [T, N, B, H, DV]
    lse,  # [T, N, B, H]
    delta,  # [T, N, B, H]
    bias,  # [T or 1, P, H or 1], read if BIAS
    target,  # [P]
    source,
    sole,  # [P], read if SOLE
    sums,  # [10, P]
    pairs,
    columns,
    sources,
    steps,
    batch,
    scale,
    mean,  # 1 / (T H)
    H: tl.constexpr,
    D: tl.constexpr,
    DV: tl.constexpr,
    SHARED_QUERY: tl.constexpr,
    BIAS: tl.constexpr,  # values per pair, 0 for none
    BIAS_STEPS: tl.constexpr,  # whether every step has its own
    SOLE: tl.constexpr,
    CLIP: tl.constexpr,
    MOST: tl.constexpr,  # of log rho
    PAIRS: tl.constexpr,
    BATCH: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,  # powers of two from D and DV on
    VALUE_WIDTH: tl.constexpr,
):
    """The mathematics stands in __init__.py, and what is summed in reference.py; in float32."""
    e = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)
    here = e < pairs
    i = tl.load(target + e, mask=here, other=0).to(tl.int64)
    j = tl.load(source + e, mask=here, other=0).to(tl.int64)
    parts: tl.constexpr = (H + HEADS - 1) // HEADS
    nothing = tl.zeros([PAIRS], tl.float32)
    mass, gradient, size, deletion, deletion_square = nothing, nothing, nothing, nothing, nothing
    would_be, advantage, gate, insertion, insertion_square = (
        nothing, nothing, nothing, nothing, nothing,
    )  # fmt: skip
    for block in range(0, (batch + BATCH - 1) // BATCH):
        none = tl.zeros([PAIRS, BATCH], tl.float32)
        u_mass, u_gradient, u_deletion, u_would_be = none, none, none, none
        u_advantage, u_gate, u_insertion, u_given = none, none, none, none
        row, other, edge = i, j, e  # of the step: ids of int64, and so is what is added to them
        for t in range(0, steps):  # noqa: B007 (_ is taken)
            for part in range(block * parts, block * parts + parts):
                lane, head, exists = lanes_of(part, batch, H, BATCH, HEADS)
                at, width_exists = numbers_of(lane, exists, D, WIDTH)
                value_at, value_exists = numbers_of(lane, exists, DV, VALUE_WIDTH)
                query_at, query_lanes = at, batch * H
                if SHARED_QUERY:
                    query_at, _ = numbers_of(head.to(tl.int64), exists, D, WIDTH)
                    query_lanes = H
                mine, theirs = row * batch * H, other * batch * H
                queries = rows_at(q, row * query_lanes * D, here, query_at, width_exists)
                keys = rows_at(k, theirs * D, here, at, width_exists)
                s = tl.sum(queries * keys, 2) * scale
                if BIAS > 0:
                    if BIAS == 1:
                        s += tl.load(bias + edge, mask=here, other=0.0).to(tl.float32)[:, None]
                    else:
                        s += rows_at(bias, edge * BIAS, here, head, exists)
                arriving = rows_at(grad, mine * DV, here, value_at, value_exists)
                values = rows_at(v, theirs * DV, here, value_at, value_exists)
                given = rows_at(delta, mine, here, lane, exists)
                level = rows_at(lse, mine, here, lane, exists)
                gained = tl.sum(arriving * values, 2) - given
                closed = s == float("-inf")  # stays closed, also where nothing is open
                x = tl.where(closed, s, s - tl.where(closed, 0.0, level))
                below = tl.where(x > 0.0, 0.0, x)
                p = tl.exp(below)
                left = remainder(below, p)
                p = tl.where(x == float("inf"), 0.0, p)  # no open edge: no mass
                leaves = p / tl.where(left < CLIP, CLIP, left)
                small = tl.exp(tl.where(x > 0.0, -x, x))
                a = tl.where(x > 0.0, 1.0, small) / (1.0 + small)
                rho = tl.exp(tl.where(x > MOST, MOST, x))
                u_mass += over_heads(p, exists, BATCH, HEADS)
                u_gradient += over_heads(p * gained, exists, BATCH, HEADS)
                u_deletion -= over_heads(leaves * gained, exists, BATCH, HEADS)
                u_would_be += over_heads(a, exists, BATCH, HEADS)
                u_advantage += over_heads(gained, exists, BATCH, HEADS)
                u_gate += over_heads(rho * gained, exists, BATCH, HEADS)
                u_insertion += over_heads(a * gained, exists, BATCH, HEADS)
                if SOLE:
                    u_given += over_heads(given, exists, BATCH, HEADS)
            row += columns
            other += sources
            if BIAS_STEPS:
                edge += pairs
        if SOLE:  # nothing is left: the column receives 0
            alone = tl.load(sole + e, mask=here, other=0) != 0
            u_deletion = tl.where(alone[:, None], -u_given, u_deletion)
        mass += tl.sum(u_mass, 1)
        gradient += tl.sum(u_gradient, 1)
        size += tl.sum(tl.abs(u_gradient), 1)
        deletion += tl.sum(u_deletion, 1)
        deletion_square += tl.sum(u_deletion * u_deletion, 1)
        would_be += tl.sum(u_would_be, 1)
        advantage += tl.sum(u_advantage, 1)
        gate += tl.sum(u_gate, 1)
        insertion += tl.sum(u_insertion, 1)
        insertion_square += tl.sum(u_insertion * u_insertion, 1)
    to = sums + e
    stride = tl.zeros([1], tl.int64) + pairs
    tl.store(to, mass * mean, mask=here)
    tl.store(to + stride, gradient, mask=here)
    tl.store(to + 2 * stride, size, mask=here)
    tl.store(to + 3 * stride, deletion, mask=here)
    tl.store(to + 4 * stride, deletion_square, mask=here)
    tl.store(to + 5 * stride, would_be * mean, mask=here)
    tl.store(to + 6 * stride, advantage, mask=here)
    tl.store(to + 7 * stride, gate, mask=here)
    tl.store(to + 8 * stride, insertion, mask=here)
    tl.store(to + 9 * stride, insertion_square, mask=here)
