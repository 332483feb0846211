"""Random changes of the training inputs."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from graphcolumns.data.spec import IMAGE
from graphcolumns.nn.batches import Inputs, first_tensor


def affine(
    inputs: Inputs,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    *,
    generator: torch.Generator,
) -> Inputs:
    """Turn, shift, scale and shear every image by its own random amounts (bilinear, zeros outside).

    The amounts are uniform: angle in ``[-degrees, degrees]``, shift along each axis in
    ``[-translate, translate]`` of the image side, zoom in ``[1 - scale, 1 + scale]``, shear angle
    in ``[-shear, shear]``. An output point ``p`` (from the image centre, in half sides) shows the
    input at ``A p + b`` with ``A = R(angle) S(shear) / zoom``; axes are scaled so that rotation
    keeps angles in pixels, on oblong images too.

    Args:
        inputs: Images ``[n, channels, Y, X]``, or a mapping with an entry ``"image"``, of which
            the others stay as they are.
        degrees: Largest rotation, in degrees.
        translate: Largest shift, as a fraction of the image side.
        scale: Largest relative change of size, below 1.
        shear: Largest shear angle, in degrees, below 90.
        generator: Source of all amounts; a CPU generator, so that every device draws the same.

    Returns:
        The same with other images.

    Raises:
        ValueError: A negative amount, ``scale >= 1``, ``shear >= 90``, or inputs that are not
            images.
    """
    if min(degrees, translate, scale, shear) < 0 or scale >= 1 or shear >= 90:
        raise ValueError(
            "need degrees >= 0, translate >= 0, 0 <= scale < 1 and 0 <= shear < 90. "
            f"Got {degrees}, {translate}, {scale} and {shear}."
        )
    if not isinstance(inputs, Tensor) and IMAGE not in inputs:
        raise ValueError(
            "images can be turned and shifted, other inputs cannot. Expected an entry 'image'. Got "
            f"{', '.join(map(repr, inputs))}; pass augmentation=None (augmentation=null)."
        )
    if not isinstance(inputs, Tensor):
        numbers = degrees, translate, scale, shear
        image = affine(inputs[IMAGE], *numbers, generator=generator)
        return {**inputs, IMAGE: first_tensor(image)}
    if inputs.ndim != 4:
        raise ValueError(
            f"inputs must be images (n, channels, Y, X). Got {tuple(inputs.shape)}; pass "
            "augmentation=None (augmentation=null) for others."
        )
    amounts = 2 * torch.rand(5, len(inputs), generator=generator) - 1
    angle, skew = amounts[0] * degrees * pi / 180, amounts[1] * shear * pi / 180
    zoom = 1 + scale * amounts[2]
    matrix = _matrix(angle, skew, zoom, aspect=inputs.shape[2] / inputs.shape[3])
    # The grid runs from -1 to 1: a whole side is 2.
    offset = 2 * translate * amounts[3:].t()
    theta = torch.cat([matrix, offset[:, :, None]], dim=2).to(inputs)
    grid = affine_grid(theta, list(inputs.shape), align_corners=False)
    return grid_sample(inputs, grid, mode="bilinear", align_corners=False)


def _matrix(angle: Tensor, skew: Tensor, zoom: Tensor, aspect: float) -> Tensor:
    """``[n, 2, 2]`` in normalised coordinates (x first), ``aspect`` = rows over columns."""
    sine, cosine, slope = torch.sin(angle), torch.cos(angle), torch.tan(skew)
    first = torch.stack([cosine, (cosine * slope - sine) * aspect], dim=1)
    second = torch.stack([sine / aspect, sine * slope + cosine], dim=1)
    return torch.stack([first, second], dim=1) / zoom[:, None, None]
