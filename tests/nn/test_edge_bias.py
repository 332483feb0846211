import math

import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import EdgeBias
from tests.nn.support.graphs import random_graph


def line(requires_grad=False):
    """Column 0 listens to four columns, 0, 2, 4 and 10 away."""
    distance = torch.tensor([0.0, 2.0, 4.0, 10.0], requires_grad=requires_grad)
    edge_index = torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]])
    return ColumnGraph.from_edge_index(edge_index, 4, distance=distance)


def test_gaussian_start_by_hand():
    start = [0.0, -0.5, -2.0, -8.0]  # -d^2 / (2 * 2^2), and -12.5 is below the floor
    assert EdgeBias(line(), sigma=2.0)().tolist() == start
    assert EdgeBias(line(), sigma=2.0, floor=-100.0)().tolist() == [0.0, -0.5, -2.0, -12.5]
    heads = EdgeBias(line(), heads=3, common=False, per_head=True, sigma=2.0)
    assert heads().tolist() == [[s, s, s] for s in start]
    both = EdgeBias(line(), heads=3, per_head=True, sigma=2.0)
    assert both.common.tolist() == start
    assert both.per_head.abs().max() == 0  # the start is there once
    assert both().tolist() == [[s, s, s] for s in start]


def test_start_without_a_gaussian():
    graph = random_graph(40, 1200)
    assert EdgeBias(graph)().abs().max() == 0
    drawn = EdgeBias(graph, heads=2, per_head=True, std=0.02)
    assert drawn.common.std().item() == pytest.approx(0.02, rel=0.1)
    assert drawn.per_head.std().item() == pytest.approx(0.02, rel=0.1)
    assert drawn().std().item() == pytest.approx(0.02 * math.sqrt(2), rel=0.1)


def test_every_score_learns():
    bias = EdgeBias(random_graph(7, 20), heads=2, per_head=True)
    assert {name: p.shape for name, p in bias.named_parameters()} == {
        "common": (20,),
        "per_head": (20, 2),
    }
    bias().sin().sum().backward()
    assert all(p.grad.abs().min() > 0 for p in bias.parameters())
    assert {name for name, _ in bias.named_parameters()} <= set(bias.no_weight_decay)


def test_the_start_is_a_constant():
    bias = EdgeBias(line(requires_grad=True), sigma=1.0)
    assert list(bias.state_dict()) == ["common", "edges_of"]
    bias.common.data += 3
    bias.reset_parameters()
    assert bias().tolist() == [0.0, -2.0, -8.0, -8.0]
    assert repr(bias) == "EdgeBias(edges=4, heads=1, sigma=1.0, std=0.0)"


def test_graph_without_edges():
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.long), 3)
    assert EdgeBias(empty, heads=2, per_head=True, std=0.1)().shape == (0, 2)


def test_errors():
    graph, unmeasured = line(), ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1)
    for match, call in [
        ("common=True or per_head=True, got neither", lambda: EdgeBias(graph, common=False)),
        ("needs sigma > 0, got sigma=0.0", lambda: EdgeBias(graph, sigma=0.0)),
        (r"call graph.remeasure\(geometry\)", lambda: EdgeBias(unmeasured, sigma=1.0)),
        ("heads must be at least 1, got 0", lambda: EdgeBias(graph, heads=0)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()


@pytest.mark.parametrize("kinds", [{}, {"per_head": True}, {"common": False, "per_head": True}])
def test_starts_alike_when_built_on_the_meta_device(kinds):
    graph = random_graph(6, 15)
    with torch.device("meta"):
        bias = EdgeBias(graph, heads=2, sigma=0.5, **kinds)
    assert bias().is_meta
    bias = bias.to_empty(device="cpu")
    bias.reset_parameters()
    assert torch.equal(bias(), EdgeBias(graph, heads=2, sigma=0.5, **kinds)())
    other = random_graph(6, 15)
    bias.rewired(other)
    bias.reset_parameters()
    assert torch.equal(bias(), EdgeBias(other, heads=2, sigma=0.5, **kinds)())
