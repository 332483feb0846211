"""Numbers about rewirings: by hand, as properties, and against libraries."""

import math

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import jaccard_score

from graphcolumns.analysis.lifetimes import survival, turnover
from graphcolumns.analysis.network import attention_entropy, exponential_lengths, network
from graphcolumns.analysis.recovery import auroc, recovery
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys
from graphcolumns.plasticity import rewire
from graphcolumns.plasticity.update.metrics import (
    Past,
    churn,
    dead_columns,
    explored,
    explored_beyond,
    gini,
    jaccard,
    newborn_survival,
    update_metrics,
)
from tests.plasticity.support.sheets import (
    eight,
    eight_rewired,
    graphs,
    line,
    pair_tensors,
    pairs,
    rewirings,
)


def graph_of(edges: list[tuple[int, int]], num_columns: int) -> ColumnGraph:
    """From (target, source) pairs."""
    targets, sources = pair_tensors(edges)
    return ColumnGraph.from_edge_index(torch.stack([sources, targets]), num_columns)


def test_an_update_by_hand():
    """Of eight edges two die and three are born: nine edges, one of them two long."""
    change = eight_rewired()
    assert (len(change.died), len(change.born)) == (2, 3)
    entry = update_metrics(change.graph, change, Past.start(eight()))
    assert entry == {
        "edges": 9,
        # 0<-0 and 2<-2, 3<-3 have no wire; 0<-3, 1<-0, 1<-2, 2<-0, 2<-1, 3<-0 have 3+1+1+2+1+3.
        "wiring_length": 11.0,
        "mean_length": 11 / 6,
        "degree_gini": pytest.approx(gini(torch.tensor([2, 2, 3, 2]))),
        "dead_columns": 0,
        "edges_born": 3,
        "edges_died": 2,
        "churn": 5 / 17,
        "explored": 11 / 16,
        "explored_beyond": 3 / 8,
        "jaccard_first": 6 / 11,
    }


def test_what_cannot_be_said_is_left_out():
    bare = graph_of([(0, 1)], 3)
    assert set(update_metrics(bare)) == {"edges", "degree_gini", "dead_columns"}
    assert update_metrics(bare, past=Past.start(bare))["explored"] == 1 / 9
    assert update_metrics(bare, past=Past.start(bare), pairs=6)["explored"] == 1 / 6
    selves = graph_of([(0, 0), (1, 1)], 2).remeasure(line(2))
    assert update_metrics(selves)["wiring_length"] == 0
    assert "mean_length" not in update_metrics(selves)


def test_survival_of_newborns_by_hand():
    first = eight_rewired()  # born: 0<-3, 2<-0, 3<-3
    past = Past.start(eight()).after(first)
    number = pairs(first.graph).index
    drop = torch.tensor([number((2, 0)), number((0, 0))])
    second = rewire(first.graph, drop, pair_tensors([(3, 1)]), line())
    assert newborn_survival(past, second) == pytest.approx(2 / 3)
    assert update_metrics(second.graph, second, past)["newborn_survival"] == pytest.approx(2 / 3)
    # 3<-3 dies and is born again at once: that newborn has not survived.
    again = rewire(
        first.graph, torch.tensor([number((3, 3))]), pair_tensors([(3, 3)]), line()
    )  # fmt: skip
    assert newborn_survival(past, again) == pytest.approx(2 / 3)
    # No newborns, nothing to say.
    assert "newborn_survival" not in update_metrics(first.graph, first, Past.start(eight()))


