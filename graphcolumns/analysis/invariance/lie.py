"""Lie derivatives: how far an output fails to follow an infinitesimal shift of the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.analysis.invariance.check_inputs import (
    check_finite_output,
    check_images,
    tensor_in,
    without_dropout,
)
from graphcolumns.analysis.invariance.translation import Stencil, fourier_shift, shift_derivative
from graphcolumns.geometry.checks import check_choice

Y, X = 2, 3


class LieError(NamedTuple):
    """Equivariance error of a function under shifts of its input.

    Attributes:
        absolute: Root mean square of the Lie derivative over axes, images and outputs, in units of
            the output per unit of shift.
        relative: ``absolute`` over the root mean square of the derivative of shifted outputs: 0 if
            the output moves with the image, 1 if it stays as it is, above 1 if it changes more than
            either. NaN where outputs have no place (``[B, K]``) or are the same at every place.
    """

    absolute: float
    relative: float


def lie_derivative(
    function: Callable[[Tensor], Any],
    images: Tensor,
    *,
    stencil: Stencil = "fourier",
    step: float | None = None,
    unit: float = 1.0,
) -> Tensor:
    r"""Derivative of an output that is shifted back, with respect to the shift of the image.

    .. math::
        \mathcal{L} f(x) = \frac{d}{dt} \left[ T_{-t} f(T_t x) \right]_{t = 0}
        = J_f(x)\, D x - D f(x)

    with the derivative :math:`D` of a shift, see :func:`shift_derivative`. An output ``[B, K]`` is
    not shifted back, since it has no place: the last term is left out. Where the output has other
    sides than the image, a shift of the whole image is one of the whole output.

    The exact derivative needs a function that can be differentiated twice. For others there is a
    central difference with the Fourier shift,
    :math:`[T_{-h} f(T_h x) - T_h f(T_{-h} x)] / 2h`.

    Dropout of a module is off; call ``eval()`` on a model inside a function of your own. Every
    output belongs to the image of its row only.

    Args:
        function: Function of images that returns ``[B, channels, Y', X']`` or ``[B, K]``, or an
            output with such a ``prediction``. The published measure is of probabilities: pass
            ``lambda x: model(x).softmax(1)``.
        images: Images ``[B, channels, Y, X]``, float32 or float64, the latter for the smallest
            errors. All of them are in memory at once, with what two backward passes keep.
        stencil: Derivative of a shift, ``"fourier"`` (circular) or ``"bilinear"`` (the published
            one, one-sided at 0).
        step: Half-width ``h`` of a central difference, in pixels (default: exact derivative).
        unit: Length of the unit of shift, in pixels; ``(n - 1) / 2`` for half an image of ``n``
            pixels.

    Returns:
        ``[2, B, ...]``: shifts along Y and along X, per unit of shift.

    Raises:
        ValueError: Images or outputs of another shape or not finite, a unit or a step that is not
            above 0, a step with the bilinear stencil, or no step for a function that cannot be
            differentiated twice.
        TypeError: Images that are not float32 or float64, an output that is not a tensor.

    Source: Gruver et al., The Lie derivative for measuring learned equivariance, ICLR 2023,
    https://arxiv.org/abs/2210.02984.
    """
    return _derivatives(function, images, stencil, step, unit)[0]


def lie_derivative_error(
    function: Callable[[Tensor], Any],
    images: Tensor,
    *,
    stencil: Stencil = "fourier",
    step: float | None = None,
    unit: float = 1.0,
) -> LieError:
    """Size of the Lie derivative, and its share of the derivative of shifted outputs.

    The relative error is the same in every unit of shift and in every unit of the output. With the
    Fourier stencil it is 0, up to rounding, for a circular convolution; zeros around the image and
    the aliasing of a pointwise nonlinearity make it larger. Parameters as of
    :func:`lie_derivative`.

    Args:
        function: Function of images that returns ``[B, channels, Y', X']`` or ``[B, K]``.
        images: Images ``[B, channels, Y, X]``, float32 or float64.
        stencil: Derivative of a shift, ``"fourier"`` or ``"bilinear"``.
        step: Half-width of a central difference, in pixels (default: exact derivative).
        unit: Length of the unit of shift, in pixels.

    Raises:
        ValueError: As :func:`lie_derivative`.
        TypeError: As :func:`lie_derivative`.
    """
    derivative, moved = _derivatives(function, images, stencil, step, unit)
    absolute = _root_mean_square(derivative)
    size = 0.0 if moved is None else _root_mean_square(moved)
    return LieError(absolute, absolute / size if size else float("nan"))


def _derivatives(
    function: Callable[[Tensor], Any],
    images: Tensor,
    stencil: Stencil,
    step: float | None,
    unit: float,
) -> tuple[Tensor, Tensor | None]:
    """The Lie derivatives, and the derivatives of the shifted output if it has places."""
    _check(images, stencil, step, unit)
    images = images.detach()
    with without_dropout(function):
        output = _output(function, images).detach()
        if step is None:
            found = [_exact(function, images, output, axis, stencil) for axis in (Y, X)]
        else:
            with torch.no_grad():
                found = [_central(function, images, axis, step) for axis in (Y, X)]
    moved = [_shifted(output, images, axis, stencil) for axis in (Y, X)]
    derivative = torch.stack(found) * unit
    check_finite_output(derivative)
    return derivative, torch.stack(moved) * unit if output.ndim == 4 else None


def _exact(
    function: Callable[[Tensor], Any], images: Tensor, output: Tensor, axis: int, stencil: Stencil
) -> Tensor:
    direction = shift_derivative(images, axis, stencil)
    try:
        # Two backward passes, which more functions have than a forward derivative.
        _, change = torch.autograd.functional.jvp(
            lambda x: _output(function, x), (images,), (direction,), strict=True
        )
    except RuntimeError as error:
        raise ValueError(
            "the exact derivative needs a function that autograd can differentiate twice. Got one "
            f"that it cannot ({error}); pass step=0.01 for a central difference."
        ) from error
    found: Tensor = change.detach()
    return found - _shifted(output, images, axis, stencil) if output.ndim == 4 else found


def _central(function: Callable[[Tensor], Any], images: Tensor, axis: int, step: float) -> Tensor:
    sides = []
    for shift in (step, -step):
        output = _output(function, fourier_shift(images, shift, axis))
        if output.ndim == 4:
            back = -shift * output.shape[axis] / images.shape[axis]
            output = fourier_shift(output, back, axis)
        sides.append(output)
    return (sides[0] - sides[1]) / (2 * step)


def _shifted(output: Tensor, images: Tensor, axis: int, stencil: Stencil) -> Tensor:
    """Derivative of the output with respect to a shift in pixels of the image."""
    if output.ndim != 4:
        return torch.zeros_like(output)
    scale = output.shape[axis] / images.shape[axis]
    return shift_derivative(output, axis, stencil) * scale


def _output(function: Callable[[Tensor], Any], images: Tensor) -> Tensor:
    output = tensor_in(function(images), "[B, channels, Y, X] or [B, K]")
    if output.ndim not in (2, 4) or len(output) != len(images):
        raise ValueError(
            f"the output must be [B, channels, Y, X] or [B, K] with B = {len(images)}. Got "
            f"{list(output.shape)}; columns come first in a state [N, B, C], so bring them into "
            "rows and columns of an image."
        )
    check_finite_output(output)
    return output


def _root_mean_square(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def _check(images: Tensor, stencil: Stencil, step: float | None, unit: float) -> None:
    check_images(images)
    check_choice("stencil", stencil, ("fourier", "bilinear"))
    for name, value in (("step", step), ("unit", unit)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a positive number of pixels. Got {value}.")
    if step is not None and stencil != "fourier":
        raise ValueError(
            f"a central difference shifts with the Fourier stencil. Got stencil={stencil!r} and "
            f"step={step}; leave step out."
        )
