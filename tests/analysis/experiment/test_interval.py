"""Means and paired differences with their intervals."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from graphcolumns.analysis.experiment import mean_interval, paired_interval


def test_by_hand():
    # 1, 2, 3: mean 2, s = 1, and t of 97.5 % at two degrees of freedom is 4.3027 (any table).
    found = mean_interval([1.0, 2.0, 3.0])
    half = 4.302653 / 3**0.5
    assert found == pytest.approx((2.0, 2.0 - half, 2.0 + half, 3), abs=1e-6)


def test_paired_by_hand():
    # Differences 1, 2, 3 between values that vary by tens: only the differences count.
    ours, theirs = {0: 11.0, 1: 52.0, 2: 93.0}, {2: 90.0, 0: 10.0, 1: 50.0, 7: 0.0}
    assert paired_interval(ours, theirs) == pytest.approx(mean_interval([1.0, 2.0, 3.0]))
    assert paired_interval(ours, theirs).size == 3
    unpaired = mean_interval(list(ours.values()))
    assert unpaired.high - unpaired.low > 200


def test_one_seed_has_no_interval():
    found = mean_interval([0.5])
    assert (found.mean, found.size) == (0.5, 1)
    assert isnan(found.low)
    assert isnan(found.high)


def test_equal_values_are_a_point():
    assert paired_interval({0: 0.25, 1: 0.5}, {0: 0.0, 1: 0.25}) == (0.25, 0.25, 0.25, 2)


NUMBERS = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=8, unique_by=lambda p: p[0]
)


@given(NUMBERS, st.sampled_from([0.5, 0.95, 0.99]))
def test_as_scipy(pairs, confidence):
    ours, theirs = np.array(pairs).T
    if np.ptp(ours - theirs) < 1e-6:  # scipy warns of its own rounding
        return
    found = paired_interval(dict(enumerate(ours)), dict(enumerate(theirs)), confidence)
    told = stats.ttest_rel(ours, theirs).confidence_interval(confidence)
    assert found[1:3] == pytest.approx((told.low, told.high), rel=1e-9, abs=1e-12)


def test_nothing_to_average():
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
    with pytest.raises(ValueError, match="seeds in common"):
        paired_interval({0: 1.0}, {1: 1.0})
