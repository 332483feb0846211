"""Matching index and CH2-L3n: by hand, against networkx, and against loops over sets."""

import networkx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns import ColumnGraph
from graphcolumns.plasticity import criteria
from tests.ops.support.cases import graph_of
from tests.plasticity.support.stand_in import candidates


def all_pairs(columns: int, sources: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T


def on(graph: ColumnGraph, targets: Tensor, sources: Tensor):
    return candidates(graph=graph, targets=targets, sources=sources)


class TestMatchingByHand:
    """0 hears 2, 3, 4; 1 hears 3, 4, 5 and 0; 2 hears 1."""

    edges = ((0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (1, 5), (1, 0), (2, 1))
    graph = ColumnGraph.from_edge_index(torch.tensor(edges).T.flip(0), 6)

    def of(self, i: int, j: int, **options) -> float:
        pair = on(self.graph, torch.tensor([i]), torch.tensor([j]))
        return float(criteria.matching_index(pair, **options))

    def test_in(self):
        # {2, 3, 4} and {3, 4, 5}: the edge 1 <- 0 between the two does not count.
        assert self.of(0, 1, neighbours="in") == 2 / 4
        assert self.of(0, 1, neighbours="in", norm="dice") == 4 / 6
        assert self.of(3, 4, neighbours="in") == 0.0

    def test_out(self):
        assert self.of(3, 4, neighbours="out") == 1.0
        assert self.of(4, 5, neighbours="out") == 1 / 2

    def test_all(self):
        # Heard as before; 1 is heard by 2, 0 only by 1.
        assert self.of(0, 1) == 2 / 5


@st.composite
def masks(draw, square: bool = True) -> Tensor:
    columns = draw(st.integers(1, 9))
    sources = columns if square else draw(st.integers(1, 9))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    return torch.rand(columns, sources) < draw(st.sampled_from([0.1, 0.3, 0.6]))


class TestMatching:
    @given(masks(), st.sampled_from(["in", "out", "all"]), st.sampled_from(["jaccard", "dice"]))
    def test_equals_a_loop_over_sets(self, mask, neighbours, norm):
        count = len(mask)
        pairs = all_pairs(count, count)
        got = criteria.matching_index(on(graph_of(mask), *pairs), neighbours, norm, chunk=7)
        for value, (i, j) in zip(got.tolist(), pairs.T.tolist(), strict=True):
            first, second = (self.around(mask, k, {i, j}, neighbours) for k in (i, j))
            common = len(first & second)
            total = len(first | second) if norm == "jaccard" else len(first) + len(second)
            expected = (1 if norm == "jaccard" else 2) * common / max(total, 1)
            assert value == pytest.approx(expected)

    @staticmethod
    def around(mask: Tensor, column: int, without: set[int], neighbours: str) -> set:
        heard = {("in", k) for k in range(len(mask)) if mask[column, k] and k not in without}
        told = {("out", k) for k in range(len(mask)) if mask[k, column] and k not in without}
        return {"in": heard, "out": told, "all": heard | told}[neighbours]

    @given(masks())
    def test_of_symmetric_graphs_is_networkx_jaccard(self, mask):
        mask = (mask | mask.T).fill_diagonal_(False)
        graph = networkx.from_numpy_array(mask.int().numpy())
        free = list(networkx.non_edges(graph))
        if free:
            pairs = torch.tensor(free).T
            got = criteria.matching_index(on(graph_of(mask), *pairs), "in")
            expected = [value for *_, value in networkx.jaccard_coefficient(graph, free)]
            assert got.tolist() == pytest.approx(expected)

    def test_needs_a_square_graph_and_known_words(self):
        with pytest.raises(ValueError, match="Expected a square graph"):
            criteria.matching_index(on(graph_of(torch.ones(2, 3) > 0), *all_pairs(2, 2)))
        with pytest.raises(ValueError, match="Got 'near' and 'jaccard'"):
            criteria.matching_index(on(graph_of(torch.ones(2, 2) > 0), *all_pairs(2, 2)), "near")


class TestPathsOfThreeByHand:
    """Column 0 hears 0 and 1; column 1 hears 1 and 2; column 2 hears 2, 3 and 4."""

    graph = graph_of(torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 1]]).bool())

    def of(self, i: int, j: int) -> float:
        return float(criteria.ch2_l3n(on(self.graph, torch.tensor([i]), torch.tensor([j]))))

    def test_one_path(self):
        # 0 - 1 - 1' - 2. Column 1 shares one source with column 0 and has one edge that leaves:
        # e = max(2 - 1, 1) - 1 = 0, so W = 2. Source 1 (heard by 0 and 1) shares one target with
        # source 2 and likewise has W' = 2.
        assert self.of(0, 2) == 2 + 2

    def test_edges_that_leave_count_against_a_path(self):
        # 1 - 2 - 2' - 3. Column 2 has two edges besides the shared one: e = 1, W = 2 / 2. Source 2
        # has one: W' = 2.
        assert self.of(1, 3) == 1 + 2

    def test_no_path(self):
        assert self.of(0, 3) == 0.0


class TestPathsOfThree:
    @given(masks(square=False))
    def test_equals_a_loop_over_paths(self, mask):
        columns, sources = mask.shape
        pairs = all_pairs(columns, sources)
        got = criteria.ch2_l3n(on(graph_of(mask), *pairs), chunk=7)
        heard = [set(row.nonzero().flatten().tolist()) for row in mask]
        told = [set(row.nonzero().flatten().tolist()) for row in mask.T]
        for value, (i, j) in zip(got.tolist(), pairs.T.tolist(), strict=True):
            expected = self.half(heard, i, told[j]) + self.half(told, j, heard[i])
            assert value == pytest.approx(expected)

    @staticmethod
    def half(lists: list[set[int]], end: int, via: set[int]) -> float:
        """Sum over the members of ``via`` that share neighbours with ``end``."""
        total = 0.0
        for member in via:
            shared = len(lists[end] & lists[member])
            if shared:
                leaving = max(len(lists[member]) - shared, 1) - 1
                total += (shared + 1) / (leaving + 1)
        return total

    @given(masks(), st.integers(0, 2**16))
    def test_new_names_change_nothing(self, mask, seed):
        torch.manual_seed(seed)
        order = torch.randperm(len(mask))
        pairs = all_pairs(len(mask), len(mask))
        renamed = graph_of(mask[order][:, order])
        got = criteria.ch2_l3n(on(renamed, *pairs))
        expected = criteria.ch2_l3n(on(graph_of(mask), *order[pairs]))
        torch.testing.assert_close(got, expected)

    def test_an_empty_list(self):
        none = torch.zeros(0, dtype=torch.int64)
        assert criteria.ch2_l3n(on(graph_of(torch.ones(2, 2) > 0), none, none)).shape == (0,)
        assert criteria.matching_index(on(graph_of(torch.ones(2, 2) > 0), none, none)).shape == (0,)
