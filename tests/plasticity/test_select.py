import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import rewire
from graphcolumns.plasticity.rewiring.cool_down import CoolDown
from graphcolumns.plasticity.selection import greedy
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.greedy import Limits, take_greedily, take_one_by_one
from graphcolumns.plasticity.selection.select import gumbel_scores, select
from tests.plasticity.support.sheets import eight, graphs, line, pair_tensors, pairs, plane

LOOPS = Constraints(self_loops=True)
# (target, source) of the pairs that are not edges of `eight`, self-edges left out.
ABSENT = [(0, 2), (0, 3), (1, 3), (2, 0), (3, 1), (3, 2)]


RULES = st.builds(
    lambda loops, min_in, more_in, min_out, more_out, max_new, max_dropped: dict(
        self_loops=loops, min_in=min_in, more_in=more_in, min_out=min_out, more_out=more_out,
        max_new=max_new, max_dropped=max_dropped,
    ),
    st.booleans(), st.integers(0, 2), st.none() | st.integers(0, 3), st.integers(0, 2),
    st.none() | st.integers(0, 3), st.none() | st.integers(0, 2), st.none() | st.integers(0, 2),
)  # fmt: skip


def complement(graph: ColumnGraph):
    n = graph.num_columns
    every = set(itertools.product(range(n), range(n))) - set(pairs(graph))
    return pair_tensors(sorted(every))


