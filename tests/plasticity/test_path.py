"""How much code an update runs through: upper limits, so that the path stays as short as it is."""

import pytest

from tests.benchmarks.call_counts import count_calls


@pytest.fixture(scope="module")
def counted():
    return count_calls()


def test_path_of_an_update(counted):
    update = counted["update"]
    assert update.files("plasticity/") <= 23
    assert update.count() <= 263
    assert update.depth <= 21


def test_an_update_measures_and_swaps(counted):
    functions = set().union(*counted["update"].functions.values())
    assert {"Trial.run", "carry", "rewire", "select"} <= functions


def test_path_of_a_forward_and_backward_pass(counted):
    step = counted["forward and backward"]
    assert not step.files("plasticity/")
    assert step.files() <= 20
