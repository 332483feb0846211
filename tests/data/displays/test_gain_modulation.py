import numpy as np
import pytest
import torch

from graphcolumns.data.displays import gain_modulation


def half_with_the_pattern(shown) -> torch.Tensor:
    left, right = shown.images[:, 0].chunk(2, dim=2)
    return torch.where((shown.place == 0)[:, None, None], left, right)


@pytest.mark.parametrize("pattern", ["grating", "bar"])
def test_orientation_by_the_structure_tensor(pattern):
    shown = gain_modulation(8, 2, pattern, size=40)
    for image, angle in zip(half_with_the_pattern(shown), shown.orientation, strict=True):
        down, across = (torch.from_numpy(x) for x in np.gradient(image.numpy()))
        # Rows count downwards; gradients are perpendicular to the stripes.
        twice = torch.atan2(-2 * (across * down).sum(), (across**2 - down**2).sum())
        found = (float(torch.rad2deg(twice)) / 2 + 90) % 180
        assert abs((found - float(angle) + 90) % 180 - 90) < 6


def test_neighbours_are_one_image_under_two_cues():
    shown = gain_modulation(5, 3)
    assert len(shown.images) == 60
    assert torch.equal(shown.images[::2], shown.images[1::2])
    assert shown.cue.tolist() == [0, 1] * 30
    assert torch.equal(shown.cued, shown.cue == shown.place)
    for angle in (0, 36, 72, 108, 144):
        here = shown.orientation == angle
        for place in (0, 1):
            for cued in (True, False):
                chosen = here & (shown.place == place) & (shown.cued == cued)
                assert int(chosen.sum()) == 3


@pytest.mark.parametrize(("pattern", "background"), [("grating", 0.5), ("bar", 0.0)])
def test_nothing_is_at_the_other_place_if_it_is_blank(pattern, background):
    shown = gain_modulation(6, 2, pattern, opposite="blank", contrast=0.8)
    left, right = shown.images[:, 0].chunk(2, dim=2)
    empty = torch.where((shown.place == 0)[:, None, None], right, left)
    assert float((empty - background).abs().max()) < 0.008
    assert float((half_with_the_pattern(shown) - background).abs().max()) > 0.3


def test_what_is_at_the_other_place_does_not_depend_on_the_orientation():
    shown = gain_modulation(6, 2)
    both = gain_modulation(6, 2, opposite="blank")
    assert torch.equal(shown.orientation, both.orientation)
    assert not torch.equal(shown.images, both.images)
    near = half_with_the_pattern(shown) - half_with_the_pattern(both)
    assert float(near.abs().max()) < 0.008


@pytest.mark.parametrize("pattern", ["grating", "bar"])
def test_range_contrast_and_seed(pattern):
    shown, weak = (gain_modulation(6, 2, pattern, contrast=c) for c in (1.0, 0.5))
    assert 0 <= float(shown.images.min()) < float(shown.images.max()) <= 1
    background = 0.5 if pattern == "grating" else 0
    torch.testing.assert_close(weak.images - background, 0.5 * (shown.images - background))
    assert torch.equal(shown.images, gain_modulation(6, 2, pattern).images)
    assert not torch.equal(shown.images, gain_modulation(6, 2, pattern, seed=1).images)


def test_bars_are_as_bright_at_every_orientation():
    shown = gain_modulation(12, 1, "bar", "blank", size=48)
    total = shown.images.sum((1, 2, 3))
    assert float(total.max() / total.min()) < 1.02


@pytest.mark.parametrize(
    "arguments",
    [
        *({"orientations": 0}, {"repeats": 0}, {"size": 8}, {"contrast": 0.0}),
        *({"pattern": "dots"}, {"opposite": "same"}),
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="Got"):
        gain_modulation(**arguments)
