"""When a rule that finds nothing to change looks again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.plasticity.budget import Every
from graphcolumns.plasticity.pause import Pause

WHEN = Every(10, start=10)


def looked(changes: list[bool], longest: int, steps: int) -> list[int]:
    """Steps of the updates that are made, when the n-th update changes something or not."""
    pause, made = Pause(), []
    for step in range(1, steps + 1):
        if WHEN(step) and pause.over(step, WHEN):
            pause = pause.after(step, changes[len(made)], longest)
            made.append(step)
    return made


def test_pauses_by_hand():
    # After 10 nothing: 20 is left out. After 30 nothing: 40, 50, 60. After 70 again three.
    assert looked([False] * 9, 3, 160) == [10, 30, 70, 110, 150]


def test_a_change_ends_it():
    changes = [False, False, True, True, False, True]
    assert looked(changes, 7, 110) == [10, 30, 70, 80, 90, 110]


def test_none_is_left_out_without_it():
    assert looked([False] * 9, 0, 50) == [10, 20, 30, 40, 50]


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(0, 9))
def test_gaps_are_never_longer(changes, longest):
    made = looked(changes, longest, 400)
    gaps = [(b - a) // 10 - 1 for a, b in pairwise(made)]
    assert made[0] == 10
    assert max(gaps, default=0) <= longest
    assert all(gap == 0 for gap, changed in zip(gaps, changes, strict=False) if changed)
