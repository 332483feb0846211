"""Layers say what they require, before they compute."""

import re

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.top_down import (
    FrozenNorm,
    FrozenRMSNorm,
    Population,
    Projection,
    TopDownAttention,
    TopDownAveragePool,
    TopDownBatchNorm,
    TopDownConv2d,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
    TopDownUntied,
)
from graphcolumns.ops import edge_linear_transposed, edge_products

RING = ColumnGraph.from_edge_index(torch.stack([torch.arange(5), (torch.arange(5) + 1) % 5]), 5)
WIDE = ColumnGraph.from_edge_index(torch.tensor([[0, 4], [1, 2]]), 3, num_sources=5)

WRONG = {
    "groups": (
        lambda: TopDownConv2d(6, 4, 3, groups=4),
        "groups must divide in_channels and out_channels. Expected a divisor of 6 and 4. Got 4.",
    ),
    "kernel": (lambda: TopDownConv2d(1, 1, 0), "kernel_size must be 1 or more"),
    "three numbers": (lambda: TopDownConv2d(1, 1, (3, 3, 3)), "for both axes or each. Got (3, 3"),
    "padding": (lambda: TopDownConv2d(1, 1, 3, padding=-1), "padding must be 0 or more"),
    "channels": (lambda: TopDownConv2d(0, 1, 3), "in_channels must be at least 1"),
    "pool padding": (lambda: TopDownAveragePool(3, padding=2), "at most half of the window"),
    "heads": (lambda: TopDownAttention(RING, 2, 4, heads=3), "heads must divide out_channels = 4"),
    "coefficients": (
        lambda: TopDownAttention(RING, 2, 4, coefficients="learned"),
        "coefficients must be",
    ),
    "sources": (
        lambda: TopDownAttention(WIDE, 2, 4),
        "Expected 3 sources. Got 5; pass coefficients='queries'",
    ),
    "columns": (lambda: TopDownUntied(0, 2, 2), "num_columns must be at least 1"),
    "momentum": (lambda: FrozenNorm(3, momentum=1.5), "momentum must be from 0 to 1. Got 1.5."),
    "eps": (lambda: FrozenNorm(3, eps=0.0), "eps must be above 0"),
    "eps of RMS": (lambda: FrozenRMSNorm(3, eps=-1.0), "eps must be above 0"),
    "statistics": (
        lambda: TopDownBatchNorm(3, top_down_statistics="other"),
        "top_down_statistics must be",
    ),
    "no shape": (lambda: FrozenNorm((3, 2, 2), columns=True), "must have the shape (N, C)"),
    "edge heads": (lambda: TopDownEdges(RING, heads=0), "heads must be at least 1"),
    "feedback": (lambda: TopDownUntied(2, 2, 2, feedback="none"), "feedback must be"),
}
CALLED = {
    "kernel larger than the image": (
        TopDownConv2d(1, 1, 5, padding=1),
        torch.ones(2, 1, 2, 8),
        "a kernel must fit the image. Expected (5, 5) or more with padding. Got (4, 10) of an "
        "image (2, 8)",
    ),
    "dilated": (TopDownConv2d(1, 1, 3, dilation=4), torch.ones(2, 1, 8, 9), "Expected (9, 9)"),
    "channels of an image": (
        TopDownConv2d(3, 1, 3),
        torch.ones(2, 1, 8, 8),
        "images must be [B, 3, Y, X]. Got [2, 1, 8, 8]",
    ),
    "columns of a dense layer": (
        TopDownLinear(10, 2),
        torch.ones(5, 3, 2),
        "Expected 10. Got [5, 3, 2]; columns come samples second, put a Reshape before the layer.",
    ),
    "no image": (TopDownAveragePool(2), torch.ones(2, 8), "images must be [B, 1, Y, X]"),
    "window": (TopDownAveragePool(9), torch.ones(2, 1, 8, 8), "a kernel must fit the image"),
    "columns of another graph": (
        TopDownAttention(RING, 2, 4),
        torch.ones(6, 2, 2),
        "the source must be [M, B, Cin]. Expected [5, B, 2]. Got [6, 2, 2]",
    ),
    "sources of another graph": (TopDownEdges(WIDE), torch.ones(3, 2, 1), "with M = 5 sources"),
    "heads of edges": (
        TopDownEdges(RING, heads=2),
        torch.ones(5, 2, 3),
        "must divide the channels",
    ),
    "columns": (
        TopDownUntied(4, 2, 3),
        torch.ones(5, 2, 2),
        "the source must be [N, B, Cin]. Expected [4, B, 2]. Got [5, 2, 2]",
    ),
    "units of a norm": (FrozenNorm(4), torch.ones(2, 5), "Expected [B, 4]. Got [2, 5]"),
    "columns of a norm": (
        FrozenRMSNorm((4, 2), columns=True),
        torch.ones(2, 4, 2),
        "Expected [4, B, 2]. Got [2, 4, 2]",
    ),
}
COUNTERS = {
    "linear": (TopDownLinear(4, 2), torch.ones(2, 4), (2, 4), "Expected [B, 2]. Got [2, 4]"),
    "conv": (
        TopDownConv2d(1, 2, 3, stride=2),
        torch.ones(2, 2, 4, 3),
        (2, 1, 8, 8),
        "Expected [2, 2, 3, 3] for a source [2, 1, 8, 8]. Got [2, 2, 4, 3].",
    ),
    "pool": (TopDownAveragePool(2), torch.ones(2, 1, 3, 3), (2, 1, 8, 8), "Expected [2, 1, 4, 4]"),
    "untied": (TopDownUntied(4, 2, 3), torch.ones(4, 2, 2), (4, 2, 2), "Expected [4, B, 3]"),
    "attention": (TopDownAttention(RING, 2, 4), torch.ones(4, 2, 4), (5, 2, 2), "[5, B, 4]"),
    "norm": (FrozenNorm(4), torch.ones(2, 5), (2, 4), "Expected [B, 4]"),
    "batch norm": (TopDownBatchNorm(4), torch.ones(2, 5), (2, 4), "Expected [B, 4]"),
    "root mean square": (FrozenRMSNorm(4), torch.ones(2, 5), (2, 4), "Expected [B, 4]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("name", CALLED)
def test_values_that_do_not_fit(name):
    layer, x, message = CALLED[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(x)


@pytest.mark.parametrize("name", COUNTERS)
def test_top_down_neurons_that_do_not_fit(name):
    layer, counter, shape, message = COUNTERS[name]
    for x in (None, torch.ones(shape)):
        with pytest.raises(ValueError, match=re.escape(message)):
            layer.top_down(counter, shape, x)


def test_what_is_no_number_or_graph():
    with pytest.raises(TypeError, match=r"stride must be a whole number, or two\. Got 1\.5"):
        TopDownConv2d(1, 1, 3, stride=1.5)
    with pytest.raises(TypeError, match="graph must be a ColumnGraph"):
        TopDownAttention(RING.edge_index, 2, 4)


def test_a_network_names_the_projection():
    populations = {"image": Population((1, 4, 4), "identity"), "above": Population((2, 1, 1))}
    with pytest.raises(ValueError, match=r"from 'image' .* to 'above' raised: a kernel must fit"):
        TopDownNetwork(populations, [Projection("image", "above", TopDownConv2d(1, 2, 5))])


def test_the_trial_of_a_network_leaves_running_statistics_alone():
    norm = FrozenNorm(3, momentum=1.0)
    ends = {"one": Population(3, "identity"), "two": Population(3)}
    network = TopDownNetwork(ends, [Projection("one", "two", norm)])
    norm.after_step()
    assert torch.equal(norm.variance, torch.ones(3))
    assert network.training


def test_products_of_heads():
    x, counter = torch.randn(5, 2, 6), torch.randn(5, 2, 6)
    for heads in (1, 3, 6):
        found = edge_products(x, counter, RING, heads=heads)
        ends = counter[RING.target.long()] * x[RING.source.long()]
        expected = ends.unflatten(2, (heads, -1)).sum((1, 3))
        torch.testing.assert_close(found, expected[:, 0] if heads == 1 else expected)
    with pytest.raises(ValueError, match=r"heads must divide the channels C = 6\. Got 4"):
        edge_products(x, counter, RING, heads=4)


@pytest.mark.parametrize("shape", ["ab", 1.5, (2, 2.5), True])
def test_sizes_of_populations_are_whole_numbers(shape):
    with pytest.raises(TypeError, match="shape must be a whole number or several"):
        Population(shape)


@pytest.mark.parametrize("name", ["values", "a.b", "keys"])
def test_populations_may_have_any_name(name):
    populations = {
        "image": Population(3, "identity"),
        name: Population(4, top_down_bias=True),
        "task": Population(2, "identity"),
    }
    layers = [Projection("image", name, TopDownLinear(3, 4))]
    layers.append(Projection(name, "task", TopDownLinear(4, 2)))
    network = TopDownNetwork(populations, layers)
    with torch.no_grad():
        network.top_down_biases[name].fill_(100.0)
    counters = network.top_down({"task": torch.ones(1, 2)}, rectified=True, until=("image",))
    assert (counters[name] > 50).all()


def test_sums_of_edges_take_floating_values():
    x = torch.ones(5, 2, 1)
    for values in ((x.long(), x), (x, x.long())):
        with pytest.raises(TypeError, match="must be floating"):
            edge_products(*values, RING)
    with pytest.raises(TypeError, match="counter must be floating"):
        edge_linear_transposed(x.long(), torch.ones(5), RING)


def pair_of_edges(*graphs):
    """Two populations of five columns, and layers on these graphs from both to a third."""
    columns = Population((5, 1), columns=True)
    populations = {"a": columns, "b": columns, "above": columns}
    links = [Projection(s, "above", TopDownEdges(g)) for s, g in zip("ab", graphs, strict=True)]
    return TopDownNetwork(populations, links)


def test_graphs_of_one_name_have_the_same_edges():
    other = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 5)
    found = pair_of_edges(RING, other).graphs
    assert {name: graph.num_edges for name, graph in found.items()} == {"above": 5, "b_above": 2}
    assert list(pair_of_edges(RING, RING).graphs) == ["above"]
    expected = r"must have the same edges. Got others of the name 'one' from 'b' to 'above'"
    with pytest.raises(ValueError, match=expected):
        pair_of_edges(RING.named("one"), other.named("one"))


def test_gates_are_those_of_populations():
    network = pair_of_edges(RING, RING)
    inputs = {"a": torch.ones(5, 2, 1), "b": torch.ones(5, 2, 1)}
    with pytest.raises(ValueError, match=r"Expected 'a', 'b', 'above'\. Got 'hidden'"):
        network.bottom_up(inputs, {"hidden": torch.zeros(5, 2, 1)})
    with pytest.raises(ValueError, match="values of 'above' must have the shape"):
        network.bottom_up(inputs, {"above": torch.zeros(2, 5, 1)})
