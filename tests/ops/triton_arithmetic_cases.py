"""Attention in Triton where rounding, infinities and NaN could spoil it. See triton_cases."""

import pytest

from tests.ops.test_attention_arithmetic import (  # noqa: F401 (they are collected here)
    TestExtremeScores,
    TestNothingPassesAClosedEdge,
    TestShift,
    test_a_dropped_edge_brings_no_value,
    test_an_empty_graph,
    test_half_products_do_not_overflow,
)
from tests.ops.triton_cases import DEVICE

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's; a GPU does it silently


@pytest.fixture
def device() -> str:
    return DEVICE


@pytest.fixture(scope="module")
def backend() -> str:
    return "triton"
