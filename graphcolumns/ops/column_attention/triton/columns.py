"""The backward pass of attention over columns in Triton: gradients of q, bias and cost, no atomics.

Every row of a gradient has one writer, which adds in a fixed order. The mathematics stands in
reference.py.
"""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from graphcolumns.ops.column_attention.triton.lanes import (
    dropout_factors,
    edge_values,
    finite,
    gather,
    lanes_of,
    numbers_of,
    read_lanes,
    without,
)


@triton.jit
def add_to_edges(
    sums,
    e,
    here,
    part,
    values,
    exists,
    H: tl.constexpr,
    COUNT: tl.constexpr,
    BATCH: tl.constexpr,
    HEADS: tl.constexpr,
):
    """Adds ``values [EDGES, lanes]`` over lanes (COUNT 1) or batch elements (COUNT H)."""
    values = tl.where(here[:, None] & exists[None], values, 0.0)
    if COUNT == 1:
        at = sums + e
        tl.store(at, tl.load(at, mask=here, other=0.0) + tl.sum(values, 1), mask=here)
    else:
        if BATCH > 1:
            values = tl.sum(tl.reshape(values, [values.shape[0], BATCH, HEADS]), 1)
        h = (part % ((H + HEADS - 1) // HEADS)) * HEADS + tl.arange(0, HEADS)
        at = sums + e[:, None] * COUNT + h[None, :]
        exists_here = here[:, None] & (h < H)[None, :]
        tl.store(at, tl.load(at, mask=exists_here, other=0.0) + values, mask=exists_here)


@triton.jit(
    do_not_specialize=["columns", "edges", "batch", "patches", "patch", "parts", "parts_each"]
)
def differentiate_columns(
    q,
    k,
    v,
    bias,
    cost,
    rowptr,
    source,
    seed,
    out,
    total,
    highest,
    log_mass,
    grad_out,
    grad_total,
    grad_lse,  # read if GRAD_LSE
    delta,  # [N, B, H], for the pass over sources
    grad_q,  # [N, B, H, D]
    grad_bias,  # [groups, E] or [groups, E, H] zeros, one group per part of the lanes
    grad_cost,
    columns,
    edges,
    batch,
    patches,
    patch,
    parts,  # slices of the lanes
    parts_each,  # of them per program, which adds to its own sums over the batch
    scale,
    rate,
    kept,
    H: tl.constexpr,
    D: tl.constexpr,
    DV: tl.constexpr,
    SHARED_QUERY: tl.constexpr,
    BIAS: tl.constexpr,
    COST: tl.constexpr,
    DROPOUT: tl.constexpr,
    GRAD_LSE: tl.constexpr,
    EDGES: tl.constexpr,
    BATCH: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUE_WIDTH: tl.constexpr,
):
    """delta, and the gradients of q, bias and cost, from the in-edges of a column."""
    program = tl.program_id(0)
    first = (program % patches).to(tl.int64) * patch
    group = program // patches
    for part in range(group * parts_each, tl.minimum(group * parts_each + parts_each, parts)):
        lane, head, exists = lanes_of(part, batch, H, BATCH, HEADS)
        at, width_exists = numbers_of(lane, exists, D, WIDTH)
        value_at, value_exists = numbers_of(lane, exists, DV, VALUE_WIDTH)
        query_at, query_lanes = at, batch * H
        if SHARED_QUERY:
            query_at, _ = numbers_of(head.to(tl.int64), exists, D, WIDTH)
            query_lanes = H
        for n in range(0, tl.minimum(patch, columns - first)):
            i = first + n
            begin, end = tl.load(rowptr + i), tl.load(rowptr + i + 1)
            mine = i * batch * H
            query = read_lanes(q, i * query_lanes * D, query_at, width_exists)
            arriving = read_lanes(grad_out, mine * DV, value_at, value_exists)
            above = read_lanes(highest, mine, lane, exists)
            rest = finite(read_lanes(log_mass, mine, lane, exists))
            expected = tl.sum(arriving * read_lanes(out, mine * DV, value_at, value_exists), 1)
            if GRAD_LSE:
                expected -= read_lanes(grad_lse, mine, lane, exists)
            if COST > 0:
                arriving_cost = read_lanes(grad_total, mine, lane, exists)
                expected += arriving_cost * read_lanes(total, mine, lane, exists)
            tl.store(delta + mine + lane, expected, mask=exists)
            sum_query = tl.zeros([BATCH * HEADS, WIDTH], tl.float32)
            for start in range(begin, end, EDGES):
                e = start + tl.arange(0, EDGES).to(tl.int64)
                here = e < end
                row = tl.load(source + e, mask=here, other=0).to(tl.int64) * batch * H
                keys = gather(k, row * D, here, at, width_exists)
                values = gather(v, row * DV, here, value_at, value_exists)
                if BIAS > 0:
                    biases = edge_values(bias, e, here, head, exists, BIAS)
                    closed = biases == float("-inf")
                    keys, values = without(keys, closed), without(values, closed)
                s = tl.sum(query[None] * keys, 2) * scale
                if BIAS > 0:
                    s = tl.where(closed, float("-inf"), s + biases)
                s = tl.where(here[:, None], s, float("-inf"))
                p = tl.exp((s - above[None]) - rest[None])
                dp = tl.sum(arriving[None] * values, 2)
                if COST > 0:
                    costs = edge_values(cost, e, here, head, exists, COST)
                    dp += arriving_cost[None] * costs
                p_kept = p
                if DROPOUT:
                    keep = dropout_factors(seed, e, lane, batch, rate, kept, H)
                    dp = tl.where(keep == 0.0, 0.0, dp * keep)
                    p_kept = p * keep
                ds = p * (dp - expected[None])
                if BIAS > 0:
                    ds = tl.where(closed, 0.0, ds)
                    p_kept = tl.where(closed, 0.0, p_kept)
                sum_query += tl.sum(ds[:, :, None] * keys, 0)
                if BIAS > 0:
                    sums = grad_bias + group.to(tl.int64) * edges * BIAS
                    add_to_edges(sums, e, here, part, ds, exists, H, BIAS, BATCH, HEADS)
                if COST > 0:
                    sums = grad_cost + group.to(tl.int64) * edges * COST
                    gained = p_kept * arriving_cost[None]
                    if BIAS > 0:
                        gained = tl.where(closed, 0.0, gained)
                    if DROPOUT:
                        gained = tl.where(keep == 0.0, 0.0, gained)
                    add_to_edges(sums, e, here, part, gained, exists, H, COST, BATCH, HEADS)
            tl.store(grad_q + mine * D + at, sum_query * scale, mask=width_exists)
        if BIAS + COST > 0:
            # The next part adds to the same sums, perhaps from other threads.
            tl.debug_barrier()
