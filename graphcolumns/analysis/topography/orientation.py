"""Maps of preferred orientations on a sheet: size of clusters, and entropy in a window."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import ndimage

from graphcolumns.analysis.topography.inputs import Floats, Ids, as_numbers
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.checks import check_counts

Border = Literal["circular", "clipped"]


def cluster_size(preferred: Any, bins: int = 8, *, border: Border) -> Floats:
    """Smallest radius of a square around each unit in which every orientation is preferred.

    The square of radius r has ``2 r + 1`` units per side, with the unit in its middle. In the
    published code the square is in the middle of a sheet that was rolled to bring the unit to its
    corner: that map is moved by half a sheet, and only its mean is that of the definition. This
    function has the unit in the middle.

    Args:
        preferred: Bin of the preferred orientation of each unit, ``[Y, X]`` whole numbers from 0 to
            ``bins - 1``; -1 for units without one, which are counted in no bin.
        bins: Number of orientations.
        border: ``"circular"``: the square goes on at the other side, as published; ``"clipped"``:
            it ends at the border of the sheet.

    Returns:
        Radius in units, ``[Y, X]`` float64; NaN everywhere if an orientation is preferred by none.

    Raises:
        ValueError: A map of another shape, bins out of range, an unknown border.
        TypeError: Bins that are not real numbers.

    Source: Lu et al., End-to-end topographic networks as models of cortical map formation and human
    visual behaviour, Nature Human Behaviour 9 (2025),
    https://doi.org/10.1038/s41562-025-02220-7.
    """
    found = _checked(preferred, bins, border)
    if len(np.unique(found[found >= 0])) < bins:
        return np.full(found.shape, np.nan)
    rows, columns = found.shape
    tiled = np.tile(found, (3, 3)) if border == "circular" else found
    # The radius that reaches a bin is the distance of chess kings to its nearest unit.
    reach = np.max(
        [ndimage.distance_transform_cdt(tiled != b, metric="chessboard") for b in range(bins)], 0
    )
    if border == "circular":
        reach = reach[rows : 2 * rows, columns : 2 * columns]
    return reach.astype(np.float64)


def orientation_entropy(
    preferred: Any, bins: int = 8, radius: int = 4, *, border: Border
) -> Floats:
    r"""Entropy of preferred orientations in a square around each unit.

    .. math::
        -\sum_b p_b \ln p_b

    with :math:`p_b` the share of the units of the square that prefer orientation b. 0 if all prefer
    the same, at most ``ln(bins)``. The square has ``2 radius + 1`` units per side: the "window 8"
    of the published code is 9 x 9, the default here.

    Args:
        preferred: Bin of the preferred orientation of each unit, ``[Y, X]`` whole numbers from 0 to
            ``bins - 1``; -1 for units without one, which are not counted.
        bins: Number of orientations.
        radius: Radius of the square in units, 1 or above.
        border: ``"circular"``: the square goes on at the other side; ``"clipped"``: it ends at the
            border of the sheet, and has fewer units there.

    Returns:
        Entropy in nats, ``[Y, X]``; NaN where no unit of the square has a preference.

    Raises:
        ValueError: A map of another shape, bins out of range, an unknown border, a circular square
            that is larger than the sheet.

    Source: Lu et al., End-to-end topographic networks as models of cortical map formation and human
    visual behaviour, Nature Human Behaviour 9 (2025),
    https://doi.org/10.1038/s41562-025-02220-7.
    """
    found = _checked(preferred, bins, border)
    check_counts(radius=radius)
    side = 2 * radius + 1
    if border == "circular" and side > min(found.shape):
        raise ValueError(
            f"a circular square must fit into the sheet. Got side {side} on "
            f"{found.shape[0]} x {found.shape[1]} units; pass a smaller radius or "
            "border='clipped'."
        )
    mode = "wrap" if border == "circular" else "constant"
    ones = np.ones(side)
    counts = np.stack([(found == b).astype(np.float64) for b in range(bins)])
    for axis in (1, 2):
        counts = ndimage.correlate1d(counts, ones, axis=axis, mode=mode)
    # Sums of whole numbers, whose rounding would make a 0 negative.
    counts = np.rint(counts)
    total = counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = counts / total
        entropy = np.where(share > 0, -share * np.log(share), 0).sum(0)
    return np.where(total > 0, np.maximum(entropy, 0), np.nan)


def _checked(preferred: Any, bins: int, border: str) -> Ids:
    check_choice("border", border, ("circular", "clipped"))
    check_counts(bins=bins)
    found = as_numbers("preferred", preferred)
    if found.ndim != 2 or not found.size:
        raise ValueError(
            f"preferred must be a sheet [Y, X]. Got {list(found.shape)}; reshape columns [N] to "
            "the rows of their sheet."
        )
    whole = found == np.round(found)
    if not whole.all() or found.min() < -1 or found.max() >= bins:
        raise ValueError(
            f"preferred must hold whole numbers from -1 to {bins - 1}, the bin of each unit. Got "
            f"{found.min():.4g} to {found.max():.4g}; an angle a in degrees is in bin "
            "round(a / 180 * bins) % bins."
        )
    return found.astype(np.int64)
