"""What is read from metrics.jsonl."""

import pytest

from graphcolumns.analysis.entries import spikes


def noted(losses: list[float], updates: dict[int, int]) -> list[dict]:
    """Entries of steps 1, 2, ...; `updates` maps steps to births."""
    entries = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    for step, born in updates.items():
        entries[step - 1] |= {"edges_born": born, "edges_died": born}
    return entries


def test_a_spike_by_hand():
    """After step 2, at which the loss is still that of the old edges, it is higher by 3 and 1."""
    entries = noted([5, 5, 8, 6, 5], {2: 7})
    assert spikes(entries, window=2) == [2.0]
    assert spikes(entries, window=1) == [3.0]


def test_an_update_that_changed_nothing_is_no_update():
    assert spikes(noted([1, 1, 9, 9], {2: 0}), window=1) == []
    assert spikes(noted([1, 1], {}), window=1) == []


def test_the_steps_of_another_update_do_not_count():
    """Steps 3 and 5: with two steps on each side, both windows hold the other's change."""
    entries = noted([1, 1, 1, 4, 4, 6, 6, 6], {3: 1, 5: 1})
    assert spikes(entries, window=1) == [3.0, 2.0]
    assert spikes(entries, window=2) == [3.0, 2.0]
    assert spikes(entries, window=3) == []


@pytest.mark.parametrize("step", [1, 4])
def test_too_few_steps_on_one_side(step):
    assert spikes(noted([1, 1, 1, 1], {step: 1}), window=2) == []
