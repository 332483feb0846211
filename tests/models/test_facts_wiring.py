"""Wiring and locality: numbers that the published code gives."""

import pytest
import torch
from torch import Tensor

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import EdgeBias
from graphcolumns.nn.wiring import distance_cost
from graphcolumns.ops import column_attention


def paid(graph: ColumnGraph, cost: Tensor, bias: Tensor | None = None) -> Tensor:
    """Expected cost `[N]` when queries say nothing: attention is the softmax of the bias."""
    silent = torch.zeros(graph.num_columns, 1, 1, 1)
    return column_attention(silent, silent, silent, graph, bias=bias, cost=cost).cost[:, 0, 0]


def gaussian(graph: ColumnGraph) -> Tensor:
    return EdgeBias(graph, sigma=2.0)().detach()


def separated(geometry, offset: float = 2.0) -> ColumnGraph:
    """Lengths sqrt(d^2 + offset^2): a feed-forward layer listens to the sheet below."""
    graph = connect.complete(geometry)
    lengths = (graph.distance.square() + offset**2).sqrt()
    return ColumnGraph(graph.rowptr, graph.source, lengths, graph.num_sources)


class TestWiringCost:
    def test_costs_on_edges_are_those_of_the_matrix(self):
        graph = connect.complete(grid.stack([4, 3]))
        scores, lengths = torch.randn(25, 25), graph.distance.view(25, 25)
        expected = (torch.softmax(scores, -1) * lengths / lengths.mean()).sum(-1)
        cost, _ = distance_cost(graph)
        assert torch.allclose(paid(graph, cost, scores.flatten()), expected, atol=1e-6)

    def test_uniform_attention_costs_one(self):
        graph = connect.complete(grid.stack([8, 12]))
        assert float(paid(graph, distance_cost(graph)[0]).mean()) == pytest.approx(1, abs=1e-6)

    def test_first_version_sums_over_columns_at_strength_0_01(self):
        """d / d_max, summed over the 464 columns: 1.66 for uniform, 0.56 for Gaussian scores."""
        graph = connect.complete(grid.stack([8, 12, 16]))
        cost = 0.01 * graph.distance / graph.distance.max()
        assert graph.num_columns == 464
        assert float(paid(graph, cost).sum()) == pytest.approx(1.66, abs=0.005)
        assert float(paid(graph, cost, gaussian(graph)).sum()) == pytest.approx(0.56, abs=0.005)


@pytest.mark.parametrize(
    ("graph", "identity", "local"),
    [
        (lambda: separated(grid.stack([8])), 0.382, 0.587),
        (lambda: connect.complete(grid.stack([8] * 6)), 0.0, 0.423),
    ],
    ids=["8x8", "6x8x8"],
)
def test_identity_and_gaussian_attention_cost(graph, identity, local):
    graph = graph()
    cost, _ = distance_cost(graph)
    itself = torch.where(graph.target == graph.source, 0.0, -1e4)
    assert float(paid(graph, cost, itself).mean()) == pytest.approx(identity, abs=1e-3)
    assert float(paid(graph, cost, gaussian(graph)).mean()) == pytest.approx(local, abs=1e-3)


@pytest.mark.parametrize(
    ("widths", "mass"), [([8] * 6, 0.0017), ([32] * 2, 0.0174)], ids=["384", "2048"]
)
def test_attention_mass_on_the_floor_of_the_local_bias(widths, mass):
    graph = connect.complete(grid.stack(widths))
    far = (graph.distance >= 8).float()
    assert float(paid(graph, far, gaussian(graph)).mean()) == pytest.approx(mass, abs=1e-3)


def test_attention_mass_on_the_floor_at_8192():
    """67 million pairs, a block of columns at a time; 6.7 %: locality that is not sparse leaks."""
    geometry = grid.stack([64] * 2)
    sources, total = torch.arange(8192)[None], 0.0
    for targets in torch.arange(4096).split(512):  # the other sheet is its mirror image
        lengths = geometry.distance(targets[:, None].expand(-1, 8192), sources.expand(512, -1))
        weight = (-(lengths**2) / 8).clamp(min=-8).exp()
        total += float(((weight * (lengths >= 8)).sum(1) / weight.sum(1)).sum())
    assert total / 4096 == pytest.approx(0.067, abs=1e-3)
