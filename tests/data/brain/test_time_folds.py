import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.data.brain import time_folds


def test_by_hand():
    folds = [[part.tolist() for part in fold] for fold in time_folds(10, folds=5, gap=1)]
    assert folds[0] == [[7, 8, 9], [4, 5], [0, 1]]
    assert folds[3] == [[3, 4, 9], [0, 1], [6, 7]]
    assert [fold.test.tolist() for fold in time_folds(7, folds=3)] == [[0, 1, 2], [3, 4], [5, 6]]


@given(st.integers(12, 60), st.integers(3, 6), st.integers(0, 1))
def test_blocks_cover_time_and_are_apart(times, folds, gap):
    found = time_folds(times, folds, gap)
    assert torch.equal(torch.cat([fold.test for fold in found]), torch.arange(times))
    assert torch.equal(torch.cat([f.validation for f in found]).sort().values, torch.arange(times))
    for train, validation, test in found:
        for block in (validation, test):
            assert (train[:, None] - block).abs().min() > gap
            assert torch.equal(block, torch.arange(int(block[0]), int(block[-1]) + 1))
        assert not set(validation.tolist()) & set(test.tolist())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 2), r"folds >= 3, gap >= 0 and a time per fold. Got num_times=10, folds=2, gap=0"),
        ((2, 3), r"Got num_times=2, folds=3"),
        ((10, 3, -1), r"gap=-1"),
        ((10, 3, 4), r"a time to train on. Got none: 10 times, of which gap=4 are left out"),
    ],
)
def test_wrong_numbers(arguments, message):
    with pytest.raises(ValueError, match=message):
        time_folds(*arguments)
