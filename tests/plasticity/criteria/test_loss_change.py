"""Effects on the loss, worked by hand."""

import pytest
import torch

from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity import criteria
from tests.plasticity.support.eight import sums
from tests.plasticity.support.stand_in import candidates, edges


def test_deletion_cost():
    of = edges(scores=sums(2, deletion=[2, -1, 0, 4, 1, -3, 6, 0]))
    assert criteria.deletion_cost(of).tolist() == [1, -0.5, 0, 2, 0.5, -1.5, 3, 0]


def test_fisher_taylor_under_the_true_labels():
    # Samples (1, 1) and (3, -3): the same curvature for an edge whose effects cancel.
    of = edges(scores=sums(2, deletion=[2, 0] * 4, deletion_squares=[2, 18] * 4))
    assert criteria.fisher_taylor(of, curvature="labels").tolist() == [1.5, 4.5] * 4


def test_insertion_gain():
    of = candidates(scores=sums(2, insertion=[-2, 4, 0, -1], insertion_squares=[4, 8, 2, 1]))
    assert criteria.insertion_gain(of).tolist() == [1, -2, 0, 0.5]
    assert criteria.insertion_gain(of, curvature="labels").tolist() == [0, -4, -0.5, 0.25]


def test_insertion_gain_less_standard_errors():
    # u of the samples: (-3, 1), (-1, -1) and (0, 2). Standard errors 2, 0 and 1.
    given = {"insertion": [-2, -2, 2], "insertion_squares": [10, 2, 4]}
    of = candidates(scores=sums(2, **given))
    assert criteria.insertion_gain(of, standard_errors=1.5).tolist() == [1 - 3, 1, -1 - 1.5]
    with pytest.raises(ValueError, match=r"at least two samples\. Got 1"):
        criteria.insertion_gain(candidates(scores=sums(1, **given)), standard_errors=1.0)


def test_curvature_under_the_labels_that_the_model_predicts():
    table = torch.zeros(10, 1)
    first = EdgeScores.of(2, table + torch.tensor([[0, 0, 0, 4, 9, 0, 0, 0, -4, 9]]).T)
    curved = EdgeScores.of(4, table + 8.0)
    of = {"scores": first, "fisher": curved}
    assert criteria.fisher_taylor(edges(**of)).tolist() == [2 + 0.5 * 2]
    assert criteria.insertion_gain(candidates(**of), curvature="model").tolist() == [2 - 0.5 * 2]


def test_what_they_refuse():
    for name in ("deletion_cost", "fisher_taylor"):
        with pytest.raises(ValueError, match=f"{name} says how much edges.*Got candidates"):
            getattr(criteria, name)(candidates())
    with pytest.raises(ValueError, match=r"insertion_gain says .*drop them by .*deletion_cost"):
        criteria.insertion_gain(edges())
    with pytest.raises(ValueError, match=r"curvature must be .*Got 'true'"):
        criteria.insertion_gain(candidates(), curvature="true")
    with pytest.raises(ValueError, match=r"curvature must be .*Got None"):
        criteria.fisher_taylor(edges(), curvature=None)
