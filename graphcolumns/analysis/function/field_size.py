"""The size of receptive fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def receptive_field_areas(fields: Tensor) -> Tensor:
    r"""Area of the ellipse of two standard deviations of input-gradient energy.

    .. math::
        A = 4 \pi \sqrt{\det \Sigma}

    with the covariance :math:`\Sigma` of places on the image, each weighted by the square of the
    gradient there. A pixel is a square of side 1, which adds 1/12 to both variances, so that a
    field of one pixel has the area :math:`\pi / 3`. Where a field leaves the image, the part inside
    counts: fields at the border come out small.

    Args:
        fields: Mean absolute gradient by pixel, ``[K, Y, X]``, see
            ``graphcolumns.analysis.receptive_fields``.

    Returns:
        ``[K]`` float64, in pixels squared; NaN for a field of zeros.

    Raises:
        ValueError: Another shape, or values that are negative or not finite.
    """
    if fields.ndim != 3 or not fields.is_floating_point():
        raise ValueError(
            f"fields must be floating, [K, Y, X]. Got {fields.dtype} {list(fields.shape)}."
        )
    if not bool((fields >= 0).all() & fields.isfinite().all()):
        raise ValueError("fields must be finite and not negative. Got others; pass |gradient|.")
    largest = fields.double().flatten(1).amax(1).clamp(min=torch.finfo(torch.float64).tiny)
    energy = (fields.double() / largest[:, None, None]).square()
    total = energy.sum((1, 2))
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in fields.shape[1:])
    share = energy / total[:, None, None]
    by_row, by_column = share.sum(2), share.sum(1)
    down = rows - (by_row @ rows)[:, None]
    right = columns - (by_column @ columns)[:, None]
    vertical = (by_row * down.square()).sum(1) + 1 / 12
    horizontal = (by_column * right.square()).sum(1) + 1 / 12
    mixed = torch.einsum("kyx,ky,kx->k", share, down, right)
    return 4 * math.pi * (vertical * horizontal - mixed.square()).clamp(min=0).sqrt()
