"""Where learned columns are, for candidates and for edges; and where they end up."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from geometries import grid, learned
from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import sheet
from graphcolumns.nn import LearnedPositions, current_geometry
from graphcolumns.placement import wire_cost
from graphcolumns.plasticity import Distance, draw_candidates, rewire


def make(geometry: Geometry) -> nn.Module:
    graph = connect.nearest(geometry, 3)
    return sheet(
        geometry, graph, image_size=4, in_channels=1, num_classes=3, channels=4, depth=2,
        cost={"wiring": "distance"},
    )  # fmt: skip


def test_a_value_of_now_that_does_not_follow_later_moves():
    model = make(learned.positions(grid.sheet(4, 4), spacing=0.1))
    model.positions.offset.data[5] = torch.tensor([9.0, 0.0])
    now = current_geometry(model)
    expected = grid.sheet(4, 4).positions.clone()
    expected[5, 0] += 9
    assert torch.equal(now.positions, expected)
    assert not now.positions.requires_grad
    assert (now.spacing, now.unit) == (0.1, "pixel")
    model.positions.offset.data[5] = 0.0
    assert torch.equal(now.positions, expected)


def test_where_nothing_is_learned_the_given_geometry_is_returned():
    geometry = grid.sheet(4, 4)
    model = make(geometry)
    assert current_geometry(model, geometry) is geometry
    with pytest.raises(ValueError, match="must be given"):
        current_geometry(model)
    start = learned.positions(geometry)
    with pytest.raises(ValueError, match="2 LearnedPositions"):
        current_geometry(nn.ModuleList([LearnedPositions(start), LearnedPositions(start)]))


def test_candidates_and_newborn_edges_follow_the_columns():
    # 64 columns on a line, learned; the first one walks from one end to the other.
    start = learned.positions(grid.sheet(1, 64))
    model = nn.Module()
    model.positions, graph = LearnedPositions(start), connect.nearest(start, 3)

    def heard_by_the_first() -> torch.Tensor:
        now = current_geometry(model)
        targets, sources = draw_candidates(graph, Distance(now, 1.0), 320, seed=0, update=0)
        assert len(targets) >= 256
        return sources[targets == 0]

    assert heard_by_the_first().float().mean() < 16
    model.positions.offset.data[0] = torch.tensor([0.0, 63.5])
    near = heard_by_the_first()
    assert len(near) > 2
    assert near.float().mean() > 48
    newborn = near[:1]
    none = torch.empty(0, dtype=torch.int64)
    grow = torch.zeros_like(newborn), newborn
    after = rewire(graph, none, grow, geometry=current_geometry(model)).graph
    edge = (after.target == 0) & (after.source == newborn.int())
    assert after.distance[edge].item() == pytest.approx(63.5 - newborn.item())


def laplacian_optimum(graph: ColumnGraph, geometry: Geometry, weight: torch.Tensor):
    """Positions that minimise sum_e w_e d_e^2 with anchors fixed: the reduced Laplacian system."""
    n, anchors = graph.num_columns, geometry.anchors
    dense = torch.zeros(n, n, dtype=torch.float64)
    dense[graph.target.long(), graph.source.long()] = weight
    both = dense + dense.t()
    laplacian = both.sum(1).diag() - both
    free = ~torch.isin(torch.arange(n), anchors)
    best = geometry.positions.double().clone()
    pull = both[free][:, anchors] @ best[anchors]
    best[free] = torch.linalg.solve(laplacian[free][:, free], pull)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_learned_positions_reach_the_quadratic_optimum(seed):
    torch.manual_seed(seed)
    corners = torch.tensor([0, 4, 20, 24])
    start = grid.sheet(5, 5)
    start = replace(start, positions=start.positions.double(), learnable=True, anchors=corners)
    graph = connect.random(start, 4, seed=seed)
    weight = torch.rand(graph.num_edges, dtype=torch.float64) + 0.1
    module = LearnedPositions(start)
    optimizer = torch.optim.LBFGS(
        module.parameters(), max_iter=300, tolerance_grad=1e-10, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def cost() -> torch.Tensor:
        optimizer.zero_grad()
        value = (weight * module(graph).distance ** 2).sum()
        value.backward()
        return value

    optimizer.step(cost)
    best = laplacian_optimum(graph, start, weight)
    torch.testing.assert_close(module.positions().detach(), best, rtol=0, atol=1e-6)
    assert not torch.allclose(best, start.positions, atol=0.1)
    # No placement costs less, the anchors being where they are.
    least = wire_cost(graph, replace(start, positions=best), weight=weight, power=2.0)
    elsewhere = best + 0.01 * torch.randn_like(best)
    elsewhere[corners] = best[corners]
    assert wire_cost(graph, replace(start, positions=elsewhere), weight=weight, power=2.0) > least
