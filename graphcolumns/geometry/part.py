"""Some of the columns of a geometry."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry


def part(geometry: Geometry, keep: Tensor) -> Geometry:
    """The geometry without some of its columns; the others keep their order and their places.

    A face stays if all its corners do. On metric ``"geodesic"`` paths that led through a removed
    column are gone, so distances may be longer than before.

    Args:
        geometry: ``N`` columns.
        keep: Which of them to keep, ``[N]`` bool.

    Returns:
        A geometry of ``keep.sum()`` columns.

    Raises:
        ValueError: ``keep`` has another length or keeps nothing.
        TypeError: ``keep`` is not bool.
    """
    check_keep(keep, geometry.num_columns)
    new_id = keep.cumsum(0) - 1
    faces, anchors = geometry.faces, geometry.anchors
    return replace(
        geometry,
        positions=geometry.positions[keep],
        faces=None if faces is None else new_id[faces[keep[faces].all(1)]],
        areas=None if geometry.areas is None else geometry.areas[keep],
        anchors=None if anchors is None else new_id[anchors[keep[anchors]]],
        attributes=None
        if geometry.attributes is None
        else {name: values[keep] for name, values in geometry.attributes.items()},
    )


def check_keep(keep: Tensor, num_columns: int) -> None:
    """Raise unless ``keep`` says of each column whether it stays, and some do."""
    if not torch.is_tensor(keep) or keep.dtype != torch.bool:
        got = getattr(keep, "dtype", type(keep).__name__)
        raise TypeError(f"keep must be a bool tensor, True for columns that stay. Got {got}.")
    if keep.shape != (num_columns,) or not keep.any():
        raise ValueError(
            f"keep must have one entry per column, shape ({num_columns},), and keep some. "
            f"Got shape {tuple(keep.shape)}, {int(keep.sum())} kept."
        )
