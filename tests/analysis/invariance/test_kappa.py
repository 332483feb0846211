"""Error consistency: answers by hand, scikit-learn, what is undefined."""

import math
import re

import pytest
import torch

from graphcolumns.analysis.invariance import error_consistency, error_consistency_table


def trials(digits):
    return torch.tensor([digit == "1" for digit in digits])


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        # Both right on 4, both wrong on 2 of 10: (.6 - .52) / .48.
        ("1111110000", "1111001100", 1 / 6),
        # Accuracies 3/4 and 1/2: observed 3/4, expected 1/2.
        ("1110", "1100", 0.5),
        ("1100", "1100", 1.0),
        ("1100", "0011", -1.0),
        ("1100", "1010", 0.0),
        # One is always right: agreement is what chance gives.
        ("1111", "1100", 0.0),
        ("1111", "0000", 0.0),
    ],
)
def test_by_hand(first, second, kappa):
    assert error_consistency(trials(first), trials(second)) == pytest.approx(kappa, abs=1e-15)


@pytest.mark.parametrize("same", ["1111", "0000"])
def test_two_observers_without_contrast_are_undefined(same):
    assert math.isnan(error_consistency(trials(same), trials(same)))


def test_equal_to_cohens_kappa_of_right_and_wrong():
    metrics = pytest.importorskip("sklearn.metrics")
    draws = torch.Generator().manual_seed(0)
    for n in (2, 7, 50, 1000):
        for share in (0.2, 0.5, 0.9):
            first = torch.rand(n, generator=draws) < share
            second = (torch.rand(n, generator=draws) < 0.5) | first
            if first.all() or not second.any():
                continue
            oracle = metrics.cohen_kappa_score(first.numpy(), second.numpy())
            assert error_consistency(first, second) == pytest.approx(oracle, abs=1e-12)


def test_independent_observers_have_kappa_near_zero():
    right = torch.rand(2, 100_000, generator=torch.Generator().manual_seed(0)) < 0.8
    # Standard error 1 / sqrt(n) = .003.
    assert abs(error_consistency(*right)) < 0.012


def test_table_by_hand():
    table = error_consistency_table(
        {
            "a": trials("1111110000"),
            "b": trials("1111001100"),
            "all": trials("1111111111"),
            "every": trials("1111111111"),
        }
    )
    assert table.trials == 10
    assert table.accuracy.tolist() == [0.6, 0.6, 1.0, 1.0]
    assert table.observed[0, 1] == pytest.approx(0.6)
    assert table.expected[0, 1] == pytest.approx(0.52)
    assert torch.equal(table.kappa.isnan(), table.kappa.T.isnan())
    assert table.kappa[:2, :2].tolist() == [
        [pytest.approx(1.0), pytest.approx(1 / 6)],
        [pytest.approx(1 / 6), pytest.approx(1.0)],
    ]
    # Six pairs: 1/6, four times 0, and one that is undefined.
    assert table.mean() == pytest.approx(1 / 30)
    assert table.undefined() == 1
    assert table.mean(["a", "b"]) == pytest.approx(1 / 6)
    assert table.mean(["a"], ["b", "all"]) == pytest.approx(1 / 12)
    assert math.isnan(table.mean(["all", "every"]))
    assert table.undefined(["all"], ["every"]) == 1
    lines = table.to_markdown().splitlines()
    assert lines[2] == "| a | b | 0.167 | 0.600 | 0.520 |"
    assert lines[-1] == "| all | every | nan | 1.000 | 1.000 |"
    assert len(lines) == 8


def test_table_is_that_of_its_pairs_and_ignores_the_order_of_trials():
    draws = torch.Generator().manual_seed(1)
    right = dict(zip("abc", torch.rand(3, 40, generator=draws) < 0.7, strict=True))
    table = error_consistency_table(right)
    for i, first in enumerate("abc"):
        for j, second in enumerate("abc"):
            assert float(table.kappa[i, j]) == error_consistency(right[first], right[second])
    order = torch.randperm(40, generator=draws)
    again = error_consistency_table({name: part[order] for name, part in right.items()})
    assert torch.equal(again.kappa, table.kappa)


@pytest.mark.parametrize(
    ("correct", "kind", "message"),
    [
        (
            {"a": trials("10"), "b": torch.tensor([1, 0])},
            TypeError,
            "trials must be a bool tensor, True where correct. Got torch.int64 of 'b'; compare "
            "answers with targets, answers == targets.",
        ),
        (
            {"a": [True], "b": trials("1")},
            TypeError,
            "trials must be a bool tensor, True where correct. Got list of 'a'; compare answers "
            "with targets, answers == targets.",
        ),
        (
            {"a": trials("10"), "b": trials("101")},
            ValueError,
            "all observers must have the same trials. Expected 2. Got 3 of 'b'; keep the trials "
            "that all of them saw.",
        ),
        (
            {"a": trials(""), "b": trials("")},
            TypeError,
            "trials must be a bool tensor, True where correct. Got torch.float32 of 'a'; compare "
            "answers with targets, answers == targets.",
        ),
        (
            {"a": trials("10")[:0], "b": trials("10")[:0]},
            ValueError,
            "trials must be [n] with n at least 1. Got [0] of 'a'.",
        ),
        (
            {"a": trials("10")[None], "b": trials("10")},
            ValueError,
            "trials must be [n] with n at least 1. Got [1, 2] of 'a'.",
        ),
        ({"a": trials("10")}, ValueError, "a table needs at least two observers. Got 1."),
        (
            [trials("10")],
            TypeError,
            "correct must be a mapping from names of observers to trials. Got list.",
        ),
    ],
)
def test_wrong_trials(correct, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        error_consistency_table(correct)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((["a", "d"],), "observers must be in the table. Expected one of 'a', 'b'. Got 'd'."),
        ((["a", "a"],), "an observer can be named once. Got ['a', 'a']."),
        ((["a"],), "a mean needs a pair of observers. Got 1 observers."),
        ((["a", "b"], ["b"]), "an observer must be in one group. Got 'b' in both."),
    ],
)
def test_wrong_groups(groups, message):
    table = error_consistency_table({"a": trials("10"), "b": trials("11")})
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        table.mean(*groups)
