"""Shift consistency: answers by hand, borders, and what is refused."""

import re

import pytest
import torch
from torch import nn

from graphcolumns.analysis.invariance import shift_consistency
from graphcolumns.nn.protocols import ModelOutput


def bright_column(images):
    """Which column of pixels is brightest."""
    return images.sum((1, 2))


def point(x=1, side=5):
    image = torch.zeros(1, 1, side, side)
    image[0, 0, 2, x] = 1.0
    return image


def test_by_hand():
    """Shifts down keep the brightest column, shifts to the right move it."""
    found = shift_consistency(bright_column, point(), 1, border="circular")
    assert found.agreement.tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert found.consistency == pytest.approx(2 / 8)
    assert found.accuracy is None
    assert found.border == "circular"


def test_targets_are_scored_at_every_shift_in_its_direction():
    found = shift_consistency(
        bright_column, point(), 1, border="circular", targets=torch.tensor([2])
    )
    # One pixel to the right, whatever the rows.
    assert found.accuracy.tolist() == [[0, 0, 1]] * 3


def test_what_leaves_a_padded_image_is_lost():
    corner = torch.zeros(1, 1, 5, 5)
    corner[0, 0, 0, 0] = 1.0

    def top_or_nothing(images):
        seen = images.amax((1, 2, 3))
        return torch.stack([seen, 0.5 - 0 * seen], 1)

    circular = shift_consistency(top_or_nothing, corner, 1, border="circular")
    assert circular.consistency == 1.0
    padded = shift_consistency(top_or_nothing, corner, 1, border="padded")
    assert padded.agreement.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    filled = shift_consistency(top_or_nothing, corner, 1, border="padded", fill=2.0)
    assert filled.consistency == 1.0


def test_circular_convolution_and_mean_is_invariant():
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular").double()
    images = torch.randn(20, 1, 7, 7, dtype=torch.float64)

    def model(images):
        return ModelOutput(torch.relu(layer(images)).mean((2, 3)))

    assert shift_consistency(model, images, 3, border="circular").consistency == 1.0
    assert shift_consistency(model, images, 3, border="padded").consistency < 1.0


def test_batches_make_no_difference_and_dropout_is_off():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 5))
    images = torch.randn(11, 1, 6, 6)
    targets = torch.randint(5, (11,))
    options = {"border": "padded", "targets": targets}
    whole = shift_consistency(model, images, 2, **options)
    parts = shift_consistency(model, images, 2, batch_size=4, **options)
    assert torch.equal(whole.agreement, parts.agreement)
    assert torch.equal(whole.accuracy, parts.accuracy)
    assert whole.agreement[2, 2] == 1.0
    assert model.training
    share = (model.eval()(images).argmax(1) == targets).double().mean()
    assert whole.accuracy[2, 2] == share


IMAGES = torch.zeros(2, 1, 5, 5)
WRONG = [
    (
        lambda: shift_consistency(bright_column, IMAGES, 3, border="circular"),
        ValueError,
        "2 reach + 1 must be at most the side of an image, 5 pixels. Got reach=3; pass at most 2.",
    ),
    (
        lambda: shift_consistency(bright_column, IMAGES, 0, border="circular"),
        ValueError,
        "reach must be at least 1, got 0",
    ),
    (
        lambda: shift_consistency(bright_column, IMAGES, 1, border="reflected"),
        ValueError,
        "border must be one of 'circular', 'padded'. Got 'reflected'.",
    ),
    (
        lambda: shift_consistency(nn.Identity(), IMAGES, 1, border="circular"),
        ValueError,
        "scores must be [B, K] with B = 2. Got [2, 1, 5, 5].",
    ),
    (
        lambda: shift_consistency(lambda x: x.sum((1, 2)) / 0, IMAGES, 1, border="circular"),
        ValueError,
        "the output must be finite. Got 10 values of 10 that are not.",
    ),
    (
        lambda: shift_consistency(
            bright_column, IMAGES, 1, border="circular", targets=torch.zeros(3).long()
        ),
        ValueError,
        "targets must be int64 classes [n] = [2]. Got torch.int64 [3].",
    ),
    (
        lambda: shift_consistency(bright_column, IMAGES[0], 1, border="circular"),
        ValueError,
        "images must be [B, channels, Y, X], at least one of at least 2 x 2 pixels. Got [1, 5, 5].",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_input(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()
