"""Lie derivatives: exactly 0 for circular convolution, and what makes them larger."""

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graphcolumns.analysis.invariance import (
    fourier_shift,
    lie_derivative,
    lie_derivative_error,
    shift_derivative,
)
from graphcolumns.analysis.invariance.translation import left_sided

SIDES = pytest.mark.parametrize("side", [15, 16])


def white(side=16, batch=4):
    draws = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, side, side, generator=draws, dtype=torch.float64)


def band_limited(side=16):
    """Frequencies up to a sixth of a cycle per pixel."""
    k = torch.fft.fftfreq(side).abs() <= 1 / 6
    return torch.fft.ifft2(torch.fft.fft2(white(side)) * (k[:, None] & k)).real


def convolution(padding_mode, bias=True):
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding_mode, bias=bias).double()


def relative(function, images, **options):
    return lie_derivative_error(function, images, **options).relative


@SIDES
def test_whole_shifts_are_rolls(side):
    x = white(side)
    for dim in (2, 3):
        for shift in (-2, 0, 1, 5):
            torch.testing.assert_close(fourier_shift(x, shift, dim), x.roll(-shift, dim))


@SIDES
def test_a_sine_is_shifted_and_differentiated_exactly(side):
    u = torch.arange(side, dtype=torch.float64)
    for k in (0, 1, 3, 7):
        rate = 2 * math.pi * k / side
        wave = torch.sin(rate * u + 0.4)
        torch.testing.assert_close(fourier_shift(wave, 0.3), torch.sin(rate * (u + 0.3) + 0.4))
        torch.testing.assert_close(shift_derivative(wave), rate * torch.cos(rate * u + 0.4))


def test_the_highest_frequency_of_an_even_side_has_no_phase():
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(fourier_shift(wave, 0.25), wave * math.cos(math.pi / 4))
    assert shift_derivative(wave).abs().max() < 1e-15


@pytest.mark.parametrize(("side", "count"), [(16, 6), (28, 3), (224, 36)])
def test_pixels_that_take_the_left_neighbour(side, count):
    assert int(left_sided(side).sum()) == count


@pytest.mark.parametrize("side", [7, 16, 28])
def test_the_bilinear_stencil_is_the_derivative_that_autograd_has(side):
    """Bilinear sampling in float32, written out, differentiated at 0."""
    x = white(side)[0, 0, 0].float()

    def sampled(shift):
        place = (torch.linspace(-1, 1, side) + 2 * shift / (side - 1) + 1) / 2 * (side - 1)
        low = place.detach().floor()
        reflected = [((side - 1) - ((side - 1) - p.abs()).abs()).long() for p in (low, low + 1)]
        return x[reflected[0]] * (low + 1 - place) + x[reflected[1]] * (place - low)

    expected = torch.autograd.functional.jvp(sampled, torch.zeros(1), torch.ones(1))[1]
    torch.testing.assert_close(shift_derivative(x, stencil="bilinear"), expected)


@SIDES
@pytest.mark.parametrize("images", [white, band_limited])
def test_circular_convolution_has_no_error(side, images):
    layer = convolution("circular")
    assert relative(layer, images(side)) < 1e-13
    assert relative(nn.Sequential(layer, nn.Conv2d(4, 2, 1).double()), images(side)) < 1e-13
    assert relative(layer, images(side), step=0.1) < 1e-10
    assert relative(layer.float(), images(side).float()) < 1e-5


@SIDES
def test_zeros_around_the_image_and_nonlinearities_have_one(side):
    zero, circular = convolution("zeros"), convolution("circular")
    rectified = nn.Sequential(circular, nn.ReLU())
    for images in (white(side), band_limited(side)):
        assert relative(zero, images) > 0.1
        assert relative(rectified, images) > 0.1
    # Aliasing: less of it where there is room below the highest frequency.
    assert relative(rectified, band_limited(side)) < 0.6 * relative(rectified, white(side))


def test_a_linear_pointwise_map_of_finite_band_does_not_alias():
    """A square doubles frequencies: exact below a quarter of a cycle per pixel, aliased above."""
    assert relative(torch.square, band_limited(24)) < 1e-13
    assert relative(torch.square, white(24)) > 0.1


def test_by_hand():
    """A fixed gain g over places: the derivative is -(Dg) x for any x."""
    u = torch.arange(8, dtype=torch.float64)
    wave, rate = torch.sin(2 * math.pi * u / 8), 2 * math.pi / 8
    gain = 2 + wave
    x = torch.cos(2 * math.pi * u / 8).expand(1, 1, 8, 8)
    found = lie_derivative(lambda x: gain * x, x)
    slope = rate * torch.cos(2 * math.pi * u / 8)
    assert found.shape == (2, 1, 1, 8, 8)
    torch.testing.assert_close(found[1], (-slope * x), atol=1e-14, rtol=0)
    assert found[0].abs().max() < 1e-14


def test_scores_are_not_shifted_back():
    x = white()
    weights = torch.linspace(-1, 1, 16, dtype=torch.float64)
    found = lie_derivative(lambda x: (x * weights).sum((2, 3)), x)
    torch.testing.assert_close(found[1], (shift_derivative(x) * weights).sum((2, 3)))
    error = lie_derivative_error(lambda x: (x * weights).sum((2, 3)), x)
    assert error.absolute > 0
    assert math.isnan(error.relative)
    assert lie_derivative_error(lambda x: convolution("circular")(x).mean((2, 3)), x)[0] < 1e-14


