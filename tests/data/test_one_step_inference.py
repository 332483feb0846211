"""One-step inference: the problems, and what can be known without the goal."""

from collections import Counter, defaultdict
from fractions import Fraction

import pytest
import torch

from graphcolumns.data import one_step_inference
from graphcolumns.data.one_step_inference import DIRECTIONS, GOALS, PROBLEMS, problems


def test_one_of_the_offers_leads_to_the_goal():
    for goal, right, wrong in PROBLEMS:
        assert right in goal.split()
        assert wrong not in goal.split()
    assert Counter(goal for goal, *_ in PROBLEMS) == dict.fromkeys(GOALS, 2)
    assert Counter(right for _, right, _ in PROBLEMS) == dict.fromkeys(DIRECTIONS, 2)


def test_without_the_goal_five_of_eight():
    answers = defaultdict(Counter)
    for _, *offers in PROBLEMS:
        answers[frozenset(offers)][offers[0]] += 1
    best = sum(max(counts.values()) for counts in answers.values())
    assert Fraction(best, len(PROBLEMS)) == Fraction(5, 8)


def test_a_sequence_by_hand():
    inputs, answers = problems(2, 1, 1)
    assert inputs[0].tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0],  # up and right are offered
    ]
    assert DIRECTIONS[answers[0]] == "up"


def test_samples_are_problems_with_noise():
    data = one_step_inference(3, 0, 2, noise=0.1, train_count=2000, test_count=100, seed=1)
    clean, answers = problems(3, 0, 2)
    assert data.train_inputs.shape == (2000, 5, 8)
    nearest = torch.cdist(data.train_inputs.flatten(1), clean.flatten(1)).argmin(1)
    assert torch.equal(data.train_targets, answers[nearest])
    assert torch.bincount(nearest).min() > 200
    assert float((data.train_inputs - clean[nearest]).std()) == pytest.approx(0.1, rel=0.02)
    again = one_step_inference(3, 0, 2, noise=0.1, train_count=2000, test_count=9, seed=1)
    assert torch.equal(again.train_inputs, data.train_inputs)
    assert not torch.equal(data.train_inputs[:100], data.test_inputs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"goal_steps": 0}, "Got goal_steps=0, offer_steps=20 and delay_steps=10"),
        ({"delay_steps": -1}, "and delay_steps=-1"),
        ({"noise": -0.1}, "noise must be 0 or more"),
    ],
)
def test_refused(given, message):
    with pytest.raises(ValueError, match=message):
        one_step_inference(**given)