def scores(count: int, seed: int) -> torch.Tensor:
    """Distinct numbers of both signs."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator).double() - count / 2 + 0.25


def wired(chosen, num_columns: int) -> ColumnGraph:
    targets, sources = pair_tensors(sorted(chosen))
    return ColumnGraph.from_edge_index(torch.stack([sources, targets]), num_columns)


def changed(graph, choice) -> list[tuple[int, int]]:
    return pairs(rewire(graph, choice.drop, (choice.targets, choice.sources), plane(graph)).graph)


def by_hand(**options):
    drop = torch.tensor([5.0, 1, 4, 2, 8, 7, 3, 6])
    grow = torch.tensor([0.5, 2.5, 1.5, 9, -1, 4])
    given = {"fraction": 0.375} | options
    return select(eight(), drop, pair_tensors(ABSENT), grow, **given)


def grown(choice):
    return list(zip(choice.targets.tolist(), choice.sources.tolist(), strict=True))


def test_by_hand():
    choice = by_hand()  # 3 of 8 edges
    assert choice.drop.tolist() == [1, 3, 6]  # scores 1, 2, 3
    assert grown(choice) == [(2, 0), (3, 2), (0, 3)]  # 9, 4, 2.5
    assert choice.missing == 0


def test_constraints_by_hand():
    # 1<-2 may go (column 1 keeps 1<-0), then nothing of columns 0, 1 and 3.
    kept = by_hand(constraints=Constraints(min_in=1))
    assert kept.drop.tolist() == [1, 3, 6]
    kept = by_hand(fraction=0.625, constraints=Constraints(min_in=1))
    assert kept.drop.tolist() == [1, 3, 6, 5]  # 1<-0, the last of its column, and 3<-0 stay
    # 1 dies and 3<-0 stays; source 2 keeps an edge: 1<-2 dies, 2<-2 does not.
    assert by_hand(fraction=0.75, constraints=Constraints(min_out=1)).drop.tolist() == [1, 3, 2, 0]
    assert grown(by_hand(constraints=Constraints(max_new=1))) == [(2, 0), (3, 2), (0, 3)]
    assert by_hand(constraints=Constraints(max_dropped=0)).drop.tolist() == []
    pinned = torch.tensor([[1, 3], [0, 2]])  # 0<-1 and 2<-3
    assert by_hand(constraints=Constraints(pinned=pinned)).drop.tolist() == [3, 2]  # 3/8 of 6
    never = torch.tensor([[0], [2]])  # 2<-0
    assert grown(by_hand(constraints=Constraints(forbidden=never))) == [(3, 2), (0, 3), (1, 3)]
    same = by_hand(constraints=Constraints(same_in_degree=True))
    assert same.drop.tolist() == [1, 3, 6]  # one of column 0, 1 and 2 each
    assert grown(same) == [(2, 0), (0, 3), (1, 3)]


def test_gaining_swaps_by_hand():
    # Drops 1, 2, 3, 4; births 9, 4, 2.5: the third would lose half a unit.
    choice = by_hand(fraction=0.5, margin=0.0)
    assert choice.drop.tolist() == [1, 3]
    assert grown(choice) == [(2, 0), (3, 2)]
    assert by_hand(fraction=0.5, margin=2.0).drop.tolist() == [1]  # 4 > 2 + 2 does not hold
    assert by_hand(fraction=0.5, margin=100.0).drop.tolist() == []


def test_budgets_by_hand():
    assert by_hand(edges=6).drop.tolist() == [1, 3, 6, 2, 0]  # 3 swaps, and 2 that the budget takes
    assert len(by_hand(edges=6).targets) == 3
    assert by_hand(edges=10, fraction=0.0).drop.tolist() == []
    assert grown(by_hand(edges=10, fraction=0.0)) == [(2, 0), (3, 2)]
    full = by_hand(edges=12)  # 8 + 6 pairs, of which 4 are wanted: as many drops stay
    assert full.drop.tolist() == [1, 3]
    assert len(full.targets) == 6
    assert full.missing == 0
    # Only pairs above 2: two are missing at a budget of 12 even if nothing is dropped.
    assert by_hand(edges=12, least=2.0).missing == 1


def test_length_by_hand():
    graph, drop = eight(), torch.tensor([5.0, 1, 4, 2, 8, 7, 3, 6])
    assert graph.distance.tolist() == [0, 1, 1, 1, 1, 0, 1, 3]  # 8 in all
    targets, sources = pair_tensors(ABSENT)  # lengths 2, 3, 2, 2, 2, 1
    options = {"pair_length": line().distance(targets, sources), "fraction": 0.375}
    grow = torch.tensor([0.5, 2.5, 1.5, 9, -1, 4])
    choice = select(graph, drop, (targets, sources), grow, length=8.0, **options)
    assert choice.drop.tolist() == [1, 3, 6]  # frees 3
    assert grown(choice) == [(2, 0), (3, 2)]  # 2 + 1
    short = select(graph, drop, (targets, sources), grow, length=5.5, **options)
    assert short.drop.tolist() == [1, 3, 6]  # 5 left, and half a unit of slack: nothing fits
    assert grown(short) == []
    tight = select(graph, drop, (targets, sources), grow, length=2.0, **options)
    assert tight.drop.tolist() == [1, 3, 6, 2, 0, 7]  # until 1 is left
    assert grown(tight) == [(3, 2)]


def test_gaining_swaps_under_a_length_by_hand():
    graph, drop = eight(), torch.tensor([5.0, 1, 4, 2, 8, 7, 3, 6])
    targets, sources = pair_tensors(ABSENT)  # lengths 2, 3, 2, 2, 2, 1
    options = {"pair_length": line().distance(targets, sources), "fraction": 0.5, "margin": 0.0}
    grow = torch.tensor([0.5, 6.5, 1.5, 9, -1, 4])
    choice = select(graph, drop, (targets, sources), grow, length=8.0, **options)
    # 2<-0 (9) takes the room of 0<-1 and 1<-2 (1 + 2). 0<-3 (6.5) would need 3 more, and only two
    # more may die. 3<-2 (4) takes that of 2<-3 (3). 1<-3 (1.5) would need two more.
    assert choice.drop.tolist() == [1, 3, 6]
    assert grown(choice) == [(2, 0), (3, 2)]
    dear = select(graph, drop, (targets, sources), grow, length=8.0, **options | {"margin": 1.5})
    assert grown(dear) == [(2, 0)]  # 4 is not above 3 + 1.5
    free = select(graph, drop, (targets, sources), grow, length=11.0, **options)
    # 2 of the 3 free are taken; 3 more are found with 1 free by 1 + 2 < 6.5; and 3 < 4.
    assert grown(free) == [(2, 0), (0, 3), (3, 2)]
    assert free.drop.tolist() == [1, 3, 6]
    # Per unit of cost, with an overhead of 1: 9/3, 6.5/4, 4/2, so 3<-2 comes second.
    rated = select(graph, drop, (targets, sources), grow, length=11.0, overhead=1.0, **options)
    assert grown(rated)[:2] == [(2, 0), (3, 2)]


@given(
    graphs(3, 8, least_edges=2),
    RULES,
    st.floats(0, 1),
    st.floats(0.3, 2),
    st.floats(0, 3),
    st.integers(0, 2**31),
)
def test_gaining_swaps_under_a_length(graph, rules, fraction, share, margin, seed):
    """Never above the budget, degrees kept, and all swaps together gain."""
    rules = fitted(graph, rules | {"min_in": 0, "min_out": 0, "max_dropped": None})
    targets, sources = complement(graph)
    reach = plane(graph).distance(targets, sources)
    wire = float(graph.distance.double().sum())
    drop, grow = scores(graph.num_edges, seed), scores(len(targets), seed + 1)
    choice = select(
        graph, drop, (targets, sources), grow, fraction=fraction, length=share * wire,
        pair_length=reach, margin=margin, constraints=rules,
    )  # fmt: skip
    rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), plane(graph))
    after = rewiring.graph
    assert float(after.distance.double().sum()) <= share * wire + 1e-6
    assert rules.max_in is None or after.in_degree.max() <= rules.max_in
    assert rules.max_out is None or after.out_degree.max() <= rules.max_out
    by_pair = dict(
        zip(zip(targets.tolist(), sources.tolist(), strict=True), grow.tolist(), strict=True)
    )
    if share >= 1:
        assert len(choice.drop) <= fraction * graph.num_edges + 1e-9
        gain = sum(by_pair[pair] for pair in grown(choice))
        assert gain >= float(drop[choice.drop].sum()) + margin * len(choice.targets) - 1e-9
        if fraction == 0 and rules.max_in is rules.max_out is rules.max_new is None:
            left = share * wire - float(after.distance.double().sum())
            for pair, size in zip(by_pair, reach.tolist(), strict=True):
                if (
                    pair not in grown(choice)
                    and by_pair[pair] > margin
                    and (rules.self_loops or pair[0] != pair[1])
                ):
                    assert size > left - 1e-6


def test_regrown_by_hand():
    """RigL: what was just dropped competes."""
    regrow = torch.tensor([0.0, 100, 0, 3, 0, 0, 0, 0])
    choice = by_hand(regrow_score=regrow)
    assert choice.drop.tolist() == [1, 3, 6]
    assert grown(choice) == [(0, 1), (2, 0), (3, 2)]
    rewiring = rewire(
        eight(), choice.drop, (choice.targets, choice.sources), line(), keep_regrown=True
    )
    assert rewiring.died.tolist() == [3, 6]


def fitted(graph, rules) -> Constraints:
    """The rules, loosened so that the graph keeps to them."""
    more_in, more_out = rules["more_in"], rules["more_out"]
    kept = {k: v for k, v in rules.items() if not k.startswith("more")}
    kept["min_in"] = min(rules["min_in"], int(graph.in_degree.min()))
    kept["min_out"] = min(rules["min_out"], int(graph.out_degree.min()))
    kept["max_in"] = None if more_in is None else int(graph.in_degree.max()) + more_in
    kept["max_out"] = None if more_out is None else int(graph.out_degree.max()) + more_out
    return Constraints(**kept)


def oracle(graph, drop, absent, grow, rules, fraction, goal):
    """One edge after the other, degrees counted anew each time, on sets of pairs."""
    alive = set(pairs(graph))
    start = len(alive)
    swaps = int(fraction * start + 1e-9) + max(0, start - goal)

    def count(edges, end, column):
        return sum(pair[end] == column for pair in edges)

    gone = []
    for e in sorted(range(start), key=lambda e: float(drop[e])):
        t, s = pair = pairs(graph)[e]
        if len(gone) == swaps:
            break
        if count(alive, 0, t) <= rules.min_in or count(alive, 1, s) <= rules.min_out:
            continue
        if rules.max_dropped is not None and count(gone, 0, t) >= rules.max_dropped:
            continue
        gone.append(pair)
        alive.remove(pair)
    born = []
    for k in sorted(range(len(absent)), key=lambda k: -float(grow[k])):
        t, s = pair = absent[k]
        if len(alive) >= goal:
            break
        if (t == s and not rules.self_loops) or (
            (rules.max_in is not None and count(alive, 0, t) >= rules.max_in)
            or (rules.max_out is not None and count(alive, 1, s) >= rules.max_out)
            or (rules.max_new is not None and count(born, 0, t) >= rules.max_new)
        ):
            continue
        born.append(pair)
        alive.add(pair)
    for pair in reversed(gone):  # the budget could not be filled
        t, s = pair
        if len(alive) >= goal:
            break
        fits_in = rules.max_in is None or count(alive, 0, t) < rules.max_in
        if fits_in and (rules.max_out is None or count(alive, 1, s) < rules.max_out):
            alive.add(pair)
    return sorted(alive)


@settings(max_examples=200)
@given(graphs(3, 7), RULES, st.floats(0, 1), st.integers(-4, 4), st.integers(0, 2**31))
def test_against_an_oracle(graph, rules, fraction, change, seed):
    """Edge after edge, the same set as by brute force."""
    rules = fitted(graph, rules)
    most = graph.num_columns**2
    goal = min(max(graph.num_edges + change, rules.min_in * graph.num_columns), most)
    targets, sources = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(targets), seed + 1)
    options = {"fraction": fraction, "edges": goal, "constraints": rules}
    choice = select(graph, drop, (targets, sources), grow, **options)
    absent = list(zip(targets.tolist(), sources.tolist(), strict=True))
    expected = oracle(graph, drop, absent, grow, rules, fraction, goal)
    after = changed(graph, choice)
    assert after == expected
    assert choice.missing == goal - len(after)
    degrees = wired(after, graph.num_columns)
    assert degrees.in_degree.min() >= rules.min_in
    assert degrees.out_degree.min() >= rules.min_out
    assert rules.max_in is None or degrees.in_degree.max() <= rules.max_in
    assert rules.max_out is None or degrees.out_degree.max() <= rules.max_out


@given(graphs(3, 8), st.floats(0, 1), st.integers(0, 2**31))
def test_nothing_and_everything(graph, fraction, seed):
    """The number of edges is exact; a fraction of 0 does nothing, 1 replaces as many as it can."""
    absent = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(absent[0]), seed + 1)
    none = select(graph, drop, absent, grow, fraction=0.0, constraints=LOOPS)
    assert len(none.drop) == len(none.targets) == 0
    some = select(graph, drop, absent, grow, fraction=fraction, constraints=LOOPS)
    assert len(changed(graph, some)) == graph.num_edges
    every = select(graph, drop, absent, grow, fraction=1.0, constraints=LOOPS)
    assert len(every.targets) == min(graph.num_edges, len(absent[0]))
    if len(absent[0]) >= graph.num_edges:
        assert not set(changed(graph, every)) & set(pairs(graph))


@given(graphs(3, 8), st.floats(0, 1), st.floats(0, 5), st.integers(0, 2**31))
def test_swaps_gain(graph, fraction, margin, seed):
    """Every swap gains more than the margin, and there is no further one that would."""
    absent = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(absent[0]), seed + 1) * 0.7
    options = {"fraction": fraction, "constraints": LOOPS}
    choice = select(graph, drop, absent, grow, margin=margin, **options)
    by_pair = dict(zip(zip(*(x.tolist() for x in absent), strict=True), grow.tolist(), strict=True))
    gains = sorted((by_pair[pair] for pair in grown(choice)), reverse=True)
    losses = sorted(drop[choice.drop].tolist())
    assert all(g > s + margin for g, s in zip(gains, losses, strict=True))
    cap = int(fraction * graph.num_edges + 1e-9)
    best = zip(sorted(grow.tolist(), reverse=True), sorted(drop.tolist()), strict=False)
    possible = sum(1 for g, s in itertools.islice(best, cap) if g > s + margin)
    assert len(losses) == possible


@given(graphs(3, 8), st.integers(0, 2**31))
def test_order_only(graph, seed):
    """A monotone transform of scores changes nothing; ties go by key."""
    absent = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(absent[0]), seed + 1)
    options = {"fraction": 0.4, "constraints": LOOPS}
    one = select(graph, drop, absent, grow, **options)
    other = select(graph, (drop / 50).exp(), absent, (grow / 50) ** 3, **options)
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    shuffled = torch.randperm(len(grow))
    flat = torch.zeros(len(drop)), torch.zeros(len(grow))
    tied = select(graph, flat[0], tuple(x[shuffled] for x in absent), flat[1], **options)
    assert tied.drop.tolist() == list(range(len(tied.drop)))
    assert grown(tied) == list(zip(*(x.tolist() for x in absent), strict=True))[: len(tied.drop)]


@given(graphs(3, 8), st.randoms(use_true_random=False), st.integers(0, 2**31))
def test_relabelling(graph, random, seed):
    """Columns with other ids, the same columns chosen."""
    n = graph.num_columns
    names = list(range(n))
    random.shuffle(names)
    drop, absent = scores(graph.num_edges, seed), complement(graph)
    grow = scores(len(absent[0]), seed + 1)
    loss = {(names[t], names[s]): v for (t, s), v in zip(pairs(graph), drop, strict=True)}
    gain = {
        (names[t], names[s]): v
        for t, s, v in zip(*(x.tolist() for x in (*absent, grow)), strict=True)
    }
    renamed = wired(loss, n).remeasure(plane(graph))
    options = {"fraction": 0.5, "constraints": Constraints(self_loops=True, max_new=2)}
    one = select(graph, drop, absent, grow, **options)
    other = select(
        renamed,
        torch.tensor([loss[pair] for pair in pairs(renamed)], dtype=torch.float64),
        complement(renamed),
        torch.tensor(
            [gain[p] for p in zip(*(x.tolist() for x in complement(renamed)), strict=True)],
            dtype=torch.float64,
        ),
        **options,
    )
    before = {(names[t], names[s]) for t, s in changed(graph, one)}
    assert before == set(changed(renamed, other))


@given(graphs(3, 8), st.floats(0, 1), st.integers(-4, 4), st.integers(0, 2**31))
def test_symmetric(graph, fraction, change, seed):
    """An edge and its reverse are grown and pruned together."""
    both = {*pairs(graph), *((s, t) for t, s in pairs(graph))}
    graph = wired(both, graph.num_columns)
    absent = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(absent[0]), seed + 1)
    rules = Constraints(self_loops=True, symmetric=True)
    goal = min(max(graph.num_edges + change, 0), graph.num_columns**2)
    choice = select(graph, drop, absent, grow, fraction=fraction, edges=goal, constraints=rules)
    rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources))
    after = set(pairs(rewiring.graph))
    assert after == {(s, t) for t, s in after}
    age = dict(
        zip(pairs(rewiring.graph), rewiring.carried(torch.ones(graph.num_edges)), strict=True)
    )
    assert all(age[t, s] == age[s, t] for t, s in after)
    assert choice.missing == goal - len(after)


@given(graphs(3, 8), st.integers(0, 4), st.integers(0, 2**31))
def test_grace_and_cool_down(graph, grace, seed):
    """No young edge is pruned, none comes back at once, none is both pruned and grown."""
    rules, waiting = Constraints(self_loops=True), 2
    age = torch.randint(0, 5, (graph.num_edges,), generator=torch.Generator().manual_seed(seed))
    table, died = CoolDown.empty(), {}
    for update in range(5):
        absent = complement(graph)
        may = rules.may_grow(graph, *absent, table.cooling_down(update, waiting))
        absent = tuple(x[may] for x in absent)
        die = rules.may_prune(graph, age, grace)
        drop = scores(graph.num_edges, seed + update)
        grow = scores(len(absent[0]), seed - update)
        choice = select(graph, drop, absent, grow, fraction=0.5, eligible=die, constraints=rules)
        assert (age[choice.drop] >= grace).all()
        gone = {pairs(graph)[e] for e in choice.drop.tolist()}
        assert not gone & set(grown(choice))
        assert all(update - died[pair] > waiting for pair in grown(choice) if pair in died)
        rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), plane(graph))
        table = table.after(rewiring, update, waiting)
        assert (table.keys.diff() > 0).all()
        died |= dict.fromkeys(gone, update)
        graph, age = rewiring.graph, rewiring.carried(age + 1)


@given(graphs(3, 8, least_edges=2), st.floats(0, 1), st.floats(0, 2), st.integers(0, 2**31))
def test_length_budget(graph, fraction, share, seed):
    """Never above the budget, and no pair left out that would fit."""
    targets, sources = complement(graph)
    reach = plane(graph).distance(targets, sources)
    limit = share * float(graph.distance.double().sum())
    drop, grow = scores(graph.num_edges, seed), scores(len(targets), seed + 1)
    options = {"fraction": fraction, "length": limit, "pair_length": reach}
    choice = select(graph, drop, (targets, sources), grow, least=0.0, constraints=LOOPS, **options)
    rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), plane(graph))
    wire = float(rewiring.graph.distance.double().sum())
    assert wire <= limit + 1e-6
    left_out = set(zip(targets.tolist(), sources.tolist(), strict=True)) - set(grown(choice))
    for t, s, value, size in zip(
        *(x.tolist() for x in (targets, sources, grow, reach)), strict=True
    ):
        if (t, s) in left_out and value > 0:
            assert wire + size > limit - 1e-6


@given(graphs(3, 8), st.floats(0, 1), st.integers(0, 2**31))
def test_same_in_degree(graph, fraction, seed):
    absent = complement(graph)
    drop, grow = scores(graph.num_edges, seed), scores(len(absent[0]), seed + 1)
    rules = Constraints(same_in_degree=True, max_out=graph.num_columns)
    choice = select(graph, drop, absent, grow, fraction=fraction, constraints=rules)
    rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), plane(graph))
    assert torch.equal(rewiring.graph.in_degree, graph.in_degree)


@given(st.integers(0, 30), st.integers(0, 2**31))
def test_limits_that_never_bind(count, seed):
    """The quick way and the careful way are the same."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(0, 5, (2, 20), generator=generator)
    wide = torch.full((5,), 100)
    quick = take_greedily(*ends, torch.zeros(20), Limits(count))
    assert torch.equal(quick, take_greedily(*ends, torch.zeros(20), Limits(count, 1e9, wide, wide)))


