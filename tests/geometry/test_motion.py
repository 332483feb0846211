"""What moving or scaling all columns does to their distances."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geometries import cortex
from graphcolumns import connect
from graphcolumns.geometry import Geometry

SEEDS = st.integers(0, 2**20)
FACTORS = st.floats(0.01, 100.0)


def plane(seed: int, axes: int) -> Geometry:
    return Geometry(torch.randn(9, axes, generator=rng(seed), dtype=torch.float64))


def box(seed: int, axes: int) -> Geometry:
    period = (2.0, 3.0, 5.0)[:axes]
    sides = torch.tensor(period, dtype=torch.float64)
    points = torch.rand(9, axes, generator=rng(seed), dtype=torch.float64) * sides
    return Geometry(points, "torus", period=period)


def ball(seed: int, axes: int = 3) -> Geometry:
    points = torch.randn(9, 3, generator=rng(seed), dtype=torch.float64)
    points = 2.0 * torch.nn.functional.normalize(points, dim=1)
    return Geometry(points, "great-circle", "mm", radius=2.0)


SPACES = [plane, box, ball]


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotation(seed: int, axes: int) -> Tensor:
    """A random rotation or reflection."""
    return torch.linalg.qr(torch.randn(axes, axes, generator=rng(seed), dtype=torch.float64))[0]


def all_pairs(geometry: Geometry) -> Tensor:
    ids = torch.arange(geometry.num_columns)
    return geometry.distance(*torch.meshgrid(ids, ids, indexing="ij"))


def same(one: Geometry, other: Geometry, factor: float = 1.0) -> None:
    expected = factor * all_pairs(one)
    torch.testing.assert_close(all_pairs(other), expected, rtol=1e-9, atol=1e-12 * factor)


@given(SEEDS, st.sampled_from([2, 3]))
def test_turning_and_shifting_a_plane_changes_no_distance(seed, axes):
    geometry = plane(seed, axes)
    shift = 5 * torch.randn(axes, generator=rng(seed + 1), dtype=torch.float64)
    same(geometry, replace(geometry, positions=geometry.positions @ rotation(seed, axes) + shift))


@given(SEEDS)
def test_turning_a_sphere_changes_no_distance(seed):
    geometry = ball(seed)
    same(geometry, replace(geometry, positions=geometry.positions @ rotation(seed, 3)))


@given(SEEDS, st.sampled_from([2, 3]))
def test_shifting_around_a_torus_changes_no_distance(seed, axes):
    geometry = box(seed, axes)
    sides = torch.tensor(geometry.period, dtype=torch.float64)
    shift = 9 * torch.randn(axes, generator=rng(seed + 1), dtype=torch.float64)
    moved = torch.remainder(geometry.positions + shift, sides)
    same(geometry, replace(geometry, positions=moved))


@pytest.mark.parametrize("space", SPACES)
@given(seed=SEEDS, axes=st.sampled_from([2, 3]), factor=FACTORS)
def test_scaling_everything_scales_distances(space, seed, axes, factor):
    geometry = space(seed, axes)
    # Scaled with the positions, so that no product rounds to a place outside of the box.
    sides = None
    if geometry.period is not None:
        sides = tuple(side * factor * (1 + 1e-12) for side in geometry.period)
    radius = None if geometry.radius is None else geometry.radius * factor
    scaled = replace(geometry, positions=geometry.positions * factor, period=sides, radius=radius)
    same(geometry, scaled, factor)


def test_turning_and_scaling_a_mesh_scales_its_paths():
    geometry = cortex.fsaverage(2, "left")
    exact = replace(geometry, positions=geometry.positions.double())
    turned = replace(exact, positions=2.5 * exact.positions @ rotation(0, 3) + 7.0)
    ids = torch.arange(0, geometry.num_columns, 5)
    pairs = torch.meshgrid(ids, ids, indexing="ij")
    torch.testing.assert_close(turned.distance(*pairs), 2.5 * exact.distance(*pairs))


@given(SEEDS, FACTORS)
def test_the_length_scale_of_a_graph_scales_with_the_sheet(seed, factor):
    # Drawn with a decay length in the unit of the sheet, a graph is the same in any unit: its mean
    # length is times c, so its decay rate, 1 / length, is divided by c.
    torch.manual_seed(0)
    geometry = Geometry(torch.rand(40, 2, generator=rng(seed)))
    scaled = replace(geometry, positions=geometry.positions * factor)
    one = connect.distance_decay(geometry, degree=4, length=0.2, seed=seed)
    other = connect.distance_decay(scaled, degree=4, length=0.2 * factor, seed=seed)
    mean = float(one.distance.mean())
    assert math.isclose(float(other.distance.mean()), factor * mean, rel_tol=0.02)
