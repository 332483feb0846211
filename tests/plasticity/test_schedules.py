import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.plasticity.rules.schedules import (
    Constant,
    Cosine,
    Cubic,
    Cycles,
    Exponential,
    GrowOnly,
    Linear,
    Sigmoid,
)

RAMPS = [Linear, Cosine, Cubic, Sigmoid, Exponential]


def test_by_hand():
    assert [Linear(10, 2, 100, 200)(t) for t in (0, 100, 125, 200, 999)] == [10, 10, 8, 2, 2]
    assert Cosine(0.3, 0, 0, 100)(50) == pytest.approx(0.15)
    assert Cosine(0.3, 0, 0, 90)(30) == pytest.approx(0.225)  # cos 60 degrees is 1/2
    assert Cubic(100, 20, 0, 2)(1) == 30  # 20 + 80 / 8
    assert Exponential(100, 1, 0, 4)(2) == pytest.approx(10)
    assert Sigmoid(0.5, 0.05, 0, 10)(5) == pytest.approx(0.275)  # half-way
    raw = 1 / (1 + math.exp(-3))  # a quarter of the way: stretched by less than half a percent
    assert Sigmoid(1, 0, 0, 4)(1) == pytest.approx(raw, abs=5e-3)
    assert Constant(7)(12345) == 7
    assert GrowOnly(10, 20, 0, 10)(5) == 15


def test_the_cosine_begins_at_start():
    """It does not count from step 0 whatever its start."""
    cosine = Cosine(0.3, 0, start=1000, stop=2000)
    assert cosine(999) == cosine(1000) == 0.3
    assert cosine(1500) == pytest.approx(0.15)


def test_cycles_by_hand():
    cycles = Cycles(10, 2, period=4, start=2, stop=12, share=0.5)
    assert [cycles(t) for t in range(14)] == [2, 2, 10, 10, 2, 2, 10, 10, 2, 2, 10, 10, 2, 2]


@pytest.mark.parametrize("kind", RAMPS)
@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.integers(0, 1000), st.integers(1, 1000))
def test_ends_are_exact_and_between_is_monotone(kind, init, final, start, length):
    """The first and the last value are exact, and none between turns back."""
    schedule = kind(init, final, start, start + length)
    values = [schedule(t) for t in range(start, start + length + 1, max(1, length // 50))]
    assert schedule(start) == values[0] == init
    assert schedule(start + length) == schedule(start + length + 1000) == final
    sign = 1 if final >= init else -1
    slack = 1e-12 * max(init, final)
    assert all(sign * (b - a) >= -slack for a, b in pairwise(values))


@given(st.integers(0, 100), st.integers(1, 100), st.integers(0, 300))
def test_pure(start, length, step):
    """A resumed run calls it for one step and gets what the unbroken run got."""
    for kind in RAMPS:
        assert kind(3, 1, start, start + length)(step) == kind(3, 1, start, start + length)(step)


def test_errors():
    for match, call in [
        ("Cubic must stop after it starts. Got start=5, stop=5", lambda: Cubic(1, 0, 5, 5)),
        ("Linear must go between finite numbers", lambda: Linear(math.inf, 0, 0, 5)),
        ("must not fall", lambda: GrowOnly(2, 1, 0, 5)),
        ("between positive numbers", lambda: Exponential(1, 0, 0, 5)),
        ("steepness must be positive", lambda: Sigmoid(1, 0, 0, 5, steepness=0)),
        ("cycles need period", lambda: Cycles(2, 1, 1, 0, 10)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
