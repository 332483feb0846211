import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.schedules import At, Cubic, Every
from tests.plasticity.support.sheets import eight


def empty(n: int, m: int | None = None) -> ColumnGraph:
    return ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), n, m)


def test_units_by_hand():
    graph = eight()  # 4 columns, 12 pairs without self-edges
    assert Budget(7).edges(0, graph) == 7
    assert Budget(1.5, "mean_degree").edges(0, graph) == 6
    assert Budget(0.25, "density").edges(0, graph) == 3
    assert Budget(0.25, "density").edges(0, graph, self_loops=True) == 4
    assert Budget(0.1, "density").edges(0, empty(2, 10)) == 2
    assert Budget(12.5, "length").length(0) == 12.5
    assert Budget(12.5, "length").edges(0, graph) is None
    assert Budget(7).length(0) is None


def test_a_schedule_ends_at_its_final_number():
    """The budget shrinks, and its last value is the final one."""
    budget = Budget(Cubic(12, 4, 0, 100))
    counts = [budget.edges(t, eight()) for t in range(0, 130, 10)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 12
    assert counts[10:] == [4, 4, 4]


@given(st.integers(2, 2**20), st.data())
def test_whole_numbers(n, data):
    """The number of edges is exact; a budget through a float32 density is off by edges."""
    pairs = n * (n - 1)
    count = data.draw(st.integers(0, pairs))
    graph = empty(n) if n < 100 else _Sizes(n)
    assert abs(Budget(count / pairs, "density").edges(0, graph) - count) <= pairs * 2e-16
    assert Budget(count).edges(0, graph) == count


class _Sizes:
    """A graph too large to make."""

    def __init__(self, n):
        self.num_columns = self.num_sources = n


def test_times():
    due = Every(10, start=5, stop=35)
    assert [t for t in range(100) if due(t)] == [5, 15, 25]
    assert [t for t in range(31) if Every(10)(t)] == [0, 10, 20, 30]
    assert [t for t in range(10) if At((2, 7))(t)] == [2, 7]


def test_errors():
    for match, call in [
        ("unit of a budget must be one of 'edges', 'mean_degree'", lambda: Budget(1, "mm")),
        ("between 0 and all 14 allowed pairs. Got 15 .edges. at step 3, which is 15 edges",
         lambda: Budget(15).edges(3, eight())),
        ("between 0 and all 12", lambda: Budget(float("nan")).edges(0, eight())),
        ("finite and not negative", lambda: Budget(-1.0, "length").length(0)),
        ("every >= 1", lambda: Every(0)),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()
