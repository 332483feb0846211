"""The forward pass of attention in tiles: matrix products of a window and its sources."""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from graphcolumns.ops.column_attention.triton.lanes import finite


@triton.jit
def product(x, y, WIDE: tl.constexpr):
    """``x y`` in float32, of operands as they are, or as float32 if WIDE."""
    if WIDE:
        x, y = x.to(tl.float32), y.to(tl.float32)
    return tl.dot(x, y, input_precision="ieee")


@triton.jit(do_not_specialize=["columns", "batch", "windows"])
def attend_tiles(
    q,  # [N, B or 1, H, D]
    k,  # [M, B, H, D]
    v,  # [M, B, H, DV]
    bias,  # [E] or [E, H], read if BIAS
    window,
    first,
    source,
    receivers,
    edge,  # read if BIAS
    out,  # [N, B, H, DV]
    highest_out,  # [N, B, H]
    log_mass_out,
    columns,
    batch,
    windows,
    scale,
    H: tl.constexpr,
    D: tl.constexpr,
    DV: tl.constexpr,
    SHARED_QUERY: tl.constexpr,
    BIAS: tl.constexpr,  # values per edge, 0 for none
    ROWS: tl.constexpr,  # columns of a window
    SLOTS: tl.constexpr,  # sources at a time
    WIDTH: tl.constexpr,  # powers of two, 16 at least
    VALUE_WIDTH: tl.constexpr,
    WIDE: tl.constexpr,  # for the interpreter
):
    """Online softmax of one window, batch element and head, ``SLOTS`` sources at a time.

    Products of float32 are float32, those of half types are summed in float32, with weights
    rounded to the type of the values.
    """
    program = tl.program_id(0)
    h, place = program % H, (program // H) % windows
    b = (program // H) // windows
    r, d, dv = tl.arange(0, ROWS), tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    i = tl.load(window + place) * ROWS + r
    exists = i < columns
    mine = (i * batch + b) * H + h
    query_row = mine
    if SHARED_QUERY:
        query_row = i * H + h
    of_query = exists[:, None] & (d < D)[None, :]
    query = tl.load(q + query_row[:, None] * D + d[None, :], mask=of_query, other=0.0)
    highest = tl.full([ROWS], float("-inf"), tl.float32)
    mass = tl.zeros([ROWS], tl.float32)
    total = tl.zeros([ROWS, VALUE_WIDTH], tl.float32)
    begin, end = tl.load(first + place), tl.load(first + place + 1)
    for start in range(begin, end, SLOTS):
        slot = start + tl.arange(0, SLOTS).to(tl.int64)
        bits = tl.load(receivers + slot, mask=slot < end, other=0)
        j = tl.load(source + slot, mask=slot < end, other=0).to(tl.int64)
        lane = (j * batch + b) * H + h
        used = bits != 0
        attends = ((bits[None, :] >> r[:, None]) & 1) != 0
        of_keys = used[None, :] & (d < D)[:, None]
        keys = tl.load(k + lane[None, :] * D + d[:, None], mask=of_keys, other=0.0)
        s = product(query, keys, WIDE) * scale
        if BIAS > 0:
            at = slot[None, :] * ROWS + r[:, None]
            e = tl.load(edge + at, mask=attends, other=0).to(tl.int64) * BIAS
            if BIAS > 1:
                e += h
            biases = tl.load(bias + e, mask=attends, other=0.0).to(tl.float32)
            s += biases
            attends = attends & (biases != float("-inf"))
        s = tl.where(attends, s, float("-inf"))
        above = tl.maximum(highest, tl.max(s, 1))
        p = tl.exp(s - finite(above)[:, None])
        shrink = tl.exp(highest - finite(above))
        highest = above
        mass = mass * shrink + tl.sum(p, 1)
        of_values = used[:, None] & (dv < DV)[None, :]
        values = tl.load(v + lane[:, None] * DV + dv[None, :], mask=of_values, other=0.0)
        received = product(p.to(values.dtype), values, WIDE)
        total = total * shrink[:, None] + received
    empty = mass == 0.0
    divisor = tl.where(empty, 1.0, mass)
    tl.store(highest_out + mine, finite(highest), mask=exists)
    tl.store(log_mass_out + mine, tl.where(empty, float("-inf"), tl.log(divisor)), mask=exists)
    of_out = exists[:, None] & (dv < DV)[None, :]
    tl.store(out + mine[:, None] * DV + dv[None, :], total / divisor[:, None], mask=of_out)
