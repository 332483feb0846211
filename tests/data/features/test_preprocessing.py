import pytest
import torch

from graphcolumns.data.features import Preprocessing


def test_values_are_scaled_by_mean_and_deviation():
    prepare = Preprocessing(mean=(0.5, 0.0, 1.0), std=(0.5, 1.0, 2.0))
    image = torch.tensor([255, 0, 255], dtype=torch.uint8)[None, :, None, None]
    assert prepare(image).flatten().tolist() == [1.0, 0.0, 0.0]
    assert prepare(image.float() / 255).equal(prepare(image))


def test_images_are_resized_to_the_size():
    prepare = Preprocessing((0.0,), (1.0,), size=(4, 6))
    ramp = torch.linspace(0, 1, 12).expand(1, 1, 8, 12)
    small = prepare(ramp)
    assert small.shape == (1, 1, 4, 6)
    assert (small.diff(dim=-1) > 0).all()
    assert prepare(torch.ones(1, 1, 5, 5)).equal(torch.ones(1, 1, 4, 6))
    assert Preprocessing(size=4).size == (4, 4)


def test_sides_are_multiples_of_a_patch():
    prepare = Preprocessing(multiple_of=14)
    with pytest.raises(ValueError, match=r"of 14 pixels.* Got 425 x 428; pass size=\(420, 434\)"):
        prepare(torch.zeros(1, 3, 425, 428))
    with pytest.raises(ValueError, match=r"Got 224 x 225"):
        Preprocessing(size=(224, 225), multiple_of=14)
    assert Preprocessing(size=28, multiple_of=14)(torch.zeros(1, 3, 9, 9)).shape[-1] == 28


def test_images_of_another_shape_or_scale_are_refused():
    prepare = Preprocessing()
    with pytest.raises(ValueError, match=r"shape \[B, 3, Y, X\]. Got \(1, 1, 8, 8\)"):
        prepare(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"in \[0, 1\]. Got values from 0 to 255; divide by 255"):
        prepare(torch.tensor([0.0, 255.0]).expand(1, 3, 1, 2))
    with pytest.raises(ValueError, match=r"Got values from nan to nan"):
        prepare(torch.full((1, 3, 2, 2), torch.nan))
    with pytest.raises(TypeError, match=r"uint8 or floating. Got torch.int64"):
        prepare(torch.zeros(1, 3, 2, 2, dtype=torch.int64))


@pytest.mark.parametrize("options", [{"mean": (0.0,)}, {"std": (1.0, 1.0, 0.0)}, {"mean": ()}])
def test_a_mean_and_a_deviation_per_channel(options):
    with pytest.raises(ValueError, match=r"mean and std must have a value per channel"):
        Preprocessing(**options)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": (1, 2, 3)}, {"multiple_of": 0}])
def test_sizes_are_positive(options):
    with pytest.raises(ValueError, match=r"size must be a height and a width of at least 1 pixel"):
        Preprocessing(**options)