def test_gumbel_frequencies():
    """The first of the k highest is drawn in proportion to its weight (chi-square)."""
    graph, weight = eight(), torch.arange(1.0, 9)
    edges = graph.target, graph.source
    draws = torch.stack(
        [gumbel_scores(weight.log(), graph, edges, 0, u, "drop") for u in range(4000)]
    )
    observed = torch.bincount(draws.argmax(1), minlength=8).double()
    expected = weight / weight.sum() * 4000
    assert ((observed - expected) ** 2 / expected).sum() < 24.3  # 99.9 %, 7 degrees of freedom
    # Without replacement: the second is drawn among the others, again by weight.
    order = draws.argsort(1, descending=True)
    second = torch.bincount(order[:, 1][order[:, 0] == 7], minlength=8).double()[:7]
    expected = weight[:7] / 28 * second.sum()
    assert ((second - expected) ** 2 / expected).sum() < 22.5  # 99.9 %, 6 degrees of freedom


def test_gumbel_limits():
    """T to infinity is top-k, T = 0 is uniform."""
    graph, weight = eight(), torch.arange(1.0, 9)
    edges = graph.target, graph.source
    for update in range(20):
        cold = gumbel_scores(1e6 * weight.log(), graph, edges, 1, update, "grow")
        assert cold.argsort().tolist() == list(range(8))
    draws = torch.stack(
        [gumbel_scores(0 * weight, graph, edges, 1, u, "grow") for u in range(4000)]
    )
    observed = torch.bincount(draws.argmax(1), minlength=8).double()
    assert ((observed - 500) ** 2 / 500).sum() < 24.3


