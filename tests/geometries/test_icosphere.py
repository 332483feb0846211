"""The icosphere: counts, nesting, orientation, and the closed form of its distances."""

import math

import pytest
import torch

from geometries import sphere
from geometries.hull import outward_faces


def edges_of(faces: torch.Tensor) -> torch.Tensor:
    both = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return torch.unique(both.sort(dim=1).values, dim=0)


def test_an_icosahedron_by_hand():
    geometry = sphere.icosphere(0)
    # Every column has five neighbours at the angle of tan 2, and its antipode.
    near, far = math.atan(2), math.pi - math.atan(2)
    ids = torch.arange(12)
    lengths = geometry.distance(*torch.meshgrid(ids, ids, indexing="ij")).sort(dim=1).values
    expected = torch.tensor([0.0] + [near] * 5 + [far] * 5 + [math.pi])
    torch.testing.assert_close(lengths, expected.expand(12, 12))
    assert geometry.faces.shape == (20, 3)


@pytest.mark.parametrize("level", [0, 1, 2, 4])
def test_counts_of_columns_faces_edges_and_neighbours(level: int):
    geometry = sphere.icosphere(level)
    assert geometry.num_columns == 10 * 4**level + 2
    assert len(geometry.faces) == 20 * 4**level
    edges = edges_of(geometry.faces)
    assert len(edges) == 30 * 4**level
    neighbours = torch.bincount(edges.flatten())
    assert (neighbours[:12] == 5).all()
    assert (neighbours[12:] == 6).all()


@pytest.mark.parametrize("level", [1, 2, 4])
def test_levels_are_nested(level: int):
    coarse, fine = sphere.icosphere(level - 1, 7.0), sphere.icosphere(level, 7.0)
    assert torch.equal(fine.positions[: coarse.num_columns], coarse.positions)
    # The others stand in the middle of the edges below, in the order of their ends.
    ends = coarse.positions[edges_of(coarse.faces)]
    middles = torch.nn.functional.normalize(ends.mean(1), dim=1) * 7
    torch.testing.assert_close(fine.positions[coarse.num_columns :], middles)


@pytest.mark.parametrize("level", [0, 3])
def test_faces_look_outward_and_are_those_of_the_hull(level: int):
    geometry = sphere.icosphere(level)
    a, b, c = geometry.positions[geometry.faces].unbind(1)
    assert ((torch.linalg.cross(b - a, c - a) * (a + b + c)).sum(1) > 0).all()
    hull = outward_faces(geometry.positions)
    first = geometry.faces.argmin(1)
    turned = geometry.faces.gather(1, (first[:, None] + torch.arange(3)) % 3)
    assert torch.equal(hull, torch.unique(turned, dim=0))


def test_radius_unit_and_metric():
    geometry = sphere.icosphere(2, radius=100.0)
    assert (geometry.metric, geometry.radius, geometry.unit) == ("great-circle", 100.0, "mm")
    norm = torch.linalg.vector_norm(geometry.positions, dim=1)
    torch.testing.assert_close(norm, torch.full((162,), 100.0))
    assert sphere.icosphere(2).unit == "rad"
    assert sphere.icosphere(2, unit="pixel").unit == "pixel"


@pytest.mark.parametrize("level", [-1, 9, 2.0, True, None])
def test_wrong_level(level):
    with pytest.raises(ValueError, match=f"level must be a whole number from 0 to 8. Got {level}"):
        sphere.icosphere(level)


def test_wrong_radius():
    with pytest.raises(ValueError, match=r"radius must be positive and finite. Got 0"):
        sphere.icosphere(1, radius=0)