def test_exploration_for_any_budget():
    past = Past.start(eight())
    assert (explored(past, 16), explored_beyond(past, 16)) == (0.5, 0.0)
    after = past.after(eight_rewired())
    assert explored_beyond(after, 16) == 3 / 8
    full = graph_of([(t, s) for t in range(2) for s in range(2)], 2)
    assert explored_beyond(Past.start(full), 4) == 0.0
    with pytest.raises(ValueError, match=r"8 different edges.*Got pairs=6; count self-edges"):
        explored(past, 6)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_exploration_never_falls_and_is_a_union(data):
    change = data.draw(rewirings())
    graph, seen = change.before, set(pairs(change.before))
    past, pairs_of_all = Past.start(graph), graph.num_columns**2
    last = explored(past, pairs_of_all)
    assert last == pytest.approx(graph.num_edges / pairs_of_all)
    for _ in range(2):
        past, seen = past.after(change), seen | set(pairs(change.graph))
        assert (past.ever.diff() > 0).all()
        now = explored(past, pairs_of_all)
        assert now == pytest.approx(len(seen) / pairs_of_all)
        assert last <= now <= 1
        assert 0 <= explored_beyond(past, pairs_of_all) <= 1
        last = now
        keep = torch.arange(change.graph.num_edges // 2)
        change = rewire(change.graph, keep, pair_tensors([]))


@settings(deadline=None, max_examples=60)
@given(rewirings())
def test_churn_and_likeness(change):
    before, after = set(pairs(change.before)), set(pairs(change.graph))
    first, second = edge_keys(change.before), edge_keys(change.graph)
    assert jaccard(first, first) == 1
    assert jaccard(first, second) == jaccard(second, first)
    assert 0 <= churn(change) <= 1
    n = change.before.num_columns
    rows = [[pair in edges for pair in np.ndindex(n, n)] for edges in (before, after)]
    if before | after:
        assert jaccard(first, second) == pytest.approx(jaccard_score(*rows))
    births, deaths = len(change.born), len(change.died)
    assert births - deaths == change.graph.num_edges - change.before.num_edges
    if not births + deaths:
        assert churn(change) == 0


def test_inequality_by_hand():
    assert gini(torch.tensor([0, 0, 0, 8])) == 0.75
    assert gini(torch.tensor([1, 3])) == 0.25
    assert gini(torch.zeros(3)) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 5))
def test_inequality_is_the_mean_difference(values, factor):
    counts = torch.tensor(values)
    difference = (counts[:, None] - counts[None]).abs().double().mean()
    mean = counts.double().mean()
    expected = float(difference / (2 * mean)) if mean else 0.0
    assert gini(counts) == pytest.approx(expected, abs=1e-12)
    assert gini(counts * factor) == pytest.approx(gini(counts), abs=1e-12)
    assert gini(torch.full((len(values),), factor)) == 0
    assert 0 <= gini(counts) < 1


def test_dead_columns_by_hand():
    # 1 hears 0, 2 hears 1, 3 hears 3, 0 hears nobody; column 2 is read.
    graph = graph_of([(1, 0), (2, 1), (3, 3)], 4)
    assert dead_columns(graph).tolist() == [True, False, False, False]
    assert dead_columns(graph, torch.tensor([2])).tolist() == [True, False, False, True]
    assert dead_columns(graph, torch.tensor([1, 3])).tolist() == [True, False, True, False]


@settings(deadline=None, max_examples=60)
@given(graphs(), st.data())
def test_dead_columns_are_those_without_a_path(graph, data):
    n = graph.num_columns
    outputs = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    heard = set(outputs).union(*(networkx.ancestors(graph.to_networkx(), o) for o in outputs))
    expected = [i not in heard or graph.in_degree[i] == 0 for i in range(n)]
    assert dead_columns(graph, torch.tensor(outputs)).tolist() == expected


def test_survival_by_hand():
    """Ages 1, 2, 2, 3 and one edge still alive at 2: 5, then 4, then 1 at risk."""
    ages, died = np.array([1, 2, 2, 3, 2]), np.array([True, True, True, True, False])
    at, share = survival(ages, died)
    assert at.tolist() == [0, 1, 2, 3]
    assert share == pytest.approx([1, 4 / 5, 4 / 5 * 2 / 4, 0])
    with pytest.raises(ValueError, match=r"at least one edge. Got shapes \(0,\)"):
        survival(np.array([]), np.array([]))


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=30))
def test_survival_is_the_product_of_what_each_age_leaves(lives):
    ages, died = (np.array(values) for values in zip(*lives, strict=True))
    at, share = survival(ages, died)
    assert (np.diff(share) <= 1e-12).all()
    for age, found in zip(at, share, strict=True):
        expected = math.prod(
            1 - ((ages == a) & died).sum() / (ages >= a).sum() for a in set(ages) if a <= age
        )
        assert found == pytest.approx(expected)


def test_turnover_by_hand():
    assert turnover(born=3, died=2, before=8, after=9) == 5 / 17 == churn(eight_rewired())
    assert turnover(0, 0, 0, 0) == 0


