import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.candidates.draw import draw_candidates
from graphcolumns.plasticity.candidates.proposals import (
    Distance,
    Everything,
    Mixture,
    Norms,
    TwoHop,
    Uniform,
)
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.random.counter import derive, uniform
from tests.plasticity.support.sheets import eight, graphs, line, pairs, plane

LOOPS = Constraints(self_loops=True)


def listed(found) -> list[tuple[int, int]]:
    return list(zip(*(x.tolist() for x in found), strict=True))


def proposals(geometry):
    n = geometry.num_columns
    parts = [
        Uniform(),
        Distance(geometry, 1.0),
        TwoHop(),
        Norms(torch.rand(n) + 0.1, torch.rand(n) + 0.1),
    ]
    return [*parts, Mixture(parts, [1, 2, 0, 1]), Everything()]


def test_all_by_hand():
    assert listed(draw_candidates(eight(), Everything(), 0)) == [
        (0, 2), (0, 3), (1, 3), (2, 0), (3, 1), (3, 2)
    ]  # fmt: skip
    rules = Constraints(self_loops=True, forbidden=torch.tensor([[2, 3], [0, 3]]))
    cooling_down = torch.tensor([2 * 4 + 0])
    found = draw_candidates(eight(), Everything(), 0, constraints=rules, cooling_down=cooling_down)
    assert listed(found) == [(0, 3), (1, 1), (1, 3), (3, 1), (3, 2)]


def test_two_hops_by_hand():
    # 0 hears 1, which hears 2; 2 hears 1, which hears 0; 3 hears 0, which hears 1; and
    # 1 hears 2, which hears 1 and 3. Nothing that 2 hears hears anything else.
    by_hand = [(0, 2), (1, 1), (1, 3), (2, 0), (3, 1)]
    assert two_hops(eight()) == by_hand
    assert listed(draw_candidates(eight(), TwoHop(), 1000, constraints=LOOPS)) == by_hand


def two_hops(graph) -> list[tuple[int, int]]:
    edges = set(pairs(graph))
    reached = {(t, s) for t, k in edges for k_, s in edges if k == k_}
    return sorted(reached - edges)


@given(graphs(2, 10), st.integers(0, 60), st.integers(0, 2**31), st.booleans())
def test_what_may_grow(graph, count, seed, loops):
    """No existing edge, no repetition, no self-edge, sorted; at most as many as requested."""
    rules = Constraints(self_loops=loops)
    for proposal in proposals(plane(graph)):
        found = listed(draw_candidates(graph, proposal, count, seed=seed, constraints=rules))
        assert found == sorted(set(found))
        assert not set(found) & set(pairs(graph))
        assert loops or all(t != s for t, s in found)
        assert len(found) <= count or isinstance(proposal, Everything)
    if not loops:
        everything = listed(draw_candidates(graph, Everything(), 0))
        most = graph.num_columns * (graph.num_columns - 1)
        assert len(everything) == most - sum(t != s for t, s in pairs(graph))


@pytest.mark.parametrize("number", range(4))
def test_on_every_geometry(geometry, number):
    """As many as requested, on a sheet, a torus, spheres and cortical meshes."""
    graph = connect.nearest(geometry, 4)
    proposal = proposals(geometry)[number]
    found = draw_candidates(graph, proposal, 3 * geometry.num_columns, seed=5)
    least = 0.9 if number in (0, 1, 3) else 0.3  # not that many pairs are two hops apart
    if geometry.num_columns > 30:
        assert least * 3 * geometry.num_columns <= len(found[0]) <= 3 * geometry.num_columns
    assert torch.isfinite(geometry.distance(*found)).all() or number != 1


def test_distance_by_its_kernel():
    """Chi-square of the sources of a column in the middle, drawn alone on an empty graph."""
    geometry = line(7)
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 7)
    seen = torch.zeros(7)
    for update in range(2000):
        targets, sources = draw_candidates(empty, Distance(geometry, 1.5), 7, update=update)
        seen += torch.bincount(sources[targets == 3], minlength=7)
    others = torch.tensor([0, 1, 2, 4, 5, 6])
    weight = torch.exp(-(others - 3).abs() / 1.5)
    expected = weight / weight.sum() * seen.sum()
    assert ((seen[others] - expected) ** 2 / expected).sum() < 20.5  # 99.9 %, 5 degrees
    assert seen[3] == 0


