"""A linear layer with weights on edges."""

import copy

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect, edge_linear
from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.per_edge import edge_parameters

GRAPH = connect.nearest(grid.sheet(3, 4), degree=4)


@pytest.mark.parametrize("heads", [1, 2])
def test_equals_the_op(heads):
    layer, x = EdgeLinear(GRAPH, heads), torch.randn(12, 3, 4)
    assert torch.equal(layer(x, GRAPH), edge_linear(x, layer.weight, GRAPH))
    assert layer.weight.shape == ((GRAPH.num_edges,) if heads == 1 else (GRAPH.num_edges, 2))
    assert any(layer.weight is parameter for parameter in edge_parameters(layer))


def test_starts_with_the_variance_of_its_input():
    torch.manual_seed(0)
    targets = torch.cat([torch.zeros(100), torch.arange(1, 1000)]).long()
    sources = torch.cat([torch.arange(100), torch.zeros(999)]).long()
    uneven = ColumnGraph.from_edge_index(torch.stack([sources, targets]), 1000)
    weight = EdgeLinear(uneven, heads=200).weight.detach()
    hub = uneven.target == 0
    assert float(weight[hub].var()) == pytest.approx(0.01, rel=0.05)
    assert float(weight[~hub].var()) == pytest.approx(1.0, rel=0.05)


def test_refuses_other_edges():
    other = connect.nearest(grid.sheet(3, 4), degree=3)
    with pytest.raises(ValueError, match="edges"):
        EdgeLinear(GRAPH)(torch.randn(12, 1, 1), other)
    with pytest.raises(ValueError, match="heads must be at least 1"):
        EdgeLinear(GRAPH, heads=0)


def test_is_copied_and_loaded_with_its_edges():
    layer = EdgeLinear(GRAPH)
    other = EdgeLinear(GRAPH)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(12, 2, 3)
    assert torch.equal(other(x, GRAPH), layer(x, GRAPH))
    assert torch.equal(copy.deepcopy(layer)(x, GRAPH), layer(x, GRAPH))