def test_soft_scores_belong_to_the_pair():
    """Neither the order of the pairs nor which others there are matters."""
    graph, weight = eight(), torch.rand(8)
    edges = graph.target, graph.source
    whole = gumbel_scores(weight, graph, edges, 3, 4, "drop")
    some = torch.tensor([6, 2, 5])
    part = gumbel_scores(weight[some], graph, (edges[0][some], edges[1][some]), 3, 4, "drop")
    assert torch.equal(part, whole[some])
    assert not torch.equal(whole, gumbel_scores(weight, graph, edges, 3, 4, "grow"))
    assert not torch.equal(whole, gumbel_scores(weight, graph, edges, 3, 5, "drop"))


def test_errors():
    none = pair_tensors([])

    def choose(graph=None, **options):
        graph = eight() if graph is None else graph
        given = {"fraction": 0.5} | options
        return select(graph, torch.zeros(graph.num_edges), none, torch.zeros(0), **given)

    for match, call in [
        ("fraction must be in .0, 1.. Got 1.5", lambda: choose(fraction=1.5)),
        ("give one budget", lambda: choose(edges=3, length=2.0)),
        ("a budget of length needs", lambda: choose(length=2.0)),
        ("swaps are not one for one",
         lambda: choose(length=2.0, pair_length=torch.zeros(0),
                        constraints=Constraints(same_in_degree=True))),
        ("number of edges stays 8",
         lambda: choose(edges=7, constraints=Constraints(same_in_degree=True))),
        ("need more than edges=3", lambda: choose(edges=3, constraints=Constraints(min_in=1))),
        ("in-edges of column 0 must be at least 3",
         lambda: choose(constraints=Constraints(min_in=3))),
        ("must start symmetric", lambda: choose(constraints=Constraints(symmetric=True))),
        ("pinned pairs must be edges",
         lambda: choose(constraints=Constraints(pinned=torch.tensor([[2], [0]])))),
        ("forbidden pairs must not be edges",
         lambda: choose(constraints=Constraints(forbidden=torch.tensor([[1], [0]])))),
        ("max_in must be at least min_in", lambda: Constraints(min_in=3, max_in=2)),
        ("min_out must not be negative", lambda: Constraints(min_out=-1)),
        ("choose one", lambda: Constraints(symmetric=True, same_in_degree=True)),
        ("longer than the budget of 1.0",
         lambda: choose(length=1.0, pair_length=torch.zeros(0), constraints=Constraints(min_in=1))),
        ("one score that is a number",
         lambda: select(eight(), torch.full((8,), torch.nan), none, torch.zeros(0), fraction=0.5)),
        ("overhead must be positive", lambda: choose(overhead=0.2)),
        ("never take back what they dropped",
         lambda: choose(length=2.0, pair_length=torch.zeros(0), margin=0.0,
                        regrow_score=torch.zeros(8))),
        ("seed must be", lambda: gumbel_scores(torch.zeros(0), eight(), none, -1, 0, "drop")),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()


ROOMS = st.none() | st.lists(st.integers(-1, 4), min_size=5, max_size=5)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60),
    ROOMS, ROOMS, st.none() | st.integers(-1, 30), st.sampled_from([2, 2**16]),
    st.sampled_from([1 / 16, 0.9]),
)  # fmt: skip
def test_taking_together_is_taking_one_by_one(edges, into, out, most, chunk, slow):
    targets, sources = pair_tensors(edges)
    limits = [None if x is None else torch.tensor(x) for x in (into, out)]
    room = Limits(math.inf if most is None else most, math.inf, *limits)
    lengths = torch.zeros(len(edges), dtype=torch.float64)
    one_by_one = take_one_by_one(targets, sources, lengths, room)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(greedy, "CHUNK", chunk)
        patch.setattr(greedy, "SLOW", slow)
        assert torch.equal(take_greedily(targets, sources, lengths, room), one_by_one)
    for limit, values in zip(limits, (into, out), strict=True):
        assert values is None or limit.tolist() == values  # what was given is not used up


