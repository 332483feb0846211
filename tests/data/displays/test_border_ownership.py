import pytest
import torch

from graphcolumns.data.displays import border_ownership


def test_by_hand():
    shown = border_ownership(size=8, figure=2, low=0.0, high=1.0)
    first, second = shown.images[0, 0], shown.images[1, 0]
    # Light on the left of the edge: a light square on the left, then a dark one on the right.
    expected = torch.zeros(8, 8)
    expected[3:5, 2:4] = 1
    assert torch.equal(first, expected)
    expected = torch.ones(8, 8)
    expected[3:5, 4:6] = 0
    assert torch.equal(second, expected)
    assert (shown.first[0].tolist(), shown.last[0].tolist()) == ([3, 2], [5, 6])


@pytest.mark.parametrize("vary", [False, True])
def test_neighbours_are_the_same_near_the_edge_and_differ_elsewhere(vary):
    shown = border_ownership(5, size=32, figure=12, vary=vary)
    assert shown.side.tolist() == [0, 1] * 20
    for i in range(0, 40, 2):
        (top, left), (bottom, right) = shown.first[i].tolist(), shown.last[i].tolist()
        assert shown.first[i].equal(shown.first[i + 1])
        one, other = shown.images[i, 0], shown.images[i + 1, 0]
        assert torch.equal(one[top:bottom, left:right], other[top:bottom, left:right])
        assert sorted([bottom - top, right - left]) == [12, 24]
        # Outside of it every pixel differs: figure and ground change places.
        differing = one != other
        assert int(differing.sum()) == 32 * 32 - 12 * 24
        # The centre is inside, with room around it.
        assert top <= 16 - 3
        assert bottom >= 16 + 3


def test_the_truth_is_what_is_drawn():
    shown = border_ownership(3, vary=True)
    for image, side, light, direction in zip(
        shown.images[:, 0], shown.side, shown.light, shown.direction, strict=True
    ):
        upright = image.T if direction else image
        before, after = upright[16, 15], upright[16, 16]
        assert bool(after > before) == bool(light)
        # The figure is the side whose value is not that of the corners.
        ground = upright[0, 0]
        assert ((before, after)[side]) != ground
        assert ((before, after)[1 - side]) == ground


def test_variation_and_seed():
    fixed, varied = border_ownership(4), border_ownership(4, vary=True)
    assert torch.equal(fixed.images[:8], fixed.images[8:16])
    assert not torch.equal(varied.images[:8], varied.images[8:16])
    contrast = varied.images.amax((1, 2, 3)) - varied.images.amin((1, 2, 3))
    assert bool(((contrast >= 0.25) & (contrast <= 0.5)).all())
    assert torch.equal(varied.images, border_ownership(4, vary=True).images)
    assert not torch.equal(varied.images, border_ownership(4, vary=True, seed=1).images)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"repeats": 0}, {"size": 31}, {"figure": 11}, {"figure": 16}, {"figure": 0}),
        *({"low": 0.8}, {"high": 1.2}, {"low": -0.1}),
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="Got"):
        border_ownership(**arguments)
