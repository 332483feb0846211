"""Lifetimes of edges, against a log worked by hand, and against the replay of random ones."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcolumns.analysis import edge_lifetimes as ages
from graphcolumns.analysis.edge_lifetimes import edge_lifetimes
from graphcolumns.checkpoint import replay
from tests.analysis.support.histories import LOG, events

# By edge, then by time: 01 01 02 12 12 23 30 33.
LENGTH = np.array([1, 1, 2, 1, 1, 1, 3, 0.0])


def test_lives_by_hand():
    found = edge_lifetimes(events())
    assert found.target.tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    assert found.source.tolist() == [1, 1, 2, 2, 2, 3, 0, 3]
    assert found.born.tolist() == [0, 2, 1, 0, 3, 0, 2, 0]
    assert found.died.tolist() == [1, 3, 3, 2, 4, 4, 4, 4]
    assert found.steps.tolist() == [0, 10, 20, 30]
    assert found.age.tolist() == [1, 1, 2, 2, 0, 3, 1, 3]
    assert found.survived.tolist() == [False, False, False, False, True, True, True, True]
    assert found.initial.tolist() == [True, False, False, True, False, True, False, True]


def test_counts_by_hand():
    found = edge_lifetimes(events())
    assert ages.totals(found).tolist() == [4, 4, 5, 4]
    assert ages.totals(found, LENGTH).tolist() == [3, 4, 7, 5]
    assert ages.births(found).tolist() == [0, 1, 2, 1]
    assert ages.deaths(found).tolist() == [0, 1, 1, 2]
    assert ages.edges_explored(found).tolist() == [4, 5, 6, 6]
    assert ages.likeness(found) == pytest.approx([1, 3 / 5, 3 / 6, 3 / 5])


def test_survival_by_hand():
    found = edge_lifetimes(events())
    age, share = ages.edge_survival(found, found.initial)
    assert age.tolist() == [0, 1, 2, 3]
    assert share == pytest.approx([1, 3 / 4, 1 / 2, 1 / 2])
    # Of the four born later, one is seen for no update at all: it was never at risk.
    age, share = ages.edge_survival(found, ~found.initial)
    assert age.tolist() == [0, 0, 1, 2]
    assert share == pytest.approx([1, 1, 2 / 3, 0])


def test_updates_are_counted_where_the_log_leaves_some_out():
    sparse = [event._replace(update=5 * event.update) for event in events()]
    assert edge_lifetimes(sparse).age.tolist() == [5, 5, 10, 10, 0, 15, 5, 15]


def test_the_users_ids():
    found = edge_lifetimes(events(), torch.tensor([2, 3, 1, 0]))
    alive = found.alive(3)
    edges = zip(found.target[alive].tolist(), found.source[alive].tolist(), strict=True)
    assert set(edges) == {(3, 1), (1, 0), (0, 2), (0, 0)}  # 12 23 30 33


def test_dropped_and_grown_by_the_same_update():
    found = edge_lifetimes(events([(0, [], [(0, 1)]), (5, [(0, 1)], [(0, 1)])]))
    assert found.born.tolist() == [0, 1]
    assert found.died.tolist() == [1, 2]
    assert ages.edges_explored(found).tolist() == [1, 1]
    assert ages.likeness(found).tolist() == [1, 1]


@pytest.mark.parametrize(("count", "expected"), [(2, [0, 3]), (3, [0, 2, 3]), (9, [0, 1, 2, 3])])
def test_moments(count, expected):
    assert ages.moments(edge_lifetimes(events()), count) == expected


def test_moments_at_which_nothing_changed_are_left_out():
    still = [
        LOG[0],
        (5, [], []),
        (10, [(0, 1)], []),
        (15, [], []),
        (20, [], [(0, 1)]),
        (25, [], []),
    ]
    assert ages.moments(edge_lifetimes(events(still)), 6) == [0, 2, 4]
    assert ages.moments(edge_lifetimes(events(still[:2])), 6) == [0]


@pytest.mark.parametrize(
    ("died", "born"),
    [
        pytest.param([(7, 1)], [], id="never born"),
        pytest.param([(0, 1)], [], id="dead already"),
        pytest.param([], [(2, 3)], id="born twice"),
    ],
)
def test_a_log_with_holes(died, born):
    with pytest.raises(ValueError, match="remove only edges that are there"):
        edge_lifetimes(events([*LOG, (40, died, born)]))


@st.composite
def logs(draw):
    """Columns, and a log in which random sets of edges follow one another."""
    n = draw(st.integers(1, 4))
    edges = st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))
    sets = [set(), *draw(st.lists(edges, min_size=1, max_size=6))]
    log = [(sorted(old - new), sorted(new - old)) for old, new in pairwise(sets)]
    return n, [(7 * i, *change) for i, change in enumerate(log)]


@settings(deadline=None)
@given(logs())
def test_every_moment_is_that_of_the_replay(case):
    n, log = case
    found, noted = edge_lifetimes(events(log)), events(log)
    graphs = [replay(noted[: m + 1], n) for m in range(len(noted))]
    keys = [set((g.target.long() * n + g.source.long()).tolist()) for g in graphs]
    for moment, expected in enumerate(keys):
        alive = found.alive(moment)
        assert sorted(found.target[alive] * n + found.source[alive]) == sorted(expected)
    assert ages.totals(found).tolist() == [len(k) for k in keys]
    like = [len(k & keys[0]) / len(k | keys[0]) if k | keys[0] else 1 for k in keys]
    assert ages.likeness(found) == pytest.approx(like)
    ever = [len(set().union(*keys[: m + 1])) for m in range(len(keys))]
    assert ages.edges_explored(found).tolist() == ever
