"""The signed sum along edges in Triton: rows of a sparse matrix, and the gradient of its entries.

Ids are int32, and every product of an id is int64. Every number of an output has one writer, which
adds in a fixed order, in float32.
"""

# mypy: disable-error-code="no-untyped-def"
# Triton gives annotations of its own meaning to the arguments of a kernel.

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows", "patches", "patch"])
def sum_rows(
    x,  # [M, numbers], numbers = B H D
    weight,  # [E, VALUES]
    out,  # [N, numbers]
    pointers,
    other,
    edge,  # ids of the edges, read if BY_SOURCE: else they are positions
    rows,
    numbers,
    patches,  # programs per slice of the numbers; slices come one after the other
    patch,  # rows per program
    H: tl.constexpr,
    D: tl.constexpr,
    VALUES: tl.constexpr,  # 1, or H
    BY_SOURCE: tl.constexpr,
    EDGES: tl.constexpr,
    NUMBERS: tl.constexpr,
):
    """Rows of ``x`` times the weights of their edges, summed between ``pointers``."""
    program = tl.program_id(0)
    at = (program // patches).to(tl.int64) * NUMBERS + tl.arange(0, NUMBERS)
    exists = at < numbers
    head = (at // D) % H
    first = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, rows - first)):
        i = first + n
        begin, end = tl.load(pointers + i), tl.load(pointers + i + 1)
        total = tl.zeros([NUMBERS], tl.float32)
        for start in range(begin, end, EDGES):
            e = start + tl.arange(0, EDGES).to(tl.int64)
            here = e < end
            both = here[:, None] & exists[None, :]
            row = tl.load(other + e, mask=here, other=0).to(tl.int64)
            if BY_SOURCE:
                e = tl.load(edge + e, mask=here, other=0)
            if VALUES == 1:
                w = tl.load(weight + e, mask=here, other=0.0).to(tl.float32)[:, None]
            else:
                w = tl.load(weight + e[:, None] * VALUES + head[None, :], mask=both, other=0.0)
                w = w.to(tl.float32)
            sent = tl.load(x + row[:, None] * numbers + at[None, :], mask=both, other=0.0)
            total += tl.sum(w * sent.to(tl.float32), 0)
        tl.store(out + i * numbers + at, total, mask=exists)


@triton.jit(do_not_specialize=["edges", "batch", "blocks"])
def differentiate_weights(
    x,  # [M, B, H, D]
    grad,  # [N, B, H, D]
    grad_weight,  # [E, H]
    source,
    target,
    edges,
    batch,
    blocks,  # of edges: programs per slice of the heads
    H: tl.constexpr,
    D: tl.constexpr,
    EDGES: tl.constexpr,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """``dw_ij = sum_b dy_i . x_j``; a program owns a block of edges, with the whole batch."""
    program = tl.program_id(0)
    e = (program % blocks).to(tl.int64) * EDGES + tl.arange(0, EDGES)
    here = e < edges
    h = (program // blocks) * HEADS + tl.arange(0, HEADS)
    both = here[:, None] & (h < H)[None, :]
    sent = tl.load(source + e, mask=here, other=0).to(tl.int64) * batch * (H * D)
    arrived = tl.load(target + e, mask=here, other=0).to(tl.int64) * batch * (H * D)
    total = tl.zeros([EDGES, HEADS], tl.float32)
    for b in range(0, batch):
        for start in range(0, D, WIDTH):
            d = start + tl.arange(0, WIDTH)
            lane = tl.cast(b, tl.int64) * (H * D) + h.to(tl.int64) * D
            at = lane[None, :, None] + d[None, None, :]
            exists = both[:, :, None] & (d < D)[None, None, :]
            first = tl.load(x + sent[:, None, None] + at, mask=exists, other=0.0)
            second = tl.load(grad + arrived[:, None, None] + at, mask=exists, other=0.0)
            total += tl.sum(first.to(tl.float32) * second.to(tl.float32), 2)
    tl.store(grad_weight + e[:, None] * H + h[None, :], total, mask=both)