def test_outputs_with_fewer_pixels_move_by_the_same_share_of_the_image():
    """Every second pixel of an image without high frequencies is equivariant."""
    assert relative(lambda x: x[:, :, ::2, ::2], band_limited(24)) < 1e-13
    assert relative(lambda x: x[:, :, ::2, ::2], band_limited(24), step=0.5) < 1e-13
    assert relative(lambda x: x[:, :, ::2, ::2], white(24)) > 0.1


@pytest.mark.parametrize("stencil", ["fourier", "bilinear"])
def test_an_output_of_one_pixel_has_nowhere_to_move(stencil):
    x = white()
    pooled = lie_derivative(lambda x: F.adaptive_avg_pool2d(x.square(), 1), x, stencil=stencil)
    scores = lie_derivative(lambda x: x.square().mean((2, 3)), x, stencil=stencil)
    torch.testing.assert_close(pooled[..., 0, 0], scores)


def test_relative_errors_have_no_unit():
    layer, x = nn.Sequential(convolution("zeros"), nn.ReLU()), white()
    one = lie_derivative_error(layer, x)
    half_image = lie_derivative_error(layer, x, unit=7.5)
    assert half_image.absolute == pytest.approx(7.5 * one.absolute)
    assert half_image.relative == pytest.approx(one.relative)
    scaled = lie_derivative_error(lambda x: 100 * layer(x), x)
    assert scaled.absolute == pytest.approx(100 * one.absolute)
    assert scaled.relative == pytest.approx(one.relative)


def test_central_differences_converge_to_the_exact_derivative():
    layer = nn.Sequential(convolution("zeros"), nn.Tanh())
    x = band_limited()
    exact = lie_derivative(layer, x)
    gaps = [(lie_derivative(layer, x, step=h) - exact).abs().max() for h in (0.1, 0.01)]
    # Second order.
    assert gaps[1] < gaps[0] / 90


def test_the_published_stencil_sees_an_error_that_is_its_own():
    layer = convolution("circular")
    assert relative(layer, white(), stencil="bilinear") > 0.1
    assert relative(layer, band_limited(), stencil="bilinear") > 0.1


def test_dropout_is_off_and_modes_are_kept():
    layer = nn.Sequential(convolution("circular"), nn.Dropout(0.5)).train()
    assert relative(layer, white()) < 1e-13
    assert layer[1].training


WRONG = [
    (
        lambda: lie_derivative(F.relu, [1.0]),
        TypeError,
        "images must be a floating tensor. Got list; call .float() on a tensor.",
    ),
    (
        lambda: lie_derivative(F.relu, torch.ones(1, 1, 4, 4, dtype=torch.uint8)),
        TypeError,
        "images must be a floating tensor. Got torch.uint8; call .float() on a tensor.",
    ),
    (
        lambda: lie_derivative(F.relu, torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)),
        TypeError,
        "images must be float32 or float64 to be shifted. Got torch.bfloat16; call .float() on a "
        "tensor.",
    ),
    (
        lambda: fourier_shift([1.0], 0.5),
        TypeError,
        "images must be float32 or float64 to be shifted. Got list; call .float() on a tensor.",
    ),
    (
        lambda: shift_derivative(torch.ones(3), 1),
        ValueError,
        "dim must be a dimension of the images with pixels. Got 1 of [3].",
    ),
    (
        lambda: lie_derivative(F.relu, torch.ones(1, 4, 4)),
        ValueError,
        "images must be [B, channels, Y, X], at least one of at least 2 x 2 pixels. Got [1, 4, 4].",
    ),
    (
        lambda: lie_derivative(F.relu, torch.full((1, 1, 2, 2), torch.nan)),
        ValueError,
        "images must be finite. Got 4 values that are not; leave these images out.",
    ),
    (
        lambda: lie_derivative(lambda x: x.flatten(2), white()),
        ValueError,
        "the output must be [B, channels, Y, X] or [B, K] with B = 4. Got [4, 3, 256]; columns "
        "come first in a state [N, B, C], so bring them into rows and columns of an image.",
    ),
    (
        lambda: lie_derivative(lambda x: x.log(), white()),
        ValueError,
        None,
    ),
    (
        lambda: lie_derivative(F.relu, white(), stencil="cubic"),
        ValueError,
        "stencil must be one of 'fourier', 'bilinear'. Got 'cubic'.",
    ),
    (
        lambda: lie_derivative(F.relu, white(), step=0.0),
        ValueError,
        "step must be a positive number of pixels. Got 0.0.",
    ),
    (
        lambda: lie_derivative(F.relu, white(), unit=float("nan")),
        ValueError,
        "unit must be a positive number of pixels. Got nan.",
    ),
    (
        lambda: lie_derivative(F.relu, white(), step=0.1, stencil="bilinear"),
        ValueError,
        "a central difference shifts with the Fourier stencil. Got stencil='bilinear' and "
        "step=0.1; leave step out.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_input(call, kind, message):
    pattern = r"^the output must be finite\. Got \d+ values of 3072 that are not\.$"
    with pytest.raises(kind, match=pattern if message is None else f"^{re.escape(message)}$"):
        call()


def test_a_function_without_derivative_is_refused_and_has_a_central_difference():
    with pytest.raises(ValueError, match=r"^the exact derivative needs a function that autograd"):
        lie_derivative(lambda x: x.detach(), white())
    assert relative(lambda x: x.detach(), white(), step=0.01) < 1e-10
