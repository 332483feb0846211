import math

import pytest
import torch

from graphcolumns.data import losses


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]])
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert losses.cross_entropy(logits, torch.tensor([0, 1])).item() == pytest.approx(expected)


def test_squared_error_by_hand():
    clean = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 2, 2)
    predicted = torch.tensor([[1.0, 0.0, 3.0, 7.0]])
    assert losses.squared_error(predicted, clean).item() == (4 + 9) / 4


def test_binary_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, -math.log(3.0)]])
    targets = torch.tensor([[1, 1], [0, 1]])
    # Chances of the right answers: 1/2, 3/4; 1/2, 1/4.
    expected = (math.log(2) + math.log(4 / 3) + math.log(2) + math.log(4)) / 4
    assert losses.binary_cross_entropy(logits, targets).item() == pytest.approx(expected)
    assert losses.binary_cross_entropy(logits, targets.float()).item() == pytest.approx(expected)
    each = losses.binary_cross_entropy_each(logits, targets).tolist()
    halves = [(math.log(2) + math.log(4 / 3)) / 2, (math.log(2) + math.log(4)) / 2]
    assert each == pytest.approx(halves)


def test_masked_squared_error_by_hand():
    targets = torch.tensor([[1.0, 2.0, math.nan], [0.0, math.nan, 5.0], [math.nan] * 3])
    predicted = torch.tensor(
        [[3.0, 2.0, 9.0], [1.0, 9.0, 9.0], [1.0, 2.0, 3.0]], requires_grad=True
    )
    each = losses.masked_squared_error_each(predicted, targets)
    assert each.tolist() == [(4 + 0) / 2, (1 + 16) / 2, 0.0]
    assert losses.masked_squared_error(predicted, targets).item() == pytest.approx(10.5 / 3)
    each.sum().backward()
    assert predicted.grad.tolist() == [[2.0, 0.0, 0.0], [1.0, 0.0, 4.0], [0.0, 0.0, 0.0]]
    first = torch.tensor([True, False, False])
    assert losses.masked_squared_error_each(predicted, targets, first).tolist() == [4.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "loss",
    [
        losses.squared_error,
        losses.binary_cross_entropy,
        losses.masked_squared_error,
        losses.squared_error_each,
        losses.binary_cross_entropy_each,
        losses.masked_squared_error_each,
    ],
)
def test_losses_keep_float64_and_widen_half(loss):
    predicted = torch.rand(3, 4, dtype=torch.float64)
    targets = torch.rand(3, 4, dtype=torch.float64).round(decimals=9)
    found = loss(predicted, targets)
    assert found.dtype == torch.float64
    # A step below the resolution of float32.
    assert not torch.equal(loss(predicted, targets + 1e-10), found)
    assert loss(predicted.bfloat16(), targets.float()).dtype == torch.float32
