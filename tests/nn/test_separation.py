"""Columns that came too close are moved apart, and nothing else happens."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from geometries import grid
from geometries.learned import positions
from graphcolumns.geometry import Geometry
from graphcolumns.nn import LearnedPositions

SPACES = ("euclidean 2", "euclidean 3", "torus", "great-circle")


def place(space: str, points: torch.Tensor, **options) -> Geometry:
    """Points of the unit cube `[N, 3]` in one of the spaces."""
    if space == "torus":
        return Geometry(9 * points[:, :2], "torus", period=(9.0, 9.0), **options)
    if space == "great-circle":
        on_sphere = 3 * torch.nn.functional.normalize(points - 0.5, dim=1)
        return Geometry(on_sphere, "great-circle", "mm", radius=3.0, **options)
    return Geometry(9 * points[:, : int(space[-1])], **options)


def learned(space: str, points: torch.Tensor, spacing: float, **options) -> LearnedPositions:
    return LearnedPositions(place(space, points, learnable=True, spacing=spacing, **options))


def least(geometry: Geometry) -> float:
    target, source = torch.triu_indices(geometry.num_columns, geometry.num_columns, 1)
    return float(geometry.distance(target, source).detach().min())


def test_two_columns_move_apart_by_hand():
    geometry = Geometry(torch.tensor([[0.0, 0.0], [0.6, 0.0]]), learnable=True, spacing=1.0)
    module = LearnedPositions(geometry)  # each is asked to move 0.2 outwards, and overshoots
    left, right = module.positions().detach()
    assert left[1] == right[1] == 0
    assert left[0] == pytest.approx(0.6 - right[0])
    assert 1.0 <= right[0] - left[0] < 1.2


def test_an_anchor_stays_and_the_other_makes_all_of_the_way():
    anchors = torch.tensor([0])
    start = torch.tensor([[0.0, 0.0], [0.0, 0.5]])
    module = LearnedPositions(Geometry(start, learnable=True, spacing=1.0, anchors=anchors))
    anchor, other = module.positions().detach()
    assert torch.equal(anchor, start[0])
    assert other[0] == 0
    assert 1.0 <= other[1] < 1.2


def test_the_short_way_round_a_torus():
    start = torch.tensor([[0.1, 2.0], [3.9, 2.0]])
    geometry = Geometry(start, "torus", period=(4.0, 4.0), learnable=True, spacing=0.5)
    a, b = LearnedPositions(geometry).positions().detach()
    assert a[0] > 0.2
    assert b[0] < 3.8
    assert a[1] == b[1] == 2.0


def test_along_great_circles():
    angle = torch.tensor([-0.1, 0.1])
    start = 2 * torch.stack([angle.cos(), angle.sin(), torch.zeros(2)], dim=1)
    geometry = Geometry(start, "great-circle", "rad", radius=2.0, learnable=True, spacing=1.0)
    moved = LearnedPositions(geometry).geometry()
    assert moved.positions[:, 2].abs().max() == 0, "they stay on their great circle"
    assert 1.0 <= least(moved) < 1.3


@pytest.mark.parametrize("space", SPACES)
def test_a_pile_comes_apart(space):
    pile = torch.full((60, 3), 0.3) + torch.tensor([0.0, 0.0, 0.1])
    module = learned(space, pile, spacing=0.5)
    geometry = module.geometry()
    assert least(geometry) >= 0.99 * 0.5
    again = learned(space, pile, spacing=0.5)
    assert torch.equal(again.positions(), module.positions()), "the same in every run"
    lengths = geometry.distance(torch.zeros(60, dtype=torch.int64), torch.arange(60))
    assert lengths.max() < 6.0, "no further than they need"


@pytest.mark.parametrize("space", SPACES)
def test_a_pile_comes_apart_around_an_anchor(space):
    pile = torch.full((20, 3), 0.3)
    module = learned(space, pile, spacing=0.5, anchors=torch.tensor([7]))
    assert torch.equal(module.positions()[7], module.start.positions[7])
    assert least(module.geometry()) >= 0.99 * 0.5


@given(st.sampled_from(SPACES), st.integers(2, 40), st.integers(0, 2**31 - 1))
@settings(max_examples=40)
def test_far_enough_in_the_end_and_nobody_moves_without_need(space, count, seed):
    points = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    points[: count // 2] = points[: count // 2] / 20 + 0.1  # half of them crowded
    module = learned(space, points, spacing=0.2, anchors=torch.tensor([0]))
    start, after = module.start, module.geometry().positions.detach()
    assert torch.equal(after[0], start.positions[0])
    assert least(module.geometry()) >= 0.99 * 0.2
    # A column with nobody near it, and nobody near those, is not pushed.
    lonely = torch.ones(count, dtype=torch.bool)
    target, source = torch.triu_indices(count, count, 1)
    near = start.distance(target, source) < 2.0
    lonely[target[near]] = lonely[source[near]] = False
    assert not module.offset[lonely].any()
    assert module.offset.any() or least(start) >= 0.99 * 0.2


@pytest.mark.parametrize(
    "geometry", [grid.sheet(6, 6, 0.1), grid.sheet(6, 6, 0.1, torus=True), grid.stack([4, 3])]
)
def test_columns_just_far_enough_are_left_alone_bit_for_bit(geometry):
    module = LearnedPositions(positions(geometry, spacing=0.1))
    assert module.offset.abs().max() == 0
    module.offset.data.normal_(std=1e-6)
    before = module.offset.detach().clone()
    module.after_step()
    assert torch.equal(module.offset, before)


def test_only_the_columns_concerned_move():
    start = torch.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [9.0, 9.0]])
    module = LearnedPositions(Geometry(start, learnable=True, spacing=1.0))
    assert torch.equal(module.positions()[2:], start[2:])
    module.offset.data[3] = torch.tensor([-3.9, -4.0])  # now 0.1 from column 2
    module.separate()
    assert pdist(module.positions().detach().numpy()).min() >= 0.99
    assert module.offset.requires_grad


def test_after_large_steps_on_a_sphere():
    points = torch.randn(30, 3)
    module = learned("great-circle", points, spacing=0.6)
    module.offset.data.normal_(std=5.0)
    module.separate()
    assert least(module.geometry()) >= 0.99 * 0.6
    torch.testing.assert_close(module.positions().norm(dim=1), torch.full((30,), 3.0))


def test_without_spacing_columns_may_meet():
    module = LearnedPositions(Geometry(torch.zeros(3, 2), learnable=True))
    module.after_step()
    assert module.offset.abs().max() == 0


def test_half_precision_positions():
    module = learned("euclidean 2", torch.rand(5, 3), spacing=0.05).bfloat16()
    module.separate()
    assert module.geometry().positions.dtype == torch.float32


def test_no_room():
    with pytest.raises(ValueError, match=r"spacing = 1.5 pixel apart.*too little room"):
        LearnedPositions(
            Geometry(torch.rand(9, 2), "torus", period=(2.0, 2.0), learnable=True, spacing=1.5)
        )


def test_anchors_too_near():
    start, anchors = torch.tensor([[0.0, 0.0], [0.5, 0.0], [3.0, 0.0]]), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"Anchors \[0, 1\] are nearer"):
        LearnedPositions(Geometry(start, learnable=True, spacing=1.0, anchors=anchors))


def test_a_sphere_smaller_than_the_spacing():
    north = torch.tensor([[0.0, 0.0, 1.0]] * 3)
    with pytest.raises(ValueError, match="too little room"):
        LearnedPositions(
            Geometry(north, "great-circle", "rad", radius=1.0, learnable=True, spacing=math.pi)
        )


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_in_any_unit_columns_move_alike(scale: float):
    start = torch.rand(40, 2, generator=torch.Generator().manual_seed(3)).double()
    start[7] = start[8]  # at one place, in any unit
    expected = LearnedPositions(positions(Geometry(start), spacing=0.09)).positions()
    scaled = positions(Geometry(start * scale), spacing=0.09 * scale)
    moved = LearnedPositions(scaled).positions()
    assert pdist((moved / scale).detach()).min() > 0.089
    assert torch.equal(moved / scale, expected)


def test_far_from_the_origin_columns_move_alike():
    start = torch.rand(40, 2, generator=torch.Generator().manual_seed(3)).double()
    far = torch.tensor([4e6, 5e5], dtype=torch.float64)
    expected = LearnedPositions(positions(Geometry(start), spacing=0.09)).positions()
    moved = LearnedPositions(positions(Geometry(start + far), spacing=0.09)).positions()
    torch.testing.assert_close(moved - far, expected, rtol=0, atol=1e-6)
    assert pdist((moved - far).detach()).min() > 0.089


def test_a_tiny_sphere_keeps_its_radius():
    sphere = Geometry(
        torch.eye(3).double() * 1e-13, metric="great-circle", radius=1e-13, learnable=True
    )
    learned = LearnedPositions(sphere)
    with torch.no_grad():
        learned.offset.copy_(torch.full((3, 3), 2e-14))
    torch.testing.assert_close(
        learned.positions().norm(dim=1) * 1e13, torch.ones(3).double(), rtol=1e-12, atol=0
    )
