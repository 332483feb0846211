"""Sizes of eight edges, worked by hand."""

import math

import pytest
import torch

from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.criteria.magnitude import sizes_of_weights
from tests.plasticity.support.eight import GRAPH, WEIGHT, sums
from tests.plasticity.support.stand_in import candidates, edges


def test_mass_is_what_the_probe_measured():
    values = torch.tensor([1, 0.5])
    assert criteria.mass(edges(mass=values)) is values


def test_candidate_mass():
    pairs = candidates(scores=sums(2, would_be=[1, 0.5]))
    assert criteria.candidate_mass(pairs).tolist() == [0.5, 0.25]


def test_weight_size_is_the_mean_of_sizes():
    of = edges(centred_weight=torch.cat([WEIGHT, -3 * WEIGHT], 1))
    assert criteria.weight_size(of).tolist() == [2, 4, 12, 2, 2, 0, 8, 10]


def test_a_closed_edge_has_no_size():
    closed = torch.tensor([[-math.inf, -4.0], [-math.inf, -math.inf]])
    assert sizes_of_weights(closed).tolist() == [[0, 4], [0, 0]]
    assert criteria.weight_size(edges(centred_weight=closed)).tolist() == [2, 0]


# In-edges sum to 9, 2, 4 and 5; out-edges of 0, 1, 2, 3 to 1, 6, 3 and 10.
SHARES = [1 / 9 + 1 / 6, 2 / 9 + 2 / 3, 6 / 9 + 6 / 10, 1 / 2 + 1 / 1,
          1 / 2 + 1 / 3, 0.0, 4 / 4 + 4 / 10, 5 / 5 + 5 / 6]  # fmt: skip


def test_relative_importance_of_mass():
    of = edges(mass=WEIGHT[:, 0].abs(), graph=GRAPH)
    assert criteria.relative_importance(of).tolist() == pytest.approx(SHARES)
    nothing = edges(mass=torch.zeros(8), graph=GRAPH)
    assert criteria.relative_importance(nothing).tolist() == [0.0] * 8


def test_relative_importance_of_weights_has_shares_per_head():
    """Each head has its own sums: a head with large weights does not outvote the other."""
    other = torch.ones(8, 1)
    of = edges(centred_weight=torch.cat([WEIGHT, 1000 * other], 1), graph=GRAPH)
    got = criteria.relative_importance(of, of="weight")
    # The second head: one share of 3, 2, 2, 1 in-edges and one of 2, 2, 2, 2 out-edges.
    equal = [1 / 3 + 1 / 2] * 3 + [1 / 2 + 1 / 2] * 4 + [1 + 1 / 2]
    expected = [(a + b) / 2 for a, b in zip(SHARES, equal, strict=True)]
    assert got.tolist() == pytest.approx(expected)


def test_what_they_refuse():
    for criterion in (criteria.mass, criteria.relative_importance):
        with pytest.raises(ValueError, match=r"mass says how much edges are worth.*Got candidates"):
            criterion(candidates())
    with pytest.raises(ValueError, match=r"candidate_mass says how much candidates.*Got edges"):
        criteria.candidate_mass(edges())
    with pytest.raises(ValueError, match=r"of 'mass' or of 'weight'. Got 'bias'"):
        criteria.relative_importance(edges(), of="bias")