def test_recovery_by_hand():
    """Six edges between different columns; two of the three right ones are there."""
    truth = torch.tensor([[0, 1, 3], [1, 2, 1]])
    assert recovery(eight(), truth) == {"precision": 2 / 6, "recall": 2 / 3}
    counted = torch.tensor([True, False, False, True])  # edges 0<-1 and 3<-0
    assert recovery(eight(), truth, counted) == {"precision": 1 / 2, "recall": 1 / 2}
    assert recovery(graph_of([], 4), truth) == {"precision": 0, "recall": 0}
    assert recovery(eight(), truth[:, :0]) == {"precision": 0, "recall": 1}
    with pytest.raises(ValueError, match="Got 4; raise num_columns"):
        recovery(eight(), truth + 1)


@given(st.lists(st.integers(-3, 3), min_size=16, max_size=16), st.data())
def test_auroc_is_the_chance_to_rank_a_right_pair_higher(values, data):
    targets, sources = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T
    chosen = data.draw(st.lists(st.integers(0, 15), min_size=1, max_size=15, unique=True))
    truth, scores = torch.stack([targets[chosen], sources[chosen]]), torch.tensor(values)
    right = torch.zeros(16, dtype=torch.bool)
    right[chosen] = True
    wins = (scores[right][:, None] - scores[~right][None]).sign().double()
    expected = float((wins + 1).mean() / 2)
    assert auroc(eight(), scores, targets, sources, truth) == pytest.approx(expected)


def test_auroc_needs_both_kinds():
    ids = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"right pairs with wrong ones. Got 2 right among 2"):
        auroc(eight(), torch.rand(2), ids, ids, torch.stack([ids, ids]))


def test_two_triangles_with_a_bridge():
    groups = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    graph = graph_of([*groups, *[(s, t) for t, s in groups], (3, 2), (0, 0)], 6)
    found = network(graph)
    assert found["reciprocity"] == pytest.approx(12 / 13)
    # Columns 2 and 3 have three neighbours, one pair of which is joined; the others two, joined.
    assert found["clustering"] == pytest.approx((4 + 2 / 3) / 6)
    assert found["modularity"] == pytest.approx(2 * (3 / 7 - (7 / 14) ** 2))
    # Between the triangles: 2-3 is 1, four pairs with one bridge end are 2, the other four 3.
    assert found["path_length"] == pytest.approx((6 * 1 + 1 + 4 * 2 + 4 * 3) / 15)
    degree = 14 / 6
    random = (degree / 6) / (math.log(6) / math.log(degree))
    expected = found["clustering"] / found["path_length"] / random
    assert found["small_world"] == pytest.approx(expected)


def test_a_ring_with_shortcuts_is_a_small_world_and_a_random_graph_is_not():
    small = networkx.connected_watts_strogatz_graph(200, 8, 0.1, seed=0)
    random = networkx.gnm_random_graph(200, 800, seed=0)
    found = [network(ColumnGraph.from_networkx(g)[0])["small_world"] for g in (small, random)]
    assert found[0] > 5
    assert 0.5 < found[1] < 2


def test_a_network_needs_edges():
    with pytest.raises(ValueError, match="need an edge between different columns"):
        network(graph_of([(0, 0)], 2))
    assert math.isnan(network(graph_of([(0, 1)], 2))["small_world"])


def test_lengths_that_are_exponential_and_others():
    drawn = stats.expon(scale=2.0).rvs(4000, random_state=0)
    rate, gap = exponential_lengths(drawn)
    assert rate == pytest.approx(0.5, rel=0.05)
    assert gap < 0.03
    # All of length one: the distribution jumps where the exponential has 1 - 1/e.
    assert exponential_lengths(np.ones(5)) == (1.0, pytest.approx(1 - math.exp(-1)))
    with pytest.raises(ValueError, match="Got 0 lengths"):
        exponential_lengths(np.array([]))


def test_entropy_of_attention():
    graph = graph_of([(0, 0), (0, 1), (1, 0), (1, 1), (3, 0)], 4)
    mass = torch.tensor([0.5, 0.5, 0.0, 1.0, 1.0])
    torch.testing.assert_close(
        attention_entropy(mass, graph), torch.tensor([math.log(2), 0.0, 0.0, 0.0])
    )
    with pytest.raises(ValueError, match=r"\(5,\). Got \(4,\)"):
        attention_entropy(mass[:4], graph)
