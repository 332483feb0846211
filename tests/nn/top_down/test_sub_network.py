"""Passes through open columns only: equal to the whole network times the gates."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.learning.counter_hebb import accumulate_products
from graphcolumns.nn.top_down import (
    Identity,
    OpenColumns,
    Population,
    Projection,
    SubNetwork,
    TopDownAttention,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
    TopDownUntied,
)
from tests.ops.support.cases import graph_of, random_mask

COLUMNS, CHANNELS = 6, 2
HIDDEN = ("one", "two", "three")


class Doubled(Identity):
    """A layer that knows nothing of sub-networks, and changes what its class would do."""

    def forward(self, x):
        return 2 * x.flip(0)

    def top_down(self, counter, shape, x=None):
        return 2 * counter.flip(0)


def network(heads=1, feedback="tied", density=0.5, own=None):
    """A layer on edges used twice, maps per column, attention, a way around, a layer of one's own.

    Every hidden population has gates, and the prediction reads the last.
    """
    graph = graph_of(random_mask(COLUMNS, COLUMNS, density))
    again = TopDownEdges(graph, heads=heads, feedback=feedback)
    untied = TopDownUntied(COLUMNS, CHANNELS, CHANNELS, feedback=feedback)
    read = TopDownEdges(graph_of(torch.ones(3, COLUMNS, dtype=torch.bool)), heads=heads)
    hidden = {name: Population((COLUMNS, CHANNELS), columns=True) for name in HIDDEN}
    ends = {
        "input": Population((COLUMNS, CHANNELS), "identity", columns=True),
        "prediction": Population((3, CHANNELS), "identity", columns=True),
    }
    projections = [
        Projection("input", "one", again),
        Projection("one", "two", again),
        Projection("one", "three", Identity()),
        Projection("two", "three", untied),
        Projection("two", "three", own or TopDownAttention(graph, CHANNELS, CHANNELS)),
        Projection("three", "prediction", read),
    ]
    made = TopDownNetwork({**hidden, **ends}, projections).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made


def drawn_gates(bits):
    values = torch.tensor(bits, dtype=torch.float64).view(len(HIDDEN), COLUMNS, 1, CHANNELS)
    return dict(zip(HIDDEN, values, strict=True))


def whole(network, gates, x, error):
    """All values of the three passes, computed everywhere and multiplied with the gates."""
    network.zero_grad()
    neurons = network.bottom_up({"input": x}, gates)
    counters = network.top_down({"prediction": error}, neurons, until=("input",))
    accumulate_products(network, neurons, counters)
    return neurons, counters, gradients(network)


def skipped(network, gates, x, error):
    network.zero_grad()
    part = SubNetwork(network, gates)
    neurons = part.bottom_up({"input": x})
    counters = part.top_down({"prediction": error}, neurons, until=("input",))
    part.accumulate(neurons, counters)
    whole_size = [
        {n: part.scatter(n, v) for n, v in values.items()} for values in (neurons, counters)
    ]
    return *whole_size, gradients(network)


def gradients(network):
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


@torch.no_grad()
def check(network, gates, samples=3):
    x = torch.randn(COLUMNS, samples, CHANNELS, dtype=torch.float64)
    error = torch.randn(3, samples, CHANNELS, dtype=torch.float64)
    expected, found = whole(network, gates, x, error), skipped(network, gates, x, error)
    for there, here in zip(expected, found, strict=True):
        assert there.keys() == here.keys()
        for name, values in there.items():
            torch.testing.assert_close(here[name], values, rtol=1e-12, atol=1e-12)
    for values in found[:2]:
        for name in set(HIDDEN) & values.keys():
            closed = (gates[name] == 0).expand_as(values[name])
            assert not values[name][closed].any()
    return found


@given(
    bits=st.lists(st.booleans(), min_size=36, max_size=36),
    heads=st.sampled_from([1, 2]),
    feedback=st.sampled_from(["tied", "copied", "independent", "sign"]),
    density=st.sampled_from([0.0, 0.4, 1.0]),
    samples=st.integers(1, 3),
)
def test_it_is_the_whole_network_times_the_gates(bits, heads, feedback, density, samples):
    check(network(heads, feedback, density), drawn_gates(bits), samples)


@pytest.mark.parametrize("share", [0, 1])
def test_all_closed_and_all_open(share):
    check(network(), drawn_gates([share] * 36))


def test_one_column():
    bits = torch.zeros(3, COLUMNS, CHANNELS)
    bits[:, 2, 1] = 1
    check(network(), drawn_gates(bits.flatten().tolist()))


def test_a_layer_of_ones_own_is_run_whole():
    bits = torch.randint(2, (36,), generator=torch.Generator().manual_seed(0))
    check(network(own=Doubled()), drawn_gates(bits.tolist()))


def test_gradients_of_closed_columns_are_exactly_zero():
    net, bits = network(density=1.0), torch.ones(3, COLUMNS, CHANNELS)
    bits[:, 4] = 0
    _, _, found = check(net, drawn_gates(bits.flatten().tolist()))
    edges = net.layers[0].graph
    closed = edges.target == 4
    assert not found["layers.0.weight"][closed].any()
    assert found["layers.0.weight"][~closed & (edges.source != 4)].any()
    assert not found["layers.0.bias"][4].any()


def test_populations_that_are_not_of_columns_are_whole():
    # 4 columns to a dense population and on; gates of both.
    read = TopDownEdges(graph_of(torch.ones(4, 4, dtype=torch.bool)))
    net = TopDownNetwork(
        {
            "input": Population((4, 1), "identity", columns=True),
            "sheet": Population((4, 1), columns=True),
            "pixels": Population(5, "identity"),
            "hidden": Population(6),
            "prediction": Population(2, "identity"),
        },
        [
            Projection("input", "sheet", read),
            Projection("pixels", "hidden", TopDownLinear(5, 6)),
            Projection("hidden", "prediction", TopDownLinear(6, 2)),
        ],
    ).double()
    gates = {
        "sheet": torch.tensor([0.0, 1, 0, 1]).view(4, 1, 1).double(),
        "hidden": torch.tensor([[0.0, 1, 1, 0, 1, 0]]).double(),
    }
    inputs = {"input": torch.randn(4, 3, 1).double(), "pixels": torch.randn(3, 5).double()}
    part, expected = SubNetwork(net, gates), net.bottom_up(inputs, gates)
    found = part.bottom_up(inputs)
    assert found["sheet"].shape == (2, 3, 1)
    for name, values in expected.items():
        torch.testing.assert_close(part.scatter(name, found[name]), values)


def test_gates_of_several_samples_are_refused():
    gates = {name: gate.repeat(1, 2, 1) for name, gate in drawn_gates([1] * 36).items()}
    with pytest.raises(ValueError, match=r"must be that of one task: gates of one sample. Got \(6"):
        SubNetwork(network(), gates)


def test_other_gates_and_other_edges_do_not_fit():
    net, gates = network(density=1.0), drawn_gates([1, 0] * 18)
    part = SubNetwork(net, gates)
    assert part.fits({name: gate.clone() for name, gate in gates.items()})
    assert not part.fits({**gates, "two": 1 - gates["two"]})
    assert not part.fits({"two": gates["two"]})
    net.layers[0].rewired(net.layers[0].graph.reverse())
    assert not part.fits(gates)


def test_populations_with_the_same_open_columns_share_their_edges():
    net, bits = network(density=1.0), torch.zeros(3, COLUMNS, CHANNELS)
    bits[:, :3, 0] = 1
    part = SubNetwork(net, drawn_gates(bits.flatten().tolist()))
    assert isinstance(part.open["one"], OpenColumns)
    assert part.open["one"] is part.open["two"] is part.open["three"]
    assert part.open["input"] is None
