"""Shifts of images by fractions of a pixel, and their derivative."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from graphcolumns.geometry.checks import check_choice

Stencil = Literal["fourier", "bilinear"]


def fourier_shift(images: Tensor, shift: float, dim: int = -1) -> Tensor:
    r"""Images shifted circularly by any number of pixels: pixel ``u`` shows what was at ``u + t``.

    Every frequency :math:`k` is multiplied by :math:`e^{2 \pi i k t / n}`, so a whole ``t`` is
    ``torch.roll(images, -t, dim)`` and a band-limited image is interpolated exactly. At the highest
    frequency of an even ``n`` a real image has no phase; there the factor is
    :math:`\cos(\pi t)`.

    Args:
        images: Images ``[..., n, ...]``, floating.
        shift: Shift ``t`` in pixels.
        dim: Dimension along which they are shifted.

    Returns:
        As ``images``.

    Raises:
        TypeError: Images that are not float32 or float64.
        ValueError: A dimension that is not there or has no pixels.
    """
    _check_pixels(images, dim)
    n = images.shape[dim]
    turn = 2 * math.pi * shift / n * _frequencies(images, dim)
    phase = torch.polar(torch.ones_like(turn), turn)
    if n % 2 == 0:
        phase[-1] = math.cos(math.pi * shift)
    return torch.fft.irfft(_times(torch.fft.rfft(images, dim=dim), phase, dim), n=n, dim=dim)


def shift_derivative(images: Tensor, dim: int = -1, stencil: Stencil = "fourier") -> Tensor:
    r"""Derivative of shifted images with respect to the shift, at 0, per pixel.

    - ``"fourier"``: of :func:`fourier_shift`, a factor :math:`2 \pi i k / n` for every frequency
      and 0 at the highest of an even ``n``. Circular;
    - ``"bilinear"``: what automatic differentiation returns for bilinear sampling at places
      ``((c + 1) / 2) (n - 1)`` with ``n`` equal steps ``c`` from -1 to 1. Interpolation has a kink
      at every pixel, so the derivative at 0 is one-sided: the difference to the right neighbour, or
      to the left where rounding places the sample below the pixel. In float32 that is 6 of 16
      pixels, 3 of 28 and 36 of 224. A neighbour outside of the image is its reflection.

    Args:
        images: Images ``[..., n, ...]``, floating.
        dim: Dimension along which they are shifted.
        stencil: ``"fourier"`` or ``"bilinear"``.

    Returns:
        As ``images``, per pixel.

    Raises:
        TypeError: Images that are not float32 or float64.
        ValueError: A dimension that is not there or has no pixels, or an unknown stencil.

    Source: Gruver et al., The Lie derivative for measuring learned equivariance, ICLR 2023,
    https://arxiv.org/abs/2210.02984, for the bilinear stencil.
    """
    check_choice("stencil", stencil, ("fourier", "bilinear"))
    _check_pixels(images, dim)
    n = images.shape[dim]
    if stencil == "bilinear":
        if n == 1:
            return torch.zeros_like(images)
        left = left_sided(n).to(images.device)
        x = images.movedim(dim, -1)
        steps = torch.diff(torch.cat([x[..., 1:2], x, x[..., -2:-1]], -1))
        return torch.where(left, steps[..., :-1], steps[..., 1:]).movedim(-1, dim)
    rate = 2 * math.pi / n * _frequencies(images, dim)
    if n % 2 == 0:
        rate[-1] = 0.0
    factor = torch.complex(torch.zeros_like(rate), rate)
    return torch.fft.irfft(_times(torch.fft.rfft(images, dim=dim), factor, dim), n=n, dim=dim)


def left_sided(n: int) -> Tensor:
    """Pixels at which the bilinear stencil takes the left neighbour in float32, ``[n]`` bool."""
    places = (torch.linspace(-1, 1, n) + 1) / 2 * (n - 1)
    return places.floor() < torch.arange(n)


def _frequencies(images: Tensor, dim: int) -> Tensor:
    """0, 1, ..., n // 2."""
    count = images.shape[dim] // 2 + 1
    return torch.arange(count, dtype=images.dtype, device=images.device)


def _times(spectrum: Tensor, factor: Tensor, dim: int) -> Tensor:
    return (spectrum.movedim(dim, -1) * factor).movedim(-1, dim)


def _check_pixels(images: Tensor, dim: int) -> None:
    if not torch.is_tensor(images) or images.dtype not in (torch.float32, torch.float64):
        got = images.dtype if torch.is_tensor(images) else type(images).__name__
        raise TypeError(
            f"images must be float32 or float64 to be shifted. Got {got}; call .float() on a "
            "tensor."
        )
    if not -images.ndim <= dim < images.ndim or images.shape[dim] < 1:
        raise ValueError(
            f"dim must be a dimension of the images with pixels. Got {dim} of {list(images.shape)}."
        )
