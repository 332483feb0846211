"""Rows that lie beyond the reach of 32 bits: offsets are of int64 everywhere.

The tensors are that large only in address space: the system gives memory to the few rows that are
written, and no other is read.
"""

import pytest
import torch
from torch import Tensor

from graphcolumns import ColumnGraph, column_attention, edge_linear
from graphcolumns.ops import edge_scores, tiles

WIDTH = 1024
ROWS = 2**31 // WIDTH + 8  # the last ones start beyond 2^31 numbers


@pytest.fixture(scope="module")
def rows() -> Tensor:
    """``[ROWS, 1, 1, WIDTH]``, of which the last two rows have values."""
    try:
        tensor = torch.empty(ROWS, 1, 1, WIDTH)
    except RuntimeError:
        pytest.skip("the system gives out no address space that it could not back")
    tensor[-2:] = torch.randn(2, 1, 1, WIDTH)
    return tensor


GRAPH = ColumnGraph.from_edge_index(torch.tensor([[ROWS - 2, ROWS - 1], [0, 0]]), 1, ROWS)
SMALL = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [0, 0]]), 1, 2)
BACKENDS = ["reference", pytest.param("cpp", marks=pytest.mark.cpp)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_attention(rows, backend):
    q = torch.randn(1, 1, 1, WIDTH)
    got = column_attention(q, rows, rows, GRAPH, backend=backend)
    near = rows[-2:].clone()
    expected = column_attention(q, near, near, SMALL, backend="reference")
    torch.testing.assert_close(got.out, expected.out)


@pytest.mark.parametrize("backend", BACKENDS)
def test_edge_linear(rows, backend):
    got = edge_linear(rows[:, 0], torch.tensor([2.0, -1.0]), GRAPH, backend=backend)
    torch.testing.assert_close(got[0, 0], 2 * rows[-2, 0, 0] - rows[-1, 0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_edge_scores(rows, backend):
    near = rows[-2:].clone()
    q, g = torch.randn(1, 1, 1, 1, WIDTH), torch.randn(1, 1, 1, 1, WIDTH)
    lse, out = torch.full((1, 1, 1, 1), 5.0), torch.randn(1, 1, 1, 1, WIDTH)
    rest, target = (lse, out, g), torch.zeros(2, dtype=torch.int64)
    far = torch.tensor([ROWS - 2, ROWS - 1])
    got = edge_scores(q, rows[None], rows[None], *rest, target, far, backend=backend)
    small = (q, near[None], near[None], *rest, target, torch.arange(2))
    expected = edge_scores(*small, backend="reference").sums()
    torch.testing.assert_close(got.sums(), expected, rtol=1e-4, atol=1e-4)


def test_programs_that_cuda_cannot_count_are_refused():
    assert tiles.grid_of_blocks(2**31 * 16, 32) == 2**30
    with pytest.raises(ValueError, match=r"at most 2147483647 programs, and .* split the list"):
        tiles.grid_of_blocks(2**36, 16)
    with pytest.raises(ValueError, match="split the batch"):
        tiles.launch_grid(2**31, 64)
