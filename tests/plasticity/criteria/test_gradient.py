"""Criteria that read gradients, worked by hand."""

import math

import pytest
import torch

from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.criteria.gradient import movement_of_step
from tests.plasticity.support.eight import GRADIENT, WEIGHT, sums
from tests.plasticity.support.stand_in import candidates, edges


def test_mest():
    of = edges(weight=WEIGHT, weight_gradient=GRADIENT)
    assert criteria.mest(of, weight=0.5).tolist() == [1.5, 2.5, 6.25, 2, 1, 1.5, 4.125, 5]
    assert float(criteria.mest(of)[0]) == pytest.approx(1.01)


def test_mest_of_heads_that_cancel():
    """The size of a head's gradient is taken before heads are added."""
    gradient = torch.tensor([[5.0, -5.0], [1.0, 1.0]])
    of = edges(weight=torch.full((2, 2), 0.1), weight_gradient=gradient)
    assert criteria.mest(of, weight=0.1).tolist() == pytest.approx([0.1 + 0.5, 0.1 + 0.1])


def test_mest_of_closed_edges():
    closed = torch.tensor([[-math.inf, -4.0], [-math.inf, -math.inf]])
    of = edges(weight=closed, weight_gradient=torch.zeros(2, 2))
    assert criteria.mest(of).tolist() == [2, 0]


def test_movement_of_a_step():
    # A positive weight with a negative gradient grows: worth keeping.
    expected = [-1, 2, -3, 2, 0, 0, 1, 0]
    assert movement_of_step(WEIGHT[:, 0], GRADIENT[:, 0]).tolist() == expected
    both = torch.cat([WEIGHT, WEIGHT], 1), torch.cat([GRADIENT, -2 * GRADIENT], 1)
    assert movement_of_step(*both).tolist() == [-x for x in expected]
    assert movement_of_step(torch.tensor([-math.inf]), torch.zeros(1)).tolist() == [0.0]


def test_movement_is_what_was_accumulated():
    total = torch.tensor([1.0, -2.0])
    assert criteria.movement(edges(memory={"movement": total})) is total
    with pytest.raises(ValueError, match="set Scoring\\(watch_movement=True\\)"):
        criteria.movement(edges(memory={}))


def test_attention_gradient():
    of = edges(scores=sums(2, attention_gradient=[1, 2, 3, 4]))
    assert criteria.attention_gradient(of).tolist() == [0.5, 1, 1.5, 2]


def test_gradient_size_and_advantage():
    of = candidates(scores=sums(2, gate=[-2, 4], advantage=[3, -5]))
    assert criteria.gradient_size(of).tolist() == [1, 2]
    assert criteria.advantage(of).tolist() == [-1.5, 2.5]


def test_what_they_refuse():
    for name in ("movement", "attention_gradient"):
        with pytest.raises(ValueError, match=f"{name} says how much edges.*Got candidates"):
            getattr(criteria, name)(candidates())