def test_norms_by_their_product():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 3)
    target, source = torch.tensor([1.0, 0, 3]), torch.tensor([0.0, 2, 2])
    seen = torch.zeros(3, 3)
    for round_ in range(5):
        drawn = Norms(target, source)(empty, 2000, 7, round_)
        seen += torch.bincount(drawn.targets * 3 + drawn.sources, minlength=9).reshape(3, 3)
    expected = target[:, None] * source / (target.sum() * source.sum()) * 10_000
    possible = expected > 0
    assert seen[~possible].sum() == 0
    chi = ((seen - expected) ** 2)[possible] / expected[possible]
    assert chi.sum() < 16.3  # 99.9 %, 3 degrees of freedom


def test_uniform_over_pairs():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 4)
    seen = torch.zeros(16)
    for update in range(1500):
        targets, sources = draw_candidates(empty, Uniform(), 3, update=update)
        seen += torch.bincount(targets * 4 + sources, minlength=16)
    off = ~torch.eye(4, dtype=torch.bool).flatten()
    expected = seen.sum() / 12
    assert ((seen[off] - expected) ** 2 / expected).sum() < 31.3  # 99.9 %, 11 degrees of freedom


def test_a_function_of_seed_and_update():
    """The same at any number of threads; other seeds and updates give other pairs."""
    geometry = grid.sheet(12, 12)
    graph = connect.nearest(geometry, 5)
    proposal = Mixture(proposals(geometry)[:4], [1, 1, 1, 1])

    def draw(seed, update):
        return torch.stack(draw_candidates(graph, proposal, 200, seed=seed, update=update))

    threads = torch.get_num_threads()
    one = draw(3, 4)
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        assert torch.equal(draw(3, 4), one)
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(draw(3, 5), one)
    assert not torch.equal(draw(4, 4), one)


def test_pinned_random_numbers():
    """The same on every machine: python's hash of strings is salted per process."""
    assert derive(0, "drop", 1) == 7895435567105149264
    known = [0.9919072294804274, 0.7622301572200207, 0.5489761092147771]
    assert uniform(1, "drop", 2, torch.tensor([0, 1, 2**40])).tolist() == known
    assert derive(0, "drop") != derive(0, "grow")
    chance = uniform(1, "drop", 2, torch.arange(10_000))
    assert 0 < chance.min()
    assert chance.max() < 1
    assert abs(float(chance.mean()) - 0.5) < 4 / math.sqrt(12 * 10_000)
    far = uniform(1, "drop", 2, torch.tensor([2**62, -1, 2**33]))
    assert len(far.unique()) == 3


def test_large_sheets_stay_small():
    """Nothing of the size N x N; 200,000 edges, 20,000 columns."""
    geometry = grid.sheet(100, 200)
    graph = connect.random(geometry, 10)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if torch.is_tensor(out):
                largest = max(largest, out.numel())
            return out

    parts = [Uniform(), TwoHop(), Norms(torch.rand(20_000), torch.rand(20_000))]
    with Watch():
        found = draw_candidates(graph, Mixture(parts, [1, 1, 1]), 50_000)
    assert len(found[0]) == 50_000
    assert 50_000 <= largest <= 4 * (graph.num_edges + 50_000)


def test_bipartite():
    graph = ColumnGraph.from_edge_index(torch.tensor([[4, 2, 0], [0, 1, 1]]), 2, 5)
    assert len(draw_candidates(graph, Everything(), 0)[0]) == 7
    found = draw_candidates(graph, Uniform(), 4)
    assert len(found[0]) == 4
    for proposal in (TwoHop(), Distance(line(2), 1.0)):
        with pytest.raises(ValueError, match="within one sheet"):
            draw_candidates(graph, proposal, 2)


def test_errors():
    graph, wide = eight(), connect.nearest(grid.ring(3000), 1)
    for match, call in [
        ("count must not be negative", lambda: draw_candidates(graph, Uniform(), -1)),
        ("up to 2048 columns", lambda: draw_candidates(wide, Everything(), 1)),
        ("length must be positive", lambda: draw_candidates(graph, Distance(line(), 0.0), 1)),
        ("must place 4 columns", lambda: draw_candidates(graph, Distance(line(5), 1.0), 1)),
        (
            "one number per column",
            lambda: draw_candidates(graph, Norms(torch.ones(3), torch.ones(4)), 1),
        ),
        ("one share per part", lambda: Mixture([Uniform()], [0.0])),
        ("seed must be a whole number", lambda: draw_candidates(graph, Uniform(), 1, seed=-1)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
