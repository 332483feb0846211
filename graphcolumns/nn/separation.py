"""Keeping columns apart: the nearest allowed places for points that came too close."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from graphcolumns.geometry import Geometry

Floats = NDArray[np.float64]

METRICS = ("euclidean", "torus", "great-circle")
# Pairs below this share of the spacing are pushed to the whole of it. The gap lets the rounds come
# to an end, and absorbs the rounding of float32 positions.
CLOSE = 0.995
ROUNDS = 2000
# Columns nearer than this share of the spacing are at one place: no direction leads apart.
TOGETHER = 1e-9
# Corrections that pull a point to several sides are averaged; this makes up for some of the loss.
OVERSHOOT = 1.3


def displacement(geometry: Geometry, spacing: float, free: Tensor) -> Tensor | None:
    r"""How far columns must move so that no two are nearer than a spacing.

    Position-based projection in rounds: every pair at :math:`d < s` pushes both ends (or the one
    that is free) apart by :math:`s - d`, and a column moves by the mean of its pushes. Pushes go
    along straight lines, the shortest way round a torus, and great circles. Columns at one place
    leave it in directions drawn once and for all, so the result depends on the positions only.
    Works in float64 on the CPU; time and memory grow with the pairs that are too near.

    Args:
        geometry: Positions of the columns.
        spacing: Least distance ``s``, in the unit of the geometry, kept to within 1 %.
        free: Mask of the columns that may move, ``[N]`` bool.

    Returns:
        ``[N, 2 or 3]`` float64, exactly 0 where a column stays, or None if all are far enough
        apart.

    Raises:
        ValueError: It cannot be done, because two fixed columns are too near or because there is
            no room for so many columns so far apart.

    Source: Mueller, Heidelberger, Hennix & Ratcliff, Position based dynamics, Journal of Visual
    Communication and Image Representation 18 (2007).
    """
    start = geometry.positions.detach().cpu().double().numpy()
    may_move = free.cpu().numpy()
    spare = np.random.default_rng(0).standard_normal(start.shape)
    points = start
    for rounds in range(ROUNDS):
        pairs = _close_pairs(points, geometry, CLOSE * spacing)
        if not len(pairs):
            return torch.from_numpy(points - start) if rounds else None
        _check_fixed(pairs, may_move, spacing)
        points = _pushed(points, pairs, geometry, spacing, may_move, spare)
    raise ValueError(
        f"positions must stay at least spacing = {spacing} {geometry.unit} apart, and "
        f"{len(pairs)} pairs of {len(start)} columns could not be moved that far in {ROUNDS} "
        "rounds: there is too little room for them. Choose a smaller spacing, a larger space or "
        "fewer anchors."
    )


def _close_pairs(points: Floats, geometry: Geometry, reach: float) -> NDArray[Any]:
    """Pairs ``[P, 2]`` of points nearer than ``reach``."""
    if geometry.radius is not None:  # an arc is compared by its chord
        reach = 2 * geometry.radius * np.sin(min(reach / geometry.radius, np.pi) / 2)
    box = None
    if geometry.period is not None:
        box = np.array(geometry.period)
        points = np.mod(points, box)
        points = np.where(points < box, points, 0.0)  # mod(-1e-17, 1) is 1
    tree = cKDTree(points, boxsize=box)
    return tree.query_pairs(np.nextafter(reach, 0), output_type="ndarray")


def _pushed(
    points: Floats,
    pairs: NDArray[Any],
    geometry: Geometry,
    spacing: float,
    may_move: NDArray[Any],
    spare: Floats,
) -> Floats:
    """The points after one round."""
    target, source = np.concatenate([pairs, pairs[:, ::-1]]).T
    target, source = target[may_move[target]], source[may_move[target]]
    away, length = _away(points, target, source, geometry, spacing, spare)
    share = np.where(may_move[source], 0.5, 1.0)
    wanted = away * (share * (spacing - length))[:, None]
    total = np.stack([np.bincount(target, axis, len(points)) for axis in wanted.T], axis=1)
    pushes = np.bincount(target, minlength=len(points))
    moved = points + OVERSHOOT * total / np.maximum(pushes, 1)[:, None]
    if geometry.radius is not None:
        moved *= geometry.radius / np.linalg.norm(moved, axis=1, keepdims=True)
    return np.where((pushes > 0)[:, None], moved, points)


def _away(
    points: Floats,
    target: NDArray[Any],
    source: NDArray[Any],
    geometry: Geometry,
    spacing: float,
    spare: Floats,
) -> tuple[Floats, Floats]:
    """Unit vectors at ``target`` that lead away from ``source``, and the distances between them."""
    here = points[target]
    delta = here - points[source]
    if geometry.period is not None:
        box = np.array(geometry.period)
        delta = delta - box * np.round(delta / box)
    length = np.linalg.norm(delta, axis=1)
    together = length < TOGETHER * spacing
    delta = np.where(together[:, None], spare[target] - spare[source], delta)
    if geometry.radius is not None:
        up = here / geometry.radius
        delta = delta - up * (delta * up).sum(1, keepdims=True)
        length = 2 * geometry.radius * np.arcsin(np.minimum(length / (2 * geometry.radius), 1))
    return delta / np.linalg.norm(delta, axis=1, keepdims=True), length


def _check_fixed(pairs: NDArray[Any], may_move: NDArray[Any], spacing: float) -> None:
    stuck = pairs[~may_move[pairs].any(axis=1)]
    if len(stuck):
        raise ValueError(
            f"anchors must be at least the spacing apart, {spacing}. Anchors {stuck[0].tolist()} "
            "are nearer; anchor one of them only, or choose a smaller spacing."
        )
