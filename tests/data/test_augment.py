from math import pi

import pytest
import torch

from graphcolumns.data.augment import _matrix, affine


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.rand(4, 2, 6, 9)


def test_nothing_asked_changes_nothing():
    torch.testing.assert_close(affine(IMAGES, generator=generator()), IMAGES)


def test_a_quarter_turn_by_hand():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    matrix = _matrix(torch.tensor([pi / 2]), torch.zeros(1), torch.ones(1), aspect=1.0)
    # The output at (x, y) shows the input at (-y, x): the picture turns anticlockwise.
    torch.testing.assert_close(matrix[0], torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    theta = torch.cat([matrix, torch.zeros(1, 2, 1)], 2)
    grid = torch.nn.functional.affine_grid(theta, [1, 1, 3, 3], align_corners=False)
    turned = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    torch.testing.assert_close(turned[0, 0], torch.rot90(image[0, 0], 1))


def test_rotation_keeps_lengths_in_pixels_on_oblong_images():
    aspect = 6 / 9
    matrix = _matrix(torch.tensor([0.7]), torch.zeros(1), torch.ones(1), aspect)[0]
    pixels = (
        torch.diag(torch.tensor([9.0, 6.0])) @ matrix @ torch.diag(1 / torch.tensor([9.0, 6.0]))
    )
    torch.testing.assert_close(pixels @ pixels.t(), torch.eye(2))


def test_zoom_and_shear_have_their_determinants():
    zoom = _matrix(torch.tensor([0.3]), torch.tensor([0.4]), torch.tensor([2.0]), 1.5)
    assert torch.linalg.det(zoom).item() == pytest.approx(1 / 4)


def test_a_shift_moves_pixels_and_fills_with_zeros():
    image = torch.zeros(200, 1, 9, 9)
    image[:, :, 4, 4] = 1
    moved = affine(image, translate=1 / 9, generator=generator())
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 9, places % 9
    assert rows.min() == columns.min() == 3
    assert rows.max() == columns.max() == 5
    torch.testing.assert_close(moved.sum((1, 2, 3)), torch.ones(200))
    edge = affine(torch.ones(200, 1, 9, 9), translate=1 / 9, generator=generator())
    assert (edge[:, :, 2:7, 2:7] - 1).abs().max() < 1e-5
    assert edge[:, :, 0, 0].min() < 0.2


def test_samples_get_their_own_amounts_and_the_generator_decides():
    image = torch.rand(1, 1, 8, 8).expand(3, -1, -1, -1)
    options = {"degrees": 20, "translate": 0.1, "scale": 0.2, "shear": 10}
    first = affine(image, **options, generator=generator())
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, affine(image, **options, generator=generator()))
    assert not torch.equal(first, affine(image, **options, generator=generator(1)))
    assert first.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degrees": -1}, "degrees >= 0"),
        ({"scale": 1}, "0 <= scale < 1"),
        ({"shear": 90}, "0 <= shear < 90"),
        ({"translate": -0.1}, "translate >= 0"),
    ],
)
def test_wrong_amounts(options, message):
    with pytest.raises(ValueError, match=message):
        affine(IMAGES, **options, generator=generator())


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"\(n, channels, Y, X\). Got \(2, 6, 9\)"):
        affine(IMAGES[0], generator=generator())
