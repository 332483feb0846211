"""Triton kernels that put the segments of long rows together again, in their order."""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from graphcolumns.ops.column_attention.triton_lanes import finite


@triton.jit(do_not_specialize=["rows", "lanes", "patches", "patch"])
def merge_levels(
    level,  # [segments, lanes], log-sum-exp of a segment
    first,  # [rows + 1], the segments of a row
    merged,  # [rows, lanes]
    rows,
    lanes,
    patches,
    patch,
    BLOCK: tl.constexpr,
):
    """The log-sum-exp of all segments of a row; ``-inf`` where all are."""
    program = tl.program_id(0)
    lane = (program // patches).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = lane < lanes
    start = (program % patches).to(tl.int64) * patch
    for n in range(0, tl.minimum(patch, rows - start)):
        i = start + n
        highest = tl.full([BLOCK], float("-inf"), tl.float32)
        mass = tl.zeros([BLOCK], tl.float32)
        for segment in range(tl.load(first + i), tl.load(first + i + 1)):
            here = tl.load(level + segment * lanes + lane, mask=exists, other=0.0)
            above = tl.maximum(highest, here)
            mass = mass * tl.exp(highest - finite(above)) + tl.exp(here - finite(above))
            highest = above
        nobody = mass == 0.0
        log_mass = finite(highest) + tl.log(tl.where(nobody, 1.0, mass))
        total = tl.where(nobody, float("-inf"), log_mass)
        tl.store(merged + i * lanes + lane, total, mask=exists)


@triton.jit(do_not_specialize=["rows", "numbers", "width", "patches", "patch"])
def merge_rows(
    parts,  # [segments, numbers]
    level,  # [segments, numbers / width], read if WEIGHTED
    top,  # [rows, numbers / width], the merged levels
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
            whole = finite(tl.load(top + i * lanes + lane, mask=exists, other=0.0))
        for segment in range(tl.load(first + i), tl.load(first + i + 1)):
            part = tl.load(parts + segment * numbers + at, mask=exists, other=0.0)
            if WEIGHTED:
                here = tl.load(level + segment * lanes + lane, mask=exists, other=0.0)
                part *= tl.exp(here - whole)
            total += part
        tl.store(merged + i * numbers + at, total, mask=exists)
