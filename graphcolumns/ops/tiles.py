"""How the Triton kernels cut their work: a fixed table, so that equal calls give equal bits."""

from typing import NamedTuple

import torch

# What the kernels read and write; they add in float32.
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# Mean edges of a row up to which a row is read in so many edges at a time.
EDGES = ((8, 8), (16, 16), (32, 32), (float("inf"), 64))
# Numbers of a gathered tile. A pass holds two tiles (keys and values, or queries and gradients) as
# float32: at 4 warps 16 registers a thread each. With the rest the forward pass takes 56 to 91, the
# backward passes 80 to 164, and no more than 24 bytes are spilled (ptxas for sm_90).
NUMBERS = 2048
WARPS = 4
LINE = 128  # bytes that a cache reads at once
# Programs that keep a large GPU busy, and rows of a patch: neighbours share sources, which a
# program that does a patch of them finds in its L1 cache.
PROGRAMS = 4096
PATCH = 32
MOST_PROGRAMS = 2**31 - 1


class Tile(NamedTuple):
    """What a program reads at once: so many edges of so many heads of so many batch elements."""

    edges: int
    batch: int
    heads: int
    warps: int


def tile(dtype: torch.dtype, degree: float, batch: int, heads: int, width: int) -> Tile:
    """The tile for rows of ``degree`` edges on average, and heads of ``width`` numbers.

    All sizes are powers of two. As many edges as a row has, but no less than a cache line of each;
    then as many heads and batch elements as there is room for.
    """
    batch, heads, width = (power_of_two(size) for size in (batch, heads, width))
    line = max(width, min(batch * heads * width, LINE // dtype.itemsize))
    edges = next(edges for most, edges in EDGES if degree <= most)
    edges = max(1, min(edges, NUMBERS // line))
    lanes = max(1, NUMBERS // (edges * width))
    heads = min(heads, lanes)
    batch = min(batch, lanes // heads)
    return Tile(edges, batch, heads, warps(edges * heads * batch * width))


def warps(numbers: int) -> int:
    """Warps for a tile of so many numbers; a wider one than fits takes more registers a thread."""
    return min(max(numbers * WARPS // NUMBERS, 1), 2 * WARPS)


class Grid(NamedTuple):
    """How many programs there are: ``patches`` of rows for each group of lanes, one by one."""

    programs: int
    patches: int
    patch: int  # rows that one program does, one after the other


def launch_grid(rows: int, groups: int) -> Grid:
    """Programs for ``rows``, each done by ``groups`` programs that share the lanes.

    Raises:
        ValueError: More programs than CUDA can start.
    """
    patch = min(max(rows * groups // PROGRAMS, 1), PATCH)
    patches = ceil_div(rows, patch)
    if patches * groups > MOST_PROGRAMS:
        raise ValueError(
            f"backend='triton' starts at most {MOST_PROGRAMS} programs, and {rows} columns with "
            f"this batch and these heads need {patches * groups}: split the batch"
        )
    return Grid(patches * groups, patches, patch)


def grid_of_blocks(count: int, block: int) -> int:
    """Programs for a list, so many entries each.

    Raises:
        ValueError: More programs than CUDA can start.
    """
    programs = ceil_div(count, block)
    if programs > MOST_PROGRAMS:
        raise ValueError(
            f"backend='triton' starts at most {MOST_PROGRAMS} programs, and {count} pairs need "
            f"{programs}: split the list"
        )
    return programs


def power_of_two(number: int) -> int:
    """The least one that is not below ``number``."""
    return 1 << max(number - 1, 0).bit_length()


def ceil_div(x: int, y: int) -> int:
    """``x / y``, rounded up."""
    return -(-x // y)
