"""Triangles between points of a sphere."""

from __future__ import annotations

import torch
from torch import Tensor


def outward_faces(points: Tensor) -> Tensor:
    """The triangles of the convex hull of points around the origin, none of them inside it.

    Args:
        points: ``[N, 3]``, no four neighbours in one plane, such as the points of an icosphere.

    Returns:
        Ids ``[2 N - 4, 3]`` int64. Seen from outside the corners run counter-clockwise, the lowest
        id first; triangles are in ascending order.
    """
    from scipy.spatial import ConvexHull

    corners = torch.from_numpy(ConvexHull(points.double().numpy()).simplices).long()
    a, b, c = points.double()[corners].unbind(1)
    inward = (torch.linalg.cross(a, b) * c).sum(1) < 0
    corners = torch.where(inward[:, None], corners.flip(1), corners)
    first = corners.argmin(1)
    corners = corners.gather(1, (first[:, None] + torch.arange(3)) % 3)
    return torch.unique(corners, dim=0)
