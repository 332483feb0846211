import copy
import math

import pytest
import torch
from torch.func import functional_call

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import LearnedPositions
from tests.nn.support.graphs import random_edges

N = 6


def geometries(dtype=torch.float64, anchors=None):
    points = torch.randn(N, 3, dtype=dtype)
    on_sphere = 2.0 * torch.nn.functional.normalize(points, dim=-1)
    in_box = torch.rand(N, 2, dtype=dtype) * torch.tensor([4.0, 3.0], dtype=dtype)
    return {
        "euclidean": Geometry(points, anchors=anchors),
        "great-circle": Geometry(on_sphere, "great-circle", "rad", radius=2.0, anchors=anchors),
        "torus": Geometry(in_box, "torus", period=(4.0, 3.0), anchors=anchors),
    }


METRICS = list(geometries())


def graph():
    edge_index = random_edges(N, 14)
    return ColumnGraph.from_edge_index(edge_index[:, edge_index[0] != edge_index[1]], N)


@pytest.mark.parametrize("metric", METRICS)
def test_starts_where_the_geometry_is(metric):
    start, edges = geometries()[metric], graph()
    module = LearnedPositions(start)
    torch.testing.assert_close(module.positions(), start.positions)
    measured = module(edges)
    assert measured.same_topology(edges)
    torch.testing.assert_close(measured.distance, start.distance(edges.target, edges.source))
    assert [name for name, _ in module.named_parameters()] == ["offset"]
    assert repr(module) == f"LearnedPositions(num_columns=6, metric={metric!r})"


@pytest.mark.parametrize("metric", METRICS)
def test_gradient_of_distances_equals_finite_differences(metric):
    module, edges = LearnedPositions(geometries()[metric]), graph()

    def distances(offset):
        return functional_call(module, {"offset": offset}, (edges,)).distance

    offset = 0.1 * torch.randn_like(module.offset)
    assert torch.autograd.gradcheck(distances, offset.requires_grad_())


@pytest.mark.parametrize("metric", METRICS)
def test_anchors_stay(metric):
    start = geometries(torch.float32, anchors=torch.tensor([1, 4]))[metric]
    module, edges = LearnedPositions(start), graph()
    module.offset.data.normal_()
    module(edges).distance.sum().backward()
    free = torch.tensor([0, 2, 3, 5])
    assert module.offset.grad[[1, 4]].abs().max() == 0
    assert (module.offset.grad[free].abs().amax(1) > 0).all()
    moved = module.positions()
    assert torch.equal(moved[[1, 4]], start.positions[[1, 4]])
    assert ((moved - start.positions)[free].abs().amax(1) > 1e-3).all()


def test_sphere_radius_is_kept():
    module = LearnedPositions(geometries(torch.float32)["great-circle"])
    module.offset.data.normal_(std=3.0)
    torch.testing.assert_close(module.positions().norm(dim=-1), torch.full((N,), 2.0))
    assert module.geometry().radius == 2.0


def test_torus_positions_stay_in_the_box():
    module = LearnedPositions(geometries(torch.float32)["torus"])
    module.offset.data.normal_(std=10.0)
    for position in (module.positions(), module.geometry().positions):
        assert (position >= 0).all()
        assert (position < torch.tensor([4.0, 3.0])).all()


def test_a_hair_below_zero_is_zero_on_a_torus():
    start = Geometry(torch.zeros(2, 2), "torus", period=(4.0, 3.0))
    module = LearnedPositions(start)
    module.offset.data[0] = -1e-9  # remainder(-1e-9, 4.0) is 4.0 in float32: outside [0, 4)
    assert torch.equal(module.geometry().positions[0], torch.zeros(2))


def test_distances_can_be_learned():
    module, edges = LearnedPositions(geometries(torch.float32)["euclidean"]), graph()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    before = module(edges).distance.mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        module(edges).distance.mean().backward()
        optimizer.step()
    after = module(edges).distance
    assert after.mean().item() < 0.95 * before
    assert torch.equal(copy.deepcopy(module)(edges).distance, after)

    other = LearnedPositions(geometries(torch.float32)["euclidean"])
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(edges).distance, after)
    module.reset_parameters()
    assert math.isclose(module(edges).distance.mean().item(), before, rel_tol=1e-6)


def test_wrong_graph():
    small = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2)
    with pytest.raises(ValueError, match="must place 2 columns"):
        LearnedPositions(geometries()["euclidean"])(small)


def test_columns_cannot_move_on_a_mesh():
    corners, faces = torch.eye(3), torch.tensor([[0, 1, 2]])
    with pytest.raises(ValueError, match="metric of learned positions must be one of"):
        LearnedPositions(Geometry(corners, "geodesic", "mm", faces=faces))
