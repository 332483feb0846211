"""Which coarse column each column of a finer sheet comes from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from graphcolumns.geometry import Geometry

TIE = 1e-5  # of the extent: lengths that differ by less are equal
TIED = 8  # columns at most that are as near: the corners around the centre of a cube


def nearest_columns(coarse: Geometry, fine: Geometry) -> Tensor:
    """The nearest coarse column of each fine column.

    Of several that are as near, the one that lies furthest down the first axis, then the second,
    and so on, so that ties are shared out evenly whatever the order of the columns: a grid with
    twice the columns per side on half the spacing gives each column four. On nested meshes (the
    levels of an icosphere or of fsaverage) a column that both have comes from itself.
    Cortices that know their registration sphere are compared there, hemisphere by hemisphere, and
    not through the folds; other meshes in a straight line.

    Args:
        coarse: ``N`` columns.
        fine: ``N'`` columns in the same space.

    Returns:
        ``origin [N']`` int64, ids of ``coarse``.

    Raises:
        ValueError: The spaces differ, or a coarse column is the nearest of no fine one: then the
            sheets do not cover the same place, or the finer one is not finer everywhere.
    """
    _check_same_kind(coarse, fine)
    known, wanted = _places(coarse, fine), _places(fine, coarse)
    box = None if coarse.period is None else np.array(coarse.period)
    count = min(TIED, coarse.num_columns)
    lengths, ids = cKDTree(known, boxsize=box).query(wanted, k=range(1, count + 1))
    close = TIE * float(np.ptp(known, axis=0).max())
    tied = lengths <= lengths[:, :1] + close
    way = known[np.where(tied, ids, 0)] - wanted[:, None]
    if box is not None:
        way -= box * np.round(way / box)
    for axis in range(way.shape[2]):
        along = np.where(tied, way[..., axis], np.inf)
        tied &= along <= along.min(1, keepdims=True) + close
    origin = torch.from_numpy(np.where(tied, ids, coarse.num_columns).min(1).astype(np.int64))
    childless = torch.bincount(origin, minlength=coarse.num_columns) == 0
    if childless.any():
        raise ValueError(
            "each coarse column must be the nearest of a fine one. Column "
            f"{int(childless.nonzero()[0])} is that of none ({int(childless.sum())} such columns); "
            "give the finer sheet the extent of the coarser one (a grid with twice the columns "
            "needs half the spacing), or name the origin of each column yourself."
        )
    return origin


def _check_same_kind(coarse: Geometry, fine: Geometry) -> None:
    """Both in one space; meshes may be two, since only places are compared."""
    if coarse.metric != "geodesic" or fine.metric != "geodesic":
        coarse.require_same_space(fine)
    elif (coarse.unit, coarse.positions.shape[1]) != (fine.unit, fine.positions.shape[1]):
        raise ValueError(f"both meshes must be in one space. Got {coarse} and {fine}.")


def _places(geometry: Geometry, other: Geometry) -> NDArray[np.float64]:
    """Points ``[N, 2 or more]`` whose straight distances say who is near."""
    both = [g.attributes or {} for g in (geometry, other)]
    if geometry.metric == "great-circle" or not all("sphere" in known for known in both):
        return geometry.positions.detach().cpu().double().numpy()
    sphere = both[0]["sphere"].cpu().double().numpy()
    if not all("hemisphere" in known for known in both):
        return sphere
    # A fourth axis keeps the hemispheres, which share the sphere, far apart.
    apart = both[0]["hemisphere"].cpu().double().numpy() * 10 * np.abs(sphere).max()
    return np.concatenate([sphere, apart[:, None]], axis=1)
