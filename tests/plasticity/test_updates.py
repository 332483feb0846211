"""Whole updates, one after the other, while a model trains."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import AdamW

from geometries import grid
from graphcolumns import checkpoint, connect
from graphcolumns.nn import EdgeBias
from graphcolumns.plasticity import (
    Budget,
    Constraints,
    EdgeAdamW,
    Everything,
    Rewiring,
    Uniform,
    carry,
    draw_candidates,
    edge_parameters,
    rewire,
    schedules,
    select,
)
from tests.models.support.variants import GEOMETRY, make
from tests.plasticity.support.sheets import graphs, pairs, plane

LOOPS = Constraints(self_loops=True)


def update(graph, geometry, number, fraction=0.3, edges=None, constraints=LOOPS):
    """Random scores, a function of the update."""
    generator = torch.Generator().manual_seed(number)
    found = draw_candidates(graph, Everything(), 0, update=number, constraints=constraints)
    drop = torch.rand(graph.num_edges, generator=generator)
    grow = torch.rand(len(found[0]), generator=generator)
    options = {"fraction": fraction, "edges": edges, "constraints": constraints}
    choice = select(graph, drop, found, grow, **options)
    return rewire(graph, choice.drop, (choice.targets, choice.sources), geometry)


def trained(model, optimizer, first: int, last: int, every: int):
    """Steps `first` to `last`; what happens at a step is a function of the step."""
    for step in range(first, last):
        torch.manual_seed(step)
        images = torch.randn(2, 1, 4, 4)
        optimizer.zero_grad()
        model(images).prediction.square().sum().backward()
        optimizer.step()
        if every and step % every == 0:
            carry(update(model.graph, GEOMETRY, step), model, optimizer)
    return [p.detach().clone() for p in model.parameters()]


def edge_adamw(model) -> EdgeAdamW:
    edges = edge_parameters(model)
    others = [p for p in model.parameters() if all(p is not edge for edge in edges)]
    groups = [{"params": others}, {"params": edges, "edges": True, "weight_decay": 0.0}]
    return EdgeAdamW(groups, lr=0.01)


@pytest.mark.parametrize("optimizer", [edge_adamw, lambda model: AdamW(model.parameters())])
def test_a_frozen_topology_is_plain_training(optimizer):
    """Carrying along with no change changes nothing, bit for bit."""
    plain, frozen = make(), make()
    expected = trained(plain, optimizer(plain), 0, 6, every=0)
    stepped = optimizer(frozen)
    for step in range(6):
        trained(frozen, stepped, step, step + 1, every=0)
        carry(update(frozen.graph, GEOMETRY, step, fraction=0.0), frozen, stepped)
    assert all(torch.equal(a, b) for a, b in zip(expected, frozen.parameters(), strict=True))


@pytest.mark.parametrize("stop", range(1, 6))
def test_save_and_resume(tmp_path, stop):
    """Through a run folder, at any step, the same topology, parameters and state."""
    model = make()
    optimizer = edge_adamw(model)
    trained(model, optimizer, 0, stop, every=2)
    with torch.no_grad():  # a score of 0 is an edge like any other: topology is not read off values
        edge_parameters(model)[0][::2] = 0
    checkpoint.save(tmp_path, model, step=stop, optimizer=optimizer)
    trained(model, optimizer, stop, 6, every=2)
    other = make()
    resumed = edge_adamw(other)
    topology = checkpoint.read_topology(tmp_path)
    carry(Rewiring.between(other.graph, topology.graph), other, resumed)
    checkpoint.load(tmp_path, other, optimizer=resumed)
    trained(other, resumed, stop, 6, every=2)
    assert other.graph.same_topology(model.graph)
    assert torch.equal(other.graph.distance, model.graph.distance)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )
    ours, theirs = (
        o.state[edge_parameters(m)[0]] for o, m in ((optimizer, model), (resumed, other))
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@given(graphs(3, 8), st.integers(0, 2**31))
def test_log_replayed(graph, seed):
    """Births and deaths replayed from the first graph give the last; ages are consistent."""
    first, geometry = graph, plane(graph)
    alive, born_at = set(pairs(graph)), dict.fromkeys(pairs(graph), 0)
    age = torch.zeros(graph.num_edges, dtype=torch.int64)
    ever, shares = set(alive), []
    budget = Budget(schedules.Cubic(graph.num_edges, graph.num_edges // 2, 1, 4))
    for number in range(1, 6):
        edges = budget.edges(number, graph, self_loops=True)
        rewiring = update(graph, geometry, seed + number, edges=edges)
        before, after = pairs(rewiring.before), pairs(rewiring.graph)
        died = {before[e] for e in rewiring.died.tolist()}
        born = {after[e] for e in rewiring.born.tolist()}
        assert len(born) - len(died) == len(after) - len(before)
        assert not died & born
        alive = (alive - died) | born
        born_at |= dict.fromkeys(born, number)
        ever |= born
        shares.append(len(ever))
        age, graph = rewiring.carried(age + 1), rewiring.graph
        assert graph.num_edges == edges
    assert alive == set(pairs(graph))
    assert age.tolist() == [5 - born_at[pair] for pair in pairs(graph)]
    assert shares == sorted(shares)
    assert graph.num_edges == first.num_edges // 2  # the last budget is the final one


def test_degrees_adapt():
    """Rows of fixed capacity could never change their in-degree."""
    graph = connect.random(GEOMETRY, 6)
    assert graph.in_degree.unique().tolist() == [6]
    assert len(update(graph, GEOMETRY, 0).graph.in_degree.unique()) > 1


def test_ties_are_not_dropped_together():
    """`abs(w) > threshold` would drop more than the fraction."""
    graph = connect.nearest(GEOMETRY, 7)
    found = draw_candidates(graph, Everything(), 0)
    choice = select(
        graph, torch.ones(graph.num_edges), found, torch.ones(len(found[0])), fraction=0.1
    )
    assert len(choice.drop) == len(choice.targets) == graph.num_edges // 10


def test_memory():
    """O(E + candidates + N), at 20,000 columns and 200,000 edges; no N x N tensor."""
    geometry = grid.sheet(100, 200)
    graph = connect.random(geometry, 10)
    bias = EdgeBias(graph, 2, False, True)
    optimizer = EdgeAdamW([{"params": bias.parameters(), "edges": True}])
    bias.per_head.grad = torch.ones_like(bias.per_head)
    optimizer.step()
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            parts = out if isinstance(out, tuple | list) else [out]
            largest = max(largest, *(x.numel() for x in parts if torch.is_tensor(x)), 0)
            return out

    with Watch():
        found = draw_candidates(graph, Uniform(), 100_000)
        rules = Constraints(min_in=1, max_new=4)
        drop, grow = torch.rand(graph.num_edges), torch.rand(len(found[0]))
        choice = select(graph, drop, found, grow, fraction=0.1, constraints=rules)
        rewiring = rewire(graph, choice.drop, (choice.targets, choice.sources), geometry)
        carry(rewiring, bias, optimizer, state="median")
    assert graph.num_edges <= largest <= 3 * (graph.num_edges + 100_000)


def test_threads():
    """One thread or two, the same edges and the same values."""

    def run():
        model = copy.deepcopy(make())
        values = trained(model, edge_adamw(model), 0, 4, every=2)
        return model.graph, values

    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(run())
    finally:
        torch.set_num_threads(threads)
    (one, values), (two, others) = results
    assert one.same_topology(two)
    for a, b in zip(values, others, strict=True):
        torch.testing.assert_close(a, b)
