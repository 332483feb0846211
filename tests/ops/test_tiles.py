"""The table behind the Triton kernels: sizes by hand, and what holds for any call."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.ops import tiles
from tests.ops.support.cases import exactly

HALF, FULL = torch.bfloat16, torch.float32


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        # 2,048 numbers: 32 edges of a line of 64 half numbers, of 4 heads of 16.
        ((HALF, 64, 32, 4, 16), (32, 1, 4, 4)),
        ((HALF, 32, 32, 4, 16), (32, 1, 4, 4)),
        # A line of 32 float32 numbers is 2 heads.
        ((FULL, 64, 32, 4, 16), (64, 1, 2, 4)),
        # Few in-edges leave room for two batch elements.
        ((HALF, 16, 32, 4, 16), (16, 2, 4, 4)),
        ((HALF, 3.5, 32, 4, 16), (8, 4, 4, 4)),
        # Rows smaller than a line, and fewer warps for fewer numbers.
        ((FULL, 64, 1, 1, 8), (64, 1, 1, 1)),
        ((FULL, 6, 1, 3, 5), (8, 1, 4, 1)),
        # Wide heads are read whole, a few edges at a time, and 8 warps do the widest.
        ((FULL, 64, 8, 8, 128), (16, 1, 1, 4)),
        ((FULL, 64, 8, 8, 3000), (1, 1, 1, 8)),
    ],
)
def test_tiles_by_hand(call, expected):
    assert tiles.tile(*call) == expected


@given(
    degree=st.floats(0, 1e4),
    batch=st.integers(0, 100),
    heads=st.integers(1, 100),
    width=st.integers(1, 5000),
    dtype=st.sampled_from(tiles.DTYPES),
)
def test_a_tile_has_powers_of_two_and_fits(degree, batch, heads, width, dtype):
    tile = tiles.tile(dtype, degree, batch, heads, width)
    assert all(size == tiles.power_of_two(size) for size in tile)
    numbers = tile.edges * tile.batch * tile.heads * tiles.power_of_two(width)
    assert numbers <= max(tiles.NUMBERS, tiles.power_of_two(width))
    assert tile.batch <= tiles.power_of_two(batch)
    assert tile.heads <= tiles.power_of_two(heads)


@given(rows=st.integers(0, 2**20), groups=st.integers(0, 2**8))
def test_a_grid_covers_the_rows(rows, groups):
    programs, patches, patch = tiles.launch_grid(rows, groups)
    assert programs == patches * groups
    assert patches * patch >= rows > (patches - 1) * patch or rows == patches == 0
    assert 1 <= patch <= tiles.PATCH


def test_small_graphs_get_a_program_for_every_row():
    assert tiles.launch_grid(1000, 4) == (4000, 1000, 1)
    assert tiles.launch_grid(65536, 32) == (65536, 2048, 32)


def test_more_programs_than_cuda_starts():
    message = (
        "backend='triton' starts at most 2147483647 programs, and 1048576 columns with this batch "
        "and these heads need 3276800000: split the batch"
    )
    with pytest.raises(ValueError, match=exactly(message)):
        tiles.launch_grid(2**20, 10**5)


@pytest.mark.parametrize(("number", "power"), [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_power_of_two(number, power):
    assert tiles.power_of_two(number) == power
