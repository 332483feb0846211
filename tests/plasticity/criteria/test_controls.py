"""Chance, length, distance and age."""

import math

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.plasticity import criteria
from tests.plasticity.support.stand_in import candidates, edges

TARGETS, SOURCES = torch.cartesian_prod(torch.arange(50), torch.arange(50)).T
FIFTY = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 50)


def chance(targets=TARGETS, sources=SOURCES, seed: int = 1, update: int = 2):
    pairs = {"targets": targets, "sources": sources, "graph": FIFTY}
    return criteria.chance(candidates(**pairs, seed=seed, update=update))


def test_a_pair_draws_the_same_number_in_any_list():
    order = torch.randperm(2500)[:100]
    some = chance(TARGETS[order].int(), SOURCES[order].int())
    assert torch.equal(some, chance()[order])


def test_seeds_and_updates_differ():
    draws = [chance(seed=seed, update=update) for seed in (0, 1) for update in (0, 1)]
    correlation = torch.corrcoef(torch.stack(draws))
    assert float((correlation - torch.eye(4, dtype=torch.float64)).abs().max()) < 0.07


def test_chance_is_uniform():
    drawn = chance(seed=3, update=0)
    counts = torch.histc(drawn, 10, 0.0, 1.0)
    # Chi-square with 9 degrees of freedom: below 27.9 in 99.9 % of cases.
    assert float(((counts - 250) ** 2 / 250).sum()) < 27.9
    assert len(drawn.unique()) == 2500


def test_length():
    assert criteria.length(edges(distance=torch.tensor([1.0, 3.0]))).tolist() == [-1, -3]


def test_distance_kernels():
    of = candidates(distance=torch.tensor([0.0, 2.0]))
    assert criteria.distance_kernel(of, length=4.0).tolist() == [0, -0.5]
    assert criteria.distance_kernel(of, "gaussian", 2.0).tolist() == [0, -0.5]
    power = criteria.distance_kernel(of, "power", 2.0)
    assert power.tolist() == pytest.approx([0, -2 * math.log(2)])
    with pytest.raises(ValueError, match="kernel must be one of"):
        criteria.distance_kernel(of, "linear")
    for length in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"length of a kernel must be above 0. Got"):
            criteria.distance_kernel(of, length=length)


def test_age():
    of = edges(age=torch.tensor([0, 4]))
    assert criteria.age(of).tolist() == [0, 4]
    assert criteria.age(of, oldest_first=True).tolist() == [0, -4]
    with pytest.raises(ValueError, match=r"age says how much edges are worth.*Got candidates"):
        criteria.age(candidates())
