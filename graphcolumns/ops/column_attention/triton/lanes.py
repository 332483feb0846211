"""What the Triton kernels of attention share: lanes, values per edge, dropout.

A lane is one head of one batch element. A program works on a slice of the lanes: ``BATCH`` batch
elements times ``HEADS`` heads, both powers of two, so that some may be masked. Names in capitals
are compile-time constants. Ids are int32, and every product of an id is int64.
"""

# mypy: disable-error-code="no-untyped-def"
# Triton gives annotations of its own meaning to the arguments of a kernel.

import triton
import triton.language as tl


@triton.jit
def lanes_of(part, batch, H: tl.constexpr, BATCH: tl.constexpr, HEADS: tl.constexpr):
    """Lanes, their heads, and which of them exist, of slice ``part``: ``[BATCH HEADS]`` each."""
    parts: tl.constexpr = (H + HEADS - 1) // HEADS  # of the heads of a batch element
    r = tl.arange(0, BATCH * HEADS)
    b = (part // parts) * BATCH + r // HEADS
    h = (part % parts) * HEADS + r % HEADS
    return b.to(tl.int64) * H + h, h, (b < batch) & (h < H)


@triton.jit
def numbers_of(lane, exists, D: tl.constexpr, WIDTH: tl.constexpr):
    """Where the numbers of ``lane`` are in a row, and which exist: ``[lanes, WIDTH]`` each."""
    d = tl.arange(0, WIDTH)
    return lane[:, None] * D + d[None, :], exists[:, None] & (d < D)[None, :]


@triton.jit
def read_lanes(x, start, at, exists):
    """Numbers of one row as float32."""
    return tl.load(x + start + at, mask=exists, other=0.0).to(tl.float32)


@triton.jit
def gather(x, start, here, at, exists):
    """Numbers of many rows as float32: ``[EDGES, *at.shape]`` of ``start [EDGES]``."""
    if len(at.shape) == 1:
        start, here = start[:, None], here[:, None]
    else:
        start, here = start[:, None, None], here[:, None, None]
    return tl.load(x + start + at[None], mask=here & exists[None], other=0.0).to(tl.float32)


@triton.jit
def edge_values(values, e, here, head, exists, COUNT: tl.constexpr):
    """``[E]`` (COUNT 1) or ``[E, H]`` (COUNT H) at edges ``e``: ``[EDGES, 1 or lanes]``."""
    if COUNT == 1:
        found = tl.load(values + e, mask=here, other=0.0).to(tl.float32)[:, None]
    else:
        found = gather(values, e * COUNT, here, head, exists)
    return found


@triton.jit
def without(values, silent):
    """``values [EDGES, lanes, WIDTH]`` with zeros where ``silent [EDGES, 1 or lanes]``."""
    return tl.where(silent[:, :, None], 0.0, values)


@triton.jit
def mix(counter):
    """splitmix64, as in dropout.py; products of uint64 wrap."""
    x = (counter + 1) * 0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@triton.jit
def dropout_factors(seed, e, lane, batch, rate, kept, H: tl.constexpr):
    """0 or ``kept`` for edges ``e`` and lanes: ``[EDGES, lanes]``."""
    start = mix(tl.load(seed).to(tl.uint64))
    first = start + e.to(tl.uint64) * batch * H
    drawn = mix(first[:, None] + lane.to(tl.uint64)[None, :]) >> 40
    uniform = drawn.to(tl.int32).to(tl.float32) * 5.9604644775390625e-08  # 2^-24
    return tl.where(uniform >= rate, kept, 0.0)


@triton.jit
def finite(lse):
    """0 for columns that receive nothing, so that ``exp(-inf - lse)`` is 0."""
    return tl.where(lse == float("-inf"), 0.0, lse)
