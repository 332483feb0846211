import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Rewiring, rewire
from tests.plasticity.support.sheets import (
    eight,
    eight_rewired,
    line,
    pair_tensors,
    pairs,
    plane,
    rewirings,
)

NONE = pair_tensors([])


def test_eight_edges_by_hand():
    rewiring = eight_rewired()
    assert pairs(rewiring.graph) == [
        (0, 0), (0, 3), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 3)
    ]  # fmt: skip
    assert rewiring.origin.tolist() == [0, -1, 2, 3, -1, 4, 5, 7, -1]
    assert rewiring.graph.distance.tolist() == [0, 3, 1, 1, 2, 1, 0, 3, 0]
    assert rewiring.graph.rowptr.tolist() == [0, 2, 4, 7, 9]
    assert rewiring.born.tolist() == [1, 4, 8]
    assert rewiring.died.tolist() == [1, 6]
    assert repr(rewiring) == "Rewiring(num_edges=9, born=3, died=2)"


def test_carried_by_hand():
    rewiring = eight_rewired()
    values = torch.arange(10.0, 18.0)
    assert rewiring.carried(values, -5.0).tolist() == [10, -5, 12, 13, -5, 14, 15, 17, -5]
    heads = rewiring.carried(torch.stack([values, -values], 1), torch.tensor([[1.0, 2.0]] * 3))
    assert heads[:, 1].tolist() == [-10, 2, -12, -13, 2, -14, -15, -17, 2]
    ages = torch.tensor([3, 0, 1, 1, 0, 5, 2, 9])
    assert rewiring.carried(ages + 1).tolist() == [4, 0, 2, 2, 0, 1, 6, 10, 0]


def test_dropped_and_regrown():
    """Specification 4.6, 4.7: a newborn, unless RigL's way is asked for."""
    again = torch.tensor([0, 2]), torch.tensor([1, 0])  # edge 1, which is dropped, and a new pair
    drop = torch.tensor([1])
    assert rewire(eight(), drop, again, line()).origin.tolist() == [0, -1, 2, 3, -1, 4, 5, 6, 7]
    kept = rewire(eight(), drop, again, line(), keep_regrown=True)
    assert kept.origin.tolist() == [0, 1, 2, 3, -1, 4, 5, 6, 7]


def test_composition_by_hand():
    first = eight_rewired()
    # Edge 0<-1 died in the first change and comes back in the second: a newborn.
    second = rewire(first.graph, torch.tensor([1, 2]), pair_tensors([(0, 1)]), line())
    both = first.then(second)
    assert pairs(both.graph)[:3] == [(0, 0), (0, 1), (1, 2)]
    assert both.origin.tolist() == [0, -1, 3, -1, 4, 5, 7, -1]
    with pytest.raises(ValueError, match="must start where this one ends"):
        second.then(second)


@given(rewirings(keep_regrown=True))
def test_between(rewiring):
    """Two graphs tell the change, but for edges that died and came back in it."""
    again = Rewiring.between(rewiring.before, rewiring.graph)
    assert torch.equal(again.origin, rewiring.origin)


def test_unmeasured_and_bipartite():
    graph = ColumnGraph.from_edge_index(torch.tensor([[4, 2, 0], [0, 1, 1]]), 2, 5)
    rewiring = rewire(graph, torch.tensor([0]), pair_tensors([(0, 3)]))
    assert rewiring.graph.distance is None
    assert pairs(rewiring.graph) == [(0, 3), (1, 0), (1, 2)]
    measured = graph.remeasure(line(2), line(5))
    rewiring = rewire(measured, torch.tensor([0]), pair_tensors([(0, 3)]), line(2), line(5))
    assert rewiring.graph.distance.tolist() == [3, 1, 1]


def test_keys_above_int32():
    """Keys are exact: 100,000 squared does not fit in 32 bits."""
    n = 100_000
    edge_index = torch.tensor([[n - 1, n - 2, 0], [n - 1, n - 1, n - 2]])
    graph = ColumnGraph.from_edge_index(edge_index, n)
    rewiring = rewire(graph, torch.tensor([2]), pair_tensors([(n - 1, 7), (65_536, 65_536)]))
    assert pairs(rewiring.graph) == [
        (65_536, 65_536), (n - 2, 0), (n - 1, 7), (n - 1, n - 2)
    ]  # fmt: skip
    assert rewiring.origin.tolist() == [-1, 0, -1, 1]


