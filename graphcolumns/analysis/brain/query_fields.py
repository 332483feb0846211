"""Receptive fields of queries: centre and size of a map of weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class QueryFields(NamedTuple):
    """Centre and size of receptive fields.

    In tokens, places are those of ``[R, Y, X]`` maps: ``(0, 0)`` is the middle of the first token.
    In degrees of visual angle, the middle of the image is fixated: x runs right, y up. Without the
    width of the image the last four are NaN. A map without weight has NaN everywhere.

    Attributes:
        centre: Row and column of the centre in tokens, ``[R, 2]`` float64.
        deviation: Standard deviation along rows and columns in tokens, ``[R, 2]`` float64.
        size: Size in tokens, the root of the mean of both variances, ``[R]`` float64: the standard
            deviation of a round Gaussian.
        centre_degrees: Centre ``(x, y)`` in degrees, ``[R, 2]`` float64.
        size_degrees: Size in degrees, ``[R]`` float64.
        eccentricity: Distance of the centre from the middle of the image in degrees, ``[R]``
            float64.
        polar_angle: Angle of the centre in degrees in (-180, 180], counter-clockwise from the right
            horizontal meridian, ``[R]`` float64.
    """

    centre: Tensor
    deviation: Tensor
    size: Tensor
    centre_degrees: Tensor
    size_degrees: Tensor
    eccentricity: Tensor
    polar_angle: Tensor


def query_fields(
    maps: Tensor, width_degrees: float | None = None, floor: float | None = None
) -> QueryFields:
    r"""Centre of mass and standard deviation of maps of weights.

    .. math::
        \mu = \sum_m w_m m, \qquad \sigma_a^2 = \sum_m w_m (m_a - \mu_a)^2, \qquad
        \sigma = \sqrt{(\sigma_y^2 + \sigma_x^2) / 2}

    with :math:`w` the weights divided by their sum. A Gaussian within the image is recovered.
    Weight that lies evenly on all tokens draws the centre to the middle of the image and the size
    to that of the image, :math:`\sqrt{(Y^2 + X^2 - 2) / 24}`; ``floor`` takes it away first.

    Args:
        maps: Weights of places, ``[R, Y, X]``, 0 or above, such as ``attention_maps(...).mean()``.
        width_degrees: Width of the image in degrees of visual angle. Tokens are square.
        floor: Quantile of the weights of each map, in [0, 1), that is subtracted from them; what is
            then below 0 becomes 0. 0 subtracts the least weight, 0.5 the median. None subtracts
            nothing.

    Raises:
        ValueError: Maps of another shape, negative or infinite weights, a width that is not above
            0, or a floor out of range.
    """
    _check(maps, width_degrees, floor)
    weights = maps.detach().double().cpu()
    if floor is not None:
        least = weights.flatten(1).quantile(floor, dim=1)
        weights = (weights - least[:, None, None]).clamp(min=0)
    total = weights.sum((1, 2))
    shares = weights / torch.where(total > 0, total, torch.nan)[:, None, None]
    rows, columns = _moments(shares.sum(2)), _moments(shares.sum(1))
    centre = torch.stack([rows[0], columns[0]], 1)
    variance = torch.stack([rows[1], columns[1]], 1)
    size = variance.mean(1).sqrt()
    # Degrees per token; the angle of each, not that of a tangent plane.
    scale = math.nan if width_degrees is None else width_degrees / maps.shape[2]
    middle = centre.new_tensor([(maps.shape[1] - 1) / 2, (maps.shape[2] - 1) / 2])
    up, right = ((centre - middle) * centre.new_tensor([-scale, scale])).unbind(1)
    return QueryFields(
        centre,
        variance.sqrt(),
        size,
        torch.stack([right, up], 1),
        size * scale,
        torch.hypot(right, up),
        torch.rad2deg(torch.atan2(up, right)),
    )


def _moments(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the position along one axis, ``[R]`` each."""
    place = torch.arange(shares.shape[1], dtype=shares.dtype)
    mean = shares @ place
    return mean, (shares * (place - mean[:, None]).square()).sum(1)


def _check(maps: Tensor, width_degrees: float | None, floor: float | None) -> None:
    if maps.ndim != 3 or not maps.numel():
        raise ValueError(
            f"maps must be [R, Y, X], one per query. Got {list(maps.shape)}; take the mean over "
            "samples first, maps.mean(1)."
        )
    if not bool(((maps >= 0) & maps.isfinite()).all()):
        raise ValueError("maps must be weights, finite and 0 or above. Got other values.")
    if width_degrees is not None and not 0 < width_degrees < math.inf:
        raise ValueError(f"width_degrees must be above 0. Got {width_degrees}.")
    if floor is not None and not 0 <= floor < 1:
        raise ValueError(f"floor must be a quantile in [0, 1), or None. Got {floor}.")
