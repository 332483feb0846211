import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import edge_pairs
from graphcolumns.plasticity.selection.select import select
from tests.plasticity.support.sheets import eight, graphs, pair_tensors, pairs, plane


def listed(some):
    return list(zip(some.target.tolist(), some.source.tolist(), some.score.tolist(), strict=True))


def test_by_hand():
    pairs_ = pair_tensors([(3, 1), (0, 2), (3, 1), (2, 0)])
    found = edge_pairs(eight(), *pairs_, torch.tensor([1.0, 2, 3, 2]), None, False)
    assert listed(found) == [(0, 2, 2.0), (2, 0, 2.0), (3, 1, 1.0)]  # a pair's first score
    assert listed(found.at(found.order(False))) == [
        (3, 1, 1.0),
        (0, 2, 2.0),
        (2, 0, 2.0),
    ]  # ties by key
    assert listed(found.at(found.order(True))) == [(0, 2, 2.0), (2, 0, 2.0), (3, 1, 1.0)]
    both = edge_pairs(eight(), *pairs_, torch.tensor([1.0, 2, 3, 2]), torch.ones(4), True)
    assert listed(both) == [(2, 0, 4.0), (3, 1, 1.0)]
    assert both.size.tolist() == both.length.tolist() == [2, 2]
    assert [ends.tolist() for ends in both.edges(True)] == [[2, 0, 3, 1], [0, 2, 1, 3]]


def test_cost_by_hand():
    lengths = torch.tensor([1.0, 9, 4])
    found = edge_pairs(
        eight(), *pair_tensors([(0, 2), (1, 3), (2, 0)]), torch.ones(3), lengths, False
    )
    assert found.source[found.order(True, overhead=1.0)].tolist() == [2, 0, 3]  # 1/2, 1/5, 1/10


def test_an_edge_takes_few_bytes():
    """Edges by the million are held several times over while they are sorted."""
    graph, scores = eight(), torch.arange(8.0)
    found = edge_pairs(graph, graph.target, graph.source, scores, graph.distance, False)
    found = found.at(found.order(highest=True))
    assert sum(values.element_size() for values in found) <= 21


@given(graphs(3, 8), st.integers(0, 2**31), st.booleans())
def test_edges_in_order_and_shuffled_are_the_same_units(graph, seed, symmetric):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-3, 4, (graph.num_edges,), generator=generator) / 4  # exact, with ties
    given_ = graph.target, graph.source, scores
    order = torch.randperm(graph.num_edges, generator=generator)
    here = edge_pairs(graph, *given_, None, symmetric)
    there = edge_pairs(graph, *(x[order] for x in given_), None, symmetric)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(graph.target, given_[0])


@given(graphs(3, 8, least_edges=2), st.floats(0, 1), st.integers(0, 2**31))
def test_what_may_not_die_is_as_if_it_were_not_there(graph, fraction, seed):
    """Against the other way to say it: edges that may not die are the most worthy ones."""
    generator = torch.Generator().manual_seed(seed)
    drop = torch.randint(-3, 4, (graph.num_edges,), generator=generator).double()
    may = torch.rand(graph.num_edges, generator=generator) < 0.6
    every = {(t, s) for t in range(graph.num_columns) for s in range(graph.num_columns)}
    absent = pair_tensors(sorted(every - set(pairs(graph))))
    grow = torch.randn(len(absent[0]), generator=generator)
    rules = Constraints(self_loops=True, max_dropped=2)
    one = select(graph, drop, absent, grow, fraction=fraction, eligible=may, constraints=rules)
    assert bool(may[one.drop].all())
    share = int(fraction * int(may.sum()) + 1e-9) / graph.num_edges
    worthy = drop.where(may, 100.0)
    other = select(graph, worthy, absent, grow, fraction=share, constraints=rules)
    assert set(one.drop.tolist()) == set(other.drop[may[other.drop]].tolist())


def test_lengths_add_up_in_float64():
    """In float32, 2^24 + 1 is 2^24: the second edge would seem to be gone with the first."""
    index, distance = torch.tensor([[0, 1], [0, 0]]), torch.tensor([2.0**24, 1.0])
    graph = ColumnGraph.from_edge_index(index, 2, distance=distance)
    chosen = select(
        graph, torch.tensor([0.0, 1.0]), pair_tensors([(1, 1)]), torch.ones(1),
        fraction=0.0, length=0.5, pair_length=torch.ones(1),
        constraints=Constraints(self_loops=True),
    )  # fmt: skip
    assert chosen.drop.tolist() == [0, 1]
    assert chosen.targets.tolist() == []


@given(graphs(3, 8), st.floats(0, 1), st.integers(0, 2**31))
def test_scores_of_both_precisions_choose_alike(graph, fraction, seed):
    generator = torch.Generator().manual_seed(seed)
    drop = torch.randn(graph.num_edges, generator=generator)
    every = {(t, s) for t in range(graph.num_columns) for s in range(graph.num_columns)}
    absent = pair_tensors(sorted(every - set(pairs(graph))))
    grow = torch.randn(len(absent[0]), generator=generator)
    options = {"fraction": fraction, "margin": 0.1, "length": float(graph.distance.sum())}
    options |= {"pair_length": plane(graph).distance(*absent)}
    one = select(graph, drop, absent, grow, **options)
    other = select(graph, drop.double(), absent, grow.double(), **options)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