def test_a_column_without_candidates_does_not_stop_the_others():
    # Of the deaths 0<-1 (1), 1<-2 (2) and 2<-3 (3), the first has nothing to grow in its column.
    rules = Constraints(same_in_degree=True)
    targets, sources = pair_tensors([(1, 3), (2, 0)])
    options = {"fraction": 0.375, "constraints": rules, "margin": 0.0}
    drop = torch.tensor([5.0, 1, 4, 2, 8, 7, 3, 6])
    choice = select(eight(), drop, (targets, sources), torch.tensor([4.0, 9.0]), **options)
    assert choice.drop.tolist() == [3, 6]  # 1<-2 and 2<-3; 0<-1 stays
    assert grown(choice) == [(2, 0), (1, 3)]  # 9 > 2 and 4 > 3
    assert choice.missing == 0
    choice = select(eight(), drop, (targets, sources), torch.tensor([2.5, 9.0]), **options)
    assert choice.drop.tolist() == [6]  # 2.5 is not above 3: 1<-3 is not born, and 1<-2 stays
    assert grown(choice) == [(2, 0)]


def test_a_budget_of_wire_that_can_be_met_is_met():
    """The least worthy edges are the short ones: then the longest go instead."""
    index = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])  # 0<-0, 0<-1, 1<-0, 1<-1
    graph = ColumnGraph.from_edge_index(index, 2, distance=line(2).distance(index[1], index[0]))
    none = torch.empty(0, dtype=torch.int64)
    chosen = select(
        graph, torch.tensor([0.0, 1.0, 1.0, 0.0]), (none, none), torch.zeros(0),
        fraction=0.0, length=0.5, pair_length=torch.zeros(0), constraints=Constraints(min_in=1),
    )  # fmt: skip
    assert chosen.drop.sort().values.tolist() == [1, 2]
