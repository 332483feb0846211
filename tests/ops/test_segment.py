"""Reductions over in-edges: by hand, against the scatter of torch, and their derivatives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.ops.segment import segment_max, segment_softmax, segment_sum

INF = float("inf")
TARGET = torch.tensor([0, 0, 0, 2])  # column 1 has no in-edges
VALUES = torch.tensor([1.0, 2.0, -4.0, 5.0])


def test_sum_by_hand():
    assert segment_sum(VALUES, TARGET, 3).tolist() == [-1.0, 0.0, 5.0]


def test_max_by_hand():
    assert segment_max(VALUES, TARGET, 3).tolist() == [2.0, -INF, 5.0]
    assert not segment_max(VALUES.requires_grad_(), TARGET, 3).requires_grad


def test_softmax_by_hand():
    scores = torch.tensor([1.0, 3.0, 4.0, 7.0]).log()
    expected = torch.tensor([0.125, 0.375, 0.5, 1.0])
    torch.testing.assert_close(segment_softmax(scores, TARGET, 3), expected)


def test_softmax_of_large_scores():
    scores = torch.tensor([5000.0, 5000.0, -5000.0, -5000.0])
    assert segment_softmax(scores, TARGET, 3).tolist() == [0.5, 0.5, 0.0, 1.0]


def test_softmax_of_closed_edges():
    scores = torch.tensor([-INF, 0.0, 0.0, -INF], requires_grad=True)
    p = segment_softmax(scores, TARGET, 3)
    assert p.tolist() == [0.0, 0.5, 0.5, 0.0]  # nothing at all in column 2, not NaN
    p.square().sum().backward()
    assert scores.grad.isfinite().all()


def test_no_edges():
    nothing, nowhere = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int32)
    assert segment_sum(nothing, nowhere, 3).tolist() == [[0.0, 0.0]] * 3
    assert segment_max(nothing, nowhere, 1).tolist() == [[-INF, -INF]]
    assert segment_softmax(nothing, nowhere, 3).shape == (0, 2)


@st.composite
def segments(draw):
    count = draw(st.integers(1, 6))
    index = torch.tensor(draw(st.lists(st.integers(0, count - 1), max_size=20)), dtype=torch.int32)
    torch.manual_seed(draw(st.integers(0, 1000)))
    return torch.randn(len(index), 2, 3, dtype=torch.float64), index, count


@given(segments())
def test_any_order_of_edges(case):
    values, index, count = case
    sums, p = segment_sum(values, index, count), segment_softmax(values, index, count)
    for segment in range(count):
        mine = values[index == segment]
        torch.testing.assert_close(sums[segment], mine.sum(0))
        torch.testing.assert_close(p[index == segment], mine.softmax(0))


@given(segments())
def test_softmax_sums_to_one(case):
    values, index, count = case
    total = segment_sum(segment_softmax(values, index, count), index, count)
    heard = torch.bincount(index, minlength=count) > 0
    torch.testing.assert_close(total, heard[:, None, None].expand_as(total).double())


@pytest.mark.parametrize("function", [segment_sum, segment_softmax])
def test_derivatives(function):
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([3, 0, 0, 3, 3])
    assert torch.autograd.gradcheck(lambda x: function(x, index, 4), values)
    assert torch.autograd.gradgradcheck(lambda x: function(x, index, 4), values)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
def test_half_precisions_are_added_in_float32(half):
    ones, index = torch.ones(4096, dtype=half), torch.zeros(4096, dtype=torch.int64)
    assert segment_sum(ones, index, 1).tolist() == [4096.0]  # 256 or 2048 in its own precision


@pytest.mark.parametrize(("half", "roundoff"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_softmax_of_half_precisions_is_rounded_once(half, roundoff):
    scores, index = torch.randn(1000).to(half), torch.arange(1000) % 3
    p, exact = segment_softmax(scores, index, 3), segment_softmax(scores.double(), index, 3)
    assert p.dtype == half
    large = exact > 2**-13  # float16 has fewer digits below
    assert ((p - exact).abs() / exact)[large].max() <= 1.01 * roundoff
