"""Random changes of the training inputs."""

from __future__ import annotations

from collections.abc import Mapping
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
    if not isinstance(inputs, Tensor):
        _check_has_image(inputs)
        numbers = degrees, translate, scale, shear
        image = affine(inputs[IMAGE], *numbers, generator=generator)
        return {**inputs, IMAGE: first_tensor(image)}
    _check_images(inputs)
    amounts = 2 * torch.rand(5, len(inputs), generator=generator) - 1
    angle, skew = amounts[0] * degrees * pi / 180, amounts[1] * shear * pi / 180
    zoom = 1 + scale * amounts[2]
    matrix = _matrix(angle, skew, zoom, aspect=inputs.shape[2] / inputs.shape[3])
    # The grid runs from -1 to 1: a whole side is 2.
    offset = 2 * translate * amounts[3:].t()
    theta = torch.cat([matrix, offset[:, :, None]], dim=2).to(inputs)
    grid = affine_grid(theta, list(inputs.shape), align_corners=False)
    return grid_sample(inputs, grid, mode="bilinear", align_corners=False)


def occlude(inputs: Inputs, size: int, share: float = 1.0, *, generator: torch.Generator) -> Inputs:
    """Set a square at a random place of some images to 0.

    The square lies inside the image, all places alike probable.

    Args:
        inputs: Images ``[n, channels, Y, X]``, or a mapping with an entry ``"image"``, of which
            the others stay as they are.
        size: Side of the square, in pixels; 0 leaves images as they are.
        share: Probability that an image is occluded.
        generator: Source of all places; a CPU generator, so that every device draws the same.

    Returns:
        The same with other images.

    Raises:
        ValueError: A square larger than the image, a share outside of ``[0, 1]``, or inputs that
            are not images.

    Source: DeVries and Taylor, Improved regularization of convolutional neural networks with
    Cutout, 2017, https://arxiv.org/abs/1708.04552, where squares may leave the image.
    """
    if not isinstance(inputs, Tensor):
        _check_has_image(inputs)
        image = occlude(inputs[IMAGE], size, share, generator=generator)
        return {**inputs, IMAGE: first_tensor(image)}
    _check_images(inputs)
    height, width = inputs.shape[2:]
    if not 0 <= size <= min(height, width) or not 0 <= share <= 1:
        raise ValueError(
            f"need 0 <= size <= {min(height, width)}, the smaller side of the image, and "
            f"0 <= share <= 1. Got {size} and {share}."
        )
    count, rows, columns = len(inputs), torch.arange(height), torch.arange(width)
    top = torch.randint(height - size + 1, (count, 1), generator=generator)
    left = torch.randint(width - size + 1, (count, 1), generator=generator)
    chosen = torch.rand(count, 1, generator=generator) < share
    down = chosen & (top <= rows) & (rows < top + size)
    right = (left <= columns) & (columns < left + size)
    hidden = down[:, None, :, None] & right[:, None, None, :]
    return inputs.masked_fill(hidden.to(inputs.device), 0.0)


def _check_has_image(inputs: Mapping[str, Tensor]) -> None:
    if IMAGE not in inputs:
        raise ValueError(
            "images can be changed at random, other inputs cannot. Expected an entry 'image'. Got "
            f"{', '.join(map(repr, inputs))}; pass augmentation=None (augmentation=null)."
        )


def _check_images(inputs: Tensor) -> None:
    if inputs.ndim != 4:
        raise ValueError(
            f"inputs must be images (n, channels, Y, X). Got {tuple(inputs.shape)}; pass "
            "augmentation=None (augmentation=null) for others."
        )


def _matrix(angle: Tensor, skew: Tensor, zoom: Tensor, aspect: float) -> Tensor:
    """``[n, 2, 2]`` in normalised coordinates (x first), ``aspect`` = rows over columns."""
    sine, cosine, slope = torch.sin(angle), torch.cos(angle), torch.tan(skew)
    first = torch.stack([cosine, (cosine * slope - sine) * aspect], dim=1)
    second = torch.stack([sine / aspect, sine * slope + cosine], dim=1)
    return torch.stack([first, second], dim=1) / zoom[:, None, None]
