"""Columns that find their own places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry


def positions(
    start: Geometry, anchors: Tensor | Sequence[int] | None = None, spacing: float | None = None
) -> Geometry:
    """A geometry whose positions a model may move; they are parameters of ``nn.LearnedPositions``.

    A wiring cost alone is least when all columns sit in one place. Anchors that stay, or a least
    distance between columns, keep them from it.

    Args:
        start: Initial positions of the columns, with any metric but ``"geodesic"``.
        anchors: Ids of columns that stay where they are, ``[A]`` (default: those of ``start``).
        spacing: Least distance between two columns, in the unit of ``start`` (default: none).

    Returns:
        ``start`` with ``learnable=True``.

    Raises:
        ValueError: An anchor that is no column, a spacing that is not positive and finite, or
            metric ``"geodesic"``.
    """
    ids = start.anchors
    if anchors is not None:
        ids = torch.as_tensor(anchors) if len(anchors) else torch.empty(0, dtype=torch.int64)
    return replace(start, learnable=True, anchors=ids, spacing=spacing)
