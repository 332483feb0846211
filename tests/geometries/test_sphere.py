"""The Fibonacci sphere."""

import math

import pytest
import torch

from geometries import sphere


def test_two_columns_by_hand():
    # Heights 1/2 and -1/2, the second turned by the golden angle 137.5 degrees.
    golden = math.radians(137.50776405)
    ring = math.sqrt(3) / 2
    expected = [[ring, 0, 0.5], [ring * math.cos(golden), ring * math.sin(golden), -0.5]]
    torch.testing.assert_close(sphere.fibonacci(2).positions, torch.tensor(expected))


def test_unit_follows_the_radius():
    assert (sphere.fibonacci(5).metric, sphere.fibonacci(5).unit) == ("great-circle", "rad")
    assert (sphere.fibonacci(5, 100.0).radius, sphere.fibonacci(5, 100.0).unit) == (100.0, "mm")
    assert sphere.fibonacci(5, 100.0, unit="pixel").unit == "pixel"


@pytest.mark.parametrize("n", [1, 2, 500])
def test_points_are_on_the_sphere(n: int):
    norm = torch.linalg.vector_norm(sphere.fibonacci(n, 3.0).positions, dim=1)
    torch.testing.assert_close(norm, torch.full((n,), 3.0))


def test_columns_are_evenly_spread():
    geometry, ids = sphere.fibonacci(500), torch.arange(500)
    lengths = geometry.distance(ids[:, None].expand(500, 500), ids.expand(500, 500))
    nearest = lengths.sort(dim=1).values[:, 1]
    # A cap of the column's share of the sphere, 4 pi / n, has a radius of 2 / sqrt(n).
    assert nearest.min() > 1.5 / math.sqrt(500)
    assert nearest.std() / nearest.mean() < 0.03
    assert geometry.positions.mean(0).abs().max() < 1e-2
    # Half of all pairs are less than a quarter turn apart.
    assert lengths.median().item() == pytest.approx(math.pi / 2, abs=0.01)


@pytest.mark.parametrize("n", [0, -3, 2.0, True])
def test_wrong_number_of_columns(n):
    with pytest.raises(ValueError, match=f"n must be a whole number of columns.* Got {n}"):
        sphere.fibonacci(n)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_wrong_radius(radius: float):
    with pytest.raises(ValueError, match=f"radius must be positive and finite. Got {radius}"):
        sphere.fibonacci(5, radius)
