"""Can what the input columns see reach the columns that are read?"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.paths import check_paths, hops


def chain(*edges: tuple[int, int], columns: int = 4) -> ColumnGraph:
    """A graph of `(source, target)` pairs."""
    pairs = torch.tensor(edges, dtype=torch.int64).view(-1, 2)
    return ColumnGraph.from_edge_index(pairs.t(), columns)


def at(*columns: int, of: int = 4) -> Tensor:
    marked = torch.zeros(of, dtype=torch.bool)
    marked[list(columns)] = True
    return marked


LINE = ((0, 1), (1, 2), (2, 3))


class TestHops:
    def test_along_a_line(self):
        assert hops(chain(*LINE), at(0)).tolist() == [0, 1, 2, 3]

    def test_against_the_edges_there_is_no_path(self):
        assert hops(chain(*LINE), at(2)).tolist() == [-1, -1, 0, 1]

    def test_two_starts(self):
        assert hops(chain(*LINE), at(0, 2)).tolist() == [0, 1, 0, 1]

    def test_no_edges(self):
        assert hops(chain(), at(1)).tolist() == [-1, 0, -1, -1]

    def test_direct_edges_carry_where_edges_do_not(self):
        """Two sheets of two columns without edges between them, then a shift register."""
        graph = chain((0, 0), (1, 1), (2, 2), (3, 3))
        register = torch.tensor([0, 1, 4, 5])
        assert hops(graph, at(0, 1)).tolist() == [0, 0, -1, -1]
        assert hops(graph, at(0, 1), register).tolist() == [0, 0, 2, 2]

    def test_forgetful_columns_on_a_ring(self):
        ring = chain(*LINE, (3, 0))
        assert hops(ring, at(0), keeps=False).tolist() == [0, 1, 2, 3]

    @given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))), st.integers(0, 6))
    def test_is_breadth_first_search(self, pairs, start):
        expected, frontier, step = {start: 0}, {start}, 0
        while frontier:
            step += 1
            frontier = {t for s, t in pairs if s in frontier} - expected.keys()
            expected |= dict.fromkeys(frontier, step)
        found = hops(chain(*pairs, columns=7), at(start, of=7)).tolist()
        assert found == [expected.get(column, -1) for column in range(7)]


class TestCheckPaths:
    receptive = torch.tensor([0, -1, -1, -1])

    def check(self, graph: ColumnGraph, read: int, depth: int, **options) -> None:
        direct = options.pop("direct", None)
        check_paths(graph, self.receptive, torch.tensor([read]), depth, direct, **options)

    def test_just_deep_enough(self):
        self.check(chain(*LINE), read=3, depth=3)

    def test_too_shallow(self):
        with pytest.raises(ValueError, match="3 steps from the input, the model takes depth = 2"):
            self.check(chain(*LINE), read=3, depth=2)

    def test_no_path(self):
        with pytest.raises(ValueError, match="no path leads from an input column to an output"):
            self.check(chain((0, 1), (2, 3)), read=3, depth=9)

    def test_without_input_there_is_no_path(self):
        with pytest.raises(ValueError, match="no path leads"):
            check_paths(chain(*LINE), torch.full((4,), -1), None, 3, None)

    def test_all_columns_are_read_by_default(self):
        check_paths(chain(), self.receptive, None, 1, None)

    def test_a_signal_that_is_gone(self):
        with pytest.raises(ValueError, match=r"at step 1 and is gone after depth = 2.*self-edge"):
            self.check(chain(*LINE), read=1, depth=2, keeps=False)

    @pytest.mark.parametrize(
        "remedy",
        [{"keeps": True}, {"keeps": False, "renewed": True}],
        ids=["residual", "input at every step"],
    )
    def test_a_signal_that_stays(self, remedy):
        self.check(chain(*LINE), read=1, depth=2, **remedy)

    def test_a_signal_that_stays_through_self_edges(self):
        self.check(chain((0, 0), *LINE), read=1, depth=2, keeps=False)

    def test_direct_edges_replace_what_a_column_held(self):
        """Column 1 listens to column 0, which copies the silent column 3, or itself (4 + 0)."""
        with pytest.raises(ValueError, match="is gone"):
            self.check(chain((0, 1)), read=1, depth=2, direct=torch.tensor([7, 7, 6, 7]))
        self.check(chain((0, 1)), read=1, depth=2, direct=torch.tensor([4, 7, 6, 7]))

    @pytest.mark.parametrize(
        ("outputs", "got"),
        [([4], r"ids in \[4, 4\]"), ([-1, 0], r"ids in \[-1, 0\]"), ([], "none")],
    )
    def test_columns_that_do_not_exist(self, outputs, got):
        outputs = torch.tensor(outputs, dtype=torch.int64)
        with pytest.raises(ValueError, match=f"one of the 4 columns, got {got}"):
            check_paths(chain(*LINE), self.receptive, outputs, 3, None)
