from math import pi

import pytest
import torch

from graphcolumns.data.augment import _matrix, affine, occlude


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


def test_a_square_as_large_as_the_image_leaves_nothing():
    assert occlude(torch.ones(5, 1, 4, 4), 4, generator=generator()).sum() == 0
    assert occlude(torch.ones(5, 1, 4, 4), 0, generator=generator()).sum() == 80


def test_every_place_of_the_square_is_drawn_and_lies_inside():
    """A square of side 2 on 3 x 4 pixels has 2 x 3 places."""
    hidden = 1 - occlude(torch.ones(2000, 1, 3, 4), 2, generator=generator())[:, 0]
    assert (hidden.sum((1, 2)) == 4).all()
    corners = hidden.flatten(1).argmax(1)
    counts = corners.bincount(minlength=12).view(3, 4)
    assert (counts > 0).tolist() == [[True] * 3 + [False]] * 2 + [[False] * 4]
    # 333 +- 17 are expected at each place.
    assert ((counts[:2, :3] - 2000 / 6).abs() < 5 * 17).all()


def test_only_a_share_of_the_images_is_occluded():
    images = torch.ones(3, 2, 6, 6).repeat(1000, 1, 1, 1)
    changed = occlude(images, 3, share=0.25, generator=generator()) == 0
    assert changed[:, 0].equal(changed[:, 1])
    assert abs(changed.flatten(1).any(1).float().mean() - 0.25) < 5 * 0.008
    assert occlude(images, 3, share=0.0, generator=generator()).equal(images)


def test_the_generator_decides_and_other_inputs_stay():
    given = {"image": IMAGES, "instruction": torch.ones(4, 3)}
    first, second = (occlude(given, 2, generator=generator(s)) for s in (0, 1))
    assert first["instruction"] is given["instruction"]
    assert not first["image"].equal(second["image"])
    assert first["image"].equal(occlude(IMAGES, 2, generator=generator()))
    assert (IMAGES > 0).all()


@pytest.mark.parametrize(("size", "share"), [(7, 1.0), (-1, 1.0), (2, 1.5), (2, -0.1)])
def test_wrong_squares(size, share):
    with pytest.raises(ValueError, match=r"0 <= size <= 6, .* 0 <= share <= 1\. Got"):
        occlude(IMAGES, size, share, generator=generator())


def test_what_is_no_image_cannot_be_occluded():
    with pytest.raises(ValueError, match=r"Got \(2, 6, 9\)"):
        occlude(IMAGES[0], 2, generator=generator())
    with pytest.raises(ValueError, match=r"Expected an entry 'image'\. Got 'tokens'"):
        occlude({"tokens": IMAGES}, 2, generator=generator())