@given(rewirings())
def test_structure(rewiring):
    """Exactly the survivors and the newborns, sorted, unique, lengths measured."""
    before, after = pairs(rewiring.before), pairs(rewiring.graph)
    assert after == sorted(set(after))
    rewiring.graph.validate()
    died = {before[e] for e in rewiring.died.tolist()}
    born = {after[e] for e in rewiring.born.tolist()}
    assert set(after) == (set(before) - died) | born
    assert len(after) - len(before) == len(born) - len(died)
    again = rewiring.graph.remeasure(plane(rewiring.graph))
    torch.testing.assert_close(rewiring.graph.distance, again.distance)


@given(rewirings(), st.integers(0, 2**31))
def test_survivors_by_key(rewiring, seed):
    """Every survivor keeps its entry bit for bit, looked up by (target, source)."""
    values = torch.randn(rewiring.before.num_edges, 2, generator=_generator(seed))
    by_pair = dict(zip(pairs(rewiring.before), values, strict=True))
    died = {pairs(rewiring.before)[e] for e in rewiring.died.tolist()}
    carried = rewiring.carried(values, 7.0)
    for pair, value in zip(pairs(rewiring.graph), carried, strict=True):
        fresh = pair in died or pair not in by_pair
        assert torch.equal(value, torch.full((2,), 7.0) if fresh else by_pair[pair])


@given(rewirings(keep_regrown=True))
def test_regrown_survive(rewiring):
    before, after = set(pairs(rewiring.before)), pairs(rewiring.graph)
    assert {after[e] for e in rewiring.born.tolist()} == set(after) - before


@given(rewirings(), st.data())
def test_composition(rewiring, data):
    """Carrying twice is carrying once; the empty change is the neutral one."""
    middle = rewiring.graph
    size = st.sets(st.integers(0, max(middle.num_edges - 1, 0)))
    drop = sorted(data.draw(size)) if middle.num_edges else []
    later = rewire(middle, torch.tensor(drop, dtype=torch.int64), NONE)
    values = torch.randn(rewiring.before.num_edges)
    twice = later.carried(rewiring.carried(values, -1.0), -1.0)
    assert torch.equal(rewiring.then(later).carried(values, -1.0), twice)
    nothing = rewire(middle, torch.tensor([], dtype=torch.int64), NONE)
    assert torch.equal(nothing.origin, torch.arange(middle.num_edges))
    assert nothing.graph.same_topology(middle)
    assert torch.equal(nothing.graph.distance, middle.distance)


def test_misaligned_survivors_are_refused():
    """Edges that are sorted again in place would inherit other edges' state."""
    rewiring = eight_rewired()
    shifted = rewiring.origin.clone()
    shifted[[2, 3]] = shifted[[3, 2]]
    with pytest.raises(ValueError, match="Edge 2 has origin 3; call rewire"):
        Rewiring(rewiring.graph, shifted, rewiring.before)
    elsewhere = rewiring.origin.clone()
    elsewhere[[0, 2]] = elsewhere[[2, 0]]  # 0<-0 and 1<-0: the same source, another target
    with pytest.raises(ValueError, match="Edge 0 has origin 2; call rewire"):
        Rewiring(rewiring.graph, elsewhere, rewiring.before)


def test_errors():
    graph, two = eight(), torch.tensor([0, 0])
    after = eight_rewired()
    for match, call in [
        ("edge ids in .0, 8.. Got 8", lambda: rewire(graph, torch.tensor([8]), NONE)),
        ("each edge once", lambda: rewire(graph, two, NONE)),
        ("an edge can grow once. Got .source 2, target 0.",
         lambda: rewire(graph, two[:0], pair_tensors([(0, 2), (0, 2)]), line())),
        ("Got .source 1, target 0., which is an edge that is not dropped",
         lambda: rewire(graph, two[:0], pair_tensors([(0, 1)]), line())),
        ("target ids must lie in .0, 4.",
         lambda: rewire(graph, two[:0], pair_tensors([(4, 1)]))),
        ("Got geometry=None", lambda: rewire(graph, two[:0], pair_tensors([(0, 2)]))),
        ("must place 4 columns",
         lambda: rewire(graph, two[:0], pair_tensors([(0, 2)]), line(5))),
        ("one old edge per new edge", lambda: Rewiring(graph, two, graph)),
        ("origin must lie in .-1, 8.", lambda: Rewiring(graph, torch.arange(8) + 1, graph)),
        ("edges, not columns", lambda: Rewiring(graph, after.origin, _other())),
        ("one entry per old edge, 8", lambda: after.carried(torch.zeros(9))),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()
    for match, call in [
        ("drop must be a tensor of edge ids", lambda: rewire(graph, torch.ones(8) > 0, NONE)),
        ("targets must be a tensor", lambda: rewire(graph, two[:0], ([0], [2]))),
        ("origin must be an int64 tensor",
         lambda: Rewiring(graph, torch.arange(8, dtype=torch.int32), graph)),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=match):
            call()


def _other() -> ColumnGraph:
    return ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 5)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
