"""Correlated activity, by hand and against Pearson's correlation."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.criteria import activity
from tests.plasticity.support.stand_in import candidates

ACTIVITY = torch.tensor(
    [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [5.0, 5.0, 5.0], [1.0, 3.0, 1.0]]
)
NONE = torch.empty(2, 0, dtype=torch.int64)


def of(values, targets, sources):
    graph = ColumnGraph.from_edge_index(NONE, len(values))
    return candidates(activity=values, targets=targets, sources=sources, graph=graph)


def test_hebbian(monkeypatch):
    monkeypatch.setattr(activity, "CHUNK", 2)
    pairs = torch.tensor([0, 0, 0, 0, 0]), torch.tensor([0, 1, 2, 3, 4])
    got = criteria.hebbian(of(ACTIVITY, *pairs))
    assert got.tolist() == pytest.approx([1, 1, -1, 0, 0], abs=1e-6)


def test_hebbian_is_pearsons_correlation():
    values = torch.randn(6, 20, dtype=torch.float64)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    expected = torch.corrcoef(values).flatten()
    torch.testing.assert_close(criteria.hebbian(of(values, *pairs)), expected)


def test_a_constant_column_whose_mean_is_rounded():
    pair = torch.tensor([0]), torch.tensor([1])
    assert criteria.hebbian(of(torch.full((2, 3), 0.1), *pair)).tolist() == [0.0]


def test_sources_that_are_other_columns():
    """Their activity is not known."""
    pairs = of(ACTIVITY, torch.tensor([0]), torch.tensor([1]))
    pairs.graph = ColumnGraph.from_edge_index(NONE, 5, num_sources=9)
    with pytest.raises(ValueError, match=r"hebbian compares columns with columns. Expected"):
        criteria.hebbian(pairs)
