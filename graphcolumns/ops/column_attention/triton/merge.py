"""Triton kernels that put the segments of long rows together again, in their order."""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from graphcolumns.ops.column_attention.triton.lanes import finite


@triton.jit(do_not_specialize=["rows", "lanes", "patches", "patch"])
def merge_levels(
    highest,  # [segments, lanes], highest score of a segment; 0 where all are -inf
    log_mass,  # [segments, lanes], log of the sum of exp(s - highest); -inf there
    first,  # [rows + 1], the segments of a row
    merged_highest,  # [rows, lanes]
    merged_log_mass,
    rows,
    lanes,
    patches,
    patch,
    BLOCK: tl.constexpr,
):
    """The normaliser of all segments of a row, in the same two parts."""
    program = tl.program_id(0)
    lane = (program // patches).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = lane < lanes
    start = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, rows - start)):
        i = start + n
        top = tl.full([BLOCK], float("-inf"), tl.float32)
        log = top
        for segment in range(tl.load(first + i), tl.load(first + i + 1)):
            rest = tl.load(log_mass + segment * lanes + lane, mask=exists, other=float("-inf"))
            here = tl.load(highest + segment * lanes + lane, mask=exists, other=0.0)
            here = tl.where(rest == float("-inf"), float("-inf"), here)
            above = tl.maximum(top, here)
            # The one segment of a short row is unchanged to the last bit.
            old, new = log + (top - finite(above)), rest + (here - finite(above))
            most = finite(tl.maximum(old, new))
            empty = (old == float("-inf")) & (new == float("-inf"))
            mass = tl.where(empty, 1.0, tl.exp(old - most) + tl.exp(new - most))
            log = tl.where(empty, float("-inf"), most + tl.log(mass))
            top = above
        tl.store(merged_highest + i * lanes + lane, finite(top), mask=exists)
        tl.store(merged_log_mass + i * lanes + lane, log, mask=exists)


@triton.jit(do_not_specialize=["rows", "numbers", "width", "patches", "patch"])
def merge_rows(
    parts,  # [segments, numbers]
    highest,  # [segments, numbers / width], read if WEIGHTED
    log_mass,
    top,  # [rows, numbers / width], the merged highest
    top_log_mass,
    first,  # [rows + 1]
    merged,  # [rows, numbers]
    rows,
    numbers,
    width,
    patches,
    patch,
    BLOCK: tl.constexpr,
    WEIGHTED: tl.constexpr,
):
    """The sum of the segments of a row, weighted by their share of its softmax if WEIGHTED."""
    program = tl.program_id(0)
    at = (program // patches).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = at < numbers
    lane, lanes = at // width, numbers // width
    start = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, rows - start)):
        i = start + n
        total = tl.zeros([BLOCK], tl.float32)
        if WEIGHTED:
            whole = tl.load(top + i * lanes + lane, mask=exists, other=0.0)
            whole_rest = finite(tl.load(top_log_mass + i * lanes + lane, mask=exists, other=0.0))
        for segment in range(tl.load(first + i), tl.load(first + i + 1)):
            part = tl.load(parts + segment * numbers + at, mask=exists, other=0.0)
            if WEIGHTED:
                here = tl.load(highest + segment * lanes + lane, mask=exists, other=0.0)
                rest = tl.load(log_mass + segment * lanes + lane, mask=exists, other=0.0)
                # A segment that receives nothing has no highest to compare with.
                here = tl.where(rest == float("-inf"), float("-inf"), here)
                part *= tl.exp((here - whole) + (finite(rest) - whole_rest))
            total += part
        tl.store(merged + i * numbers + at, total, mask=exists)
