"""The backward pass of attention over sources in Triton: gradients of k and v, without atomics.

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


@triton.jit(do_not_specialize=["sources", "batch", "patches", "patch"])
def differentiate_sources(
    q,
    k,
    v,
    bias,
    cost,
    colptr,
    csc_target,
    csc_edge,
    seed,
    highest,
    log_mass,
    delta,
    grad_out,
    grad_total,
    grad_k,  # [M, B, H, D]
    grad_v,  # [M, B, H, DV]
    sources,
    batch,
    patches,
    patch,
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
    EDGES: tl.constexpr,
    BATCH: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUE_WIDTH: tl.constexpr,
):
    """The gradients of k and v, from the out-edges of a source."""
    program = tl.program_id(0)
    lane, head, exists = lanes_of(program // patches, batch, H, BATCH, HEADS)
    at, width_exists = numbers_of(lane, exists, D, WIDTH)
    value_at, value_exists = numbers_of(lane, exists, DV, VALUE_WIDTH)
    query_at, query_lanes = at, batch * H
    if SHARED_QUERY:
        query_at, _ = numbers_of(head.to(tl.int64), exists, D, WIDTH)
        query_lanes = H
    first = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, sources - first)):
        j = first + n
        begin, end = tl.load(colptr + j), tl.load(colptr + j + 1)
        mine = j * batch * H
        key = read_lanes(k, mine * D, at, width_exists)
        value = read_lanes(v, mine * DV, value_at, value_exists)
        sum_key = tl.zeros([BATCH * HEADS, WIDTH], tl.float32)
        sum_value = tl.zeros([BATCH * HEADS, VALUE_WIDTH], tl.float32)
        for start in range(begin, end, EDGES):
            position = start + tl.arange(0, EDGES).to(tl.int64)
            here = position < end
            e = tl.load(csc_edge + position, mask=here, other=0)
            target = tl.load(csc_target + position, mask=here, other=0).to(tl.int64)
            row = target * batch * H
            queries = gather(q, target * query_lanes * D, here, query_at, width_exists)
            arriving = gather(grad_out, row * DV, here, value_at, value_exists)
            above = gather(highest, row, here, lane, exists)
            rest = finite(gather(log_mass, row, here, lane, exists))
            if BIAS > 0:
                biases = edge_values(bias, e, here, head, exists, BIAS)
                # Also where a tile holds no edge: its own key and value may be NaN.
                closed = (biases == float("-inf")) | ~here[:, None]
                queries, arriving = without(queries, closed), without(arriving, closed)
            s = tl.sum(queries * key[None], 2) * scale
            if BIAS > 0:
                s = tl.where(closed, float("-inf"), s + biases)
            p = tl.exp((tl.where(here[:, None], s, float("-inf")) - above) - rest)
            dp = tl.sum(arriving * value[None], 2)
            if COST > 0:
                costs = edge_values(cost, e, here, head, exists, COST)
                dp += gather(grad_total, row, here, lane, exists) * costs
            p_kept = p
            if DROPOUT:
                keep = dropout_factors(seed, e, lane, batch, rate, kept, H)
                dp = tl.where(keep == 0.0, 0.0, dp * keep)
                p_kept = p * keep
                arriving = without(arriving, keep == 0.0)
            ds = p * (dp - gather(delta, row, here, lane, exists))
            if BIAS > 0:
                ds = tl.where(closed, 0.0, ds)
                p_kept = tl.where(closed, 0.0, p_kept)
            sum_key += tl.sum(ds[:, :, None] * queries, 0)
            sum_value += tl.sum(p_kept[:, :, None] * arriving, 0)
        tl.store(grad_k + mine * D + at, sum_key * scale, mask=width_exists)
        tl.store(grad_v + mine * DV + value_at, sum_value, mask=value_exists)
