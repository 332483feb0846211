"""The forward pass of attention in Triton: a program does a patch of columns, a slice of lanes."""

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


@triton.jit(do_not_specialize=["columns", "batch", "patches", "patch"])
def attend(
    q,  # [N, B or 1, H, D]
    k,  # [M, B, H, D]
    v,  # [M, B, H, DV]
    bias,  # [E] or [E, H], read if BIAS
    cost,  # [E] or [E, H], read if COST
    rowptr,
    source,
    seed,  # one int64, read if DROPOUT
    out,  # [N, B, H, DV]
    total,  # [N, B, H], written if COST
    highest_out,  # [N, B, H], 0 where nothing is received
    log_mass_out,  # [N, B, H], -inf there
    columns,
    batch,
    patches,  # programs per slice of the lanes; slices come one after the other
    patch,  # columns per program
    scale,
    rate,
    kept,
    H: tl.constexpr,
    D: tl.constexpr,
    DV: tl.constexpr,
    SHARED_QUERY: tl.constexpr,
    BIAS: tl.constexpr,  # values per edge, 0 for none
    COST: tl.constexpr,
    DROPOUT: tl.constexpr,
    EDGES: tl.constexpr,
    BATCH: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,  # powers of two from D and DV on
    VALUE_WIDTH: tl.constexpr,
):
    """Online softmax over the in-edges of a column, ``EDGES`` at a time, in float32."""
    program = tl.program_id(0)
    lane, head, exists = lanes_of(program // patches, batch, H, BATCH, HEADS)
    at, width_exists = numbers_of(lane, exists, D, WIDTH)
    value_at, value_exists = numbers_of(lane, exists, DV, VALUE_WIDTH)
    query_at, query_lanes = at, batch * H
    if SHARED_QUERY:
        query_at, _ = numbers_of(head.to(tl.int64), exists, D, WIDTH)
        query_lanes = H
    first = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, columns - first)):
        i = first + n
        begin, end = tl.load(rowptr + i), tl.load(rowptr + i + 1)
        query = read_lanes(q, i * query_lanes * D, query_at, width_exists)
        highest = tl.full([BATCH * HEADS], float("-inf"), tl.float32)
        mass = tl.zeros([BATCH * HEADS], tl.float32)
        sum_cost = tl.zeros([BATCH * HEADS], tl.float32)
        sum_value = tl.zeros([BATCH * HEADS, VALUE_WIDTH], tl.float32)
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
            above = tl.maximum(highest, tl.max(s, 0))
            p = tl.exp(s - finite(above)[None])
            shrink = tl.exp(highest - finite(above))
            highest = above
            mass = mass * shrink + tl.sum(p, 0)
            if COST > 0:
                costs = edge_values(cost, e, here, head, exists, COST)
                if BIAS > 0:
                    costs = tl.where(closed, 0.0, costs)
            if DROPOUT:
                keep = dropout_factors(seed, e, lane, batch, rate, kept, H)
                p *= keep
                values = without(values, keep == 0.0)
                if COST > 0:
                    costs = tl.where(keep == 0.0, 0.0, costs)
            if COST > 0:
                sum_cost = sum_cost * shrink + tl.sum(p * costs, 0)
            sum_value = sum_value * shrink[:, None] + tl.sum(p[:, :, None] * values, 0)
        empty = mass == 0.0
        divisor = tl.where(empty, 1.0, mass)
        log_mass = tl.where(empty, float("-inf"), tl.log(divisor))
        row = i * batch * H
        tl.store(highest_out + row + lane, finite(highest), mask=exists)
        tl.store(log_mass_out + row + lane, log_mass, mask=exists)
        if COST > 0:
            tl.store(total + row + lane, sum_cost / divisor, mask=exists)
        tl.store(out + row * DV + value_at, sum_value / divisor[:, None], mask=value_exists)
