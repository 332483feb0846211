"""How far lengths are known: what the rounding of positions leaves of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

# The difference of two lengths in three dimensions holds up to 2 sqrt(3) roundings of a coordinate.
ROUNDINGS = 4
# No two lengths that differ by more than this share of them are ever called equal.
MOST = 1e-3
DOUBLE = float(np.finfo(np.float64).eps)


class Rounding(NamedTuple):
    r"""The difference up to which two lengths are equal, for points that are stored in a dtype.

    .. math::
        \mathrm{tie} = 4 \left(\epsilon \min(S, |x| + d) + \epsilon_{64} |x|\right)
        \quad \text{and at most } 10^{-3} d

    with the precision :math:`\epsilon` of the dtype, the extent ``S`` of all points (their spread,
    not how far from the origin they are), the distance ``|x|`` of a point from the origin and the
    length ``d``. Positions are taken as they are stored: far from the origin float32 keeps few
    digits, and what it lost before is not made up for. float64 keeps the digits of coordinates
    that are large beside the spread, up to the last term.

    Args:
        precision: Precision of the dtype, the coarser if there are several.
        extent: Longest side of the box around all points.
    """

    precision: float
    extent: float

    @classmethod
    def of(cls, *positions: Tensor) -> Rounding:
        """That of points ``[N, 2 or 3]``, in one or several tensors."""
        corners = torch.cat(
            [torch.stack([x.amin(0), x.amax(0)]).detach().double().cpu() for x in positions]
        )
        extent = float((corners.amax(0) - corners.amin(0)).max())
        return cls(max(torch.finfo(x.dtype).eps for x in positions), extent)

    def tie(self, place: Floats | float, length: Floats | float) -> Floats:
        """The difference up to which lengths are equal.

        Args:
            place: Distance of a point from the origin, ``|x|``.
            length: A length from there, ``d``.
        """
        spread = np.minimum(self.extent, place + length)
        rounding = ROUNDINGS * (self.precision * spread + DOUBLE * place)
        return np.asarray(np.minimum(rounding, MOST * length))
