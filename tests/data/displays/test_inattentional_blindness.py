import pytest
import torch

from graphcolumns.data.displays import inattentional_blindness


def quadrant_of(image: torch.Tensor) -> int:
    """The only quadrant with something in it."""
    half = image.shape[-1] // 2
    parts = [image[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    (there,) = [place for place, part in enumerate(parts) if bool((part > 0).any())]
    return there


@pytest.mark.parametrize("size", [16, 25, 32, 48])
def test_the_longer_line_is_longer_and_all_stands_in_its_quadrant(size):
    shown = inattentional_blindness(24, size=size)
    for image, plain, longer, quadrant, other in zip(
        shown.images[:, 0],
        shown.without[:, 0],
        shown.longer,
        shown.quadrant,
        shown.object_quadrant,
        strict=True,
    ):
        wide, tall = (int((plain > 0).any(axis).sum()) for axis in (0, 1))
        assert (tall > wide) == bool(longer)
        if size % 2 == 0:
            assert quadrant_of(plain) == quadrant
            assert quadrant_of(image - plain) == other
        assert quadrant != other


def test_pairs_differ_by_the_object_alone():
    shown = inattentional_blindness(40, brightness=0.5, contrast=0.9)
    assert shown.without.unique().tolist() == [0, 0.5]
    assert bool((shown.images >= shown.without).all())
    assert float(shown.images.max()) == pytest.approx(0.9)
    assert bool(((shown.images != shown.without).sum((1, 2, 3)) > 10).all())
    # What the cross covers is the same with the object.
    cross = shown.without > 0
    assert torch.equal(shown.images[cross], shown.without[cross])


def test_lines_are_as_bright_in_every_quadrant():
    shown = inattentional_blindness(60)
    for longer in (0, 1):
        assert len((shown.without[shown.longer == longer] > 0).sum((1, 2, 3)).unique()) == 1


def test_balance_and_seed():
    shown = inattentional_blindness(400)
    assert shown.longer.bincount().tolist() == [200, 200]
    assert shown.figure.bincount().min() > 60
    assert shown.object_quadrant.bincount().min() > 60
    assert torch.equal(shown.images, inattentional_blindness(400).images)
    assert not torch.equal(shown.images, inattentional_blindness(400, seed=1).images)


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"size": 8}, {"contrast": 1.5}, {"brightness": 0}, {"radius": 0.3}]
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="Got"):
        inattentional_blindness(**{"count": 4, **arguments})
