"""Pairs that a rule must keep or never make, by the ids of columns."""

import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Constraints

GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]]), 4)


def test_pairs_may_be_lists():
    one = Constraints(pinned=[[0, 1], [1, 2]], forbidden=[[], []])
    assert one.pinned.tolist() == [[0, 1], [1, 2]]
    one.check(GRAPH)
    assert one.may_prune(GRAPH).tolist() == [True, False, True, False, True]


def test_permuted_pairs_name_the_same_columns():
    """Edges of GRAPH by (target, source): 3>0, 0>1, 0>2, 1>2, 2>3."""
    permutation = torch.tensor([2, 0, 3, 1])  # old 2, 0, 3, 1 become 0, 1, 2, 3
    rules = Constraints(min_in=1, pinned=[[3], [0]], forbidden=[[1], [0]])
    changed = rules.permute(permutation)
    assert changed.pinned.tolist() == [[2], [1]]
    assert changed.forbidden.tolist() == [[3], [1]]
    assert changed.min_in == 1
    moved = GRAPH.permute(permutation)
    changed.check(moved)
    before = rules.may_prune(GRAPH)[GRAPH.permuted_edges(permutation)]
    assert changed.may_prune(moved).tolist() == before.tolist()


def test_without_pairs_nothing_changes():
    changed = Constraints(max_in=3).permute(torch.tensor([1, 0]))
    assert (changed.max_in, changed.pinned, changed.forbidden) == (3, None, None)


@pytest.mark.parametrize(("name", "pairs"), [("pinned", [[0], [9]]), ("forbidden", [[-1], [0]])])
def test_a_pair_of_no_column_is_named(name, pairs):
    with pytest.raises(ValueError, match=rf"(source|target) in {name}: ids must lie in \[0, 4\)"):
        Constraints(**{name: pairs}).permute(torch.arange(4))


def test_what_is_no_permutation_is_an_error():
    with pytest.raises(ValueError, match="must hold each of the 3 column ids once"):
        Constraints(pinned=[[0], [1]]).permute(torch.tensor([0, 0, 2]))
