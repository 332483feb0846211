"""Attention in Triton where rounding, infinities and NaN could spoil it. See triton_cases."""

import pytest
import torch

from graphcolumns.ops.column_attention.tiled import tiled_attention
from graphcolumns.ops.column_attention.windows import Windows
from tests.ops.cases import draw, random_mask
from tests.ops.test_attention_arithmetic import (  # noqa: F401 (they are collected here)
    TestExtremeScores,
    TestNothingPassesAClosedEdge,
    TestShift,
    test_a_dropped_edge_brings_no_value,
    test_an_empty_graph,
    test_half_products_do_not_overflow,
)
from tests.ops.triton_cases import DEVICE, on_device

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's; a GPU does it silently


@pytest.fixture
def device() -> str:
    return DEVICE


@pytest.fixture(scope="module")
def backend() -> str:
    return "triton"


class TestTiles:
    def test_rows_sum_to_one(self):
        case = draw(random_mask(20, 30, 0.4), 1, 2, 8, bias="E", cost=None)
        ones = case._replace(v=torch.ones_like(case.v), bias=torch.full_like(case.bias, -1e9))
        moved = on_device(ones)
        windows = Windows.of(moved.graph, 0.0)
        out, lse = tiled_attention(*moved[2:5], moved.graph, windows, bias=moved.bias)
        torch.testing.assert_close(out.cpu(), torch.ones(out.shape), rtol=1e-6, atol=0.0)
        assert (lse == -1e9).all()
