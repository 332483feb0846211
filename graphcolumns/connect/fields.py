"""Receptive fields of columns on an image."""

from __future__ import annotations

import torch

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.view import view
from graphcolumns.graph import ColumnGraph


def field_edges(
    geometry: Geometry, image_size: tuple[int, int], in_channels: int, field: int
) -> ColumnGraph:
    """Edges from the pixels of an image to the columns that see them.

    A column sees a square of pixels around the place where it looks, see
    :func:`~graphcolumns.geometry.view.view`, in all channels; at the border the square is moved
    inside the image.

    Args:
        geometry: Positions of the columns.
        image_size: Height and width of the image in pixels.
        in_channels: Channels of the image.
        field: Side of the square, in pixels.

    Returns:
        A bipartite graph from ``channels * Y * X`` pixels, in the order of ``image.flatten()``.

    Raises:
        ValueError: A field that is larger than the image, or below 1.
    """
    height, width = image_size
    if not 1 <= field <= min(height, width):
        raise ValueError(
            f"field must be a side in pixels, within the image. Expected 1 to "
            f"{min(height, width)}. Got {field}."
        )
    room = torch.tensor([height - field, width - field])
    centre = view(geometry) * torch.tensor([height - 1, width - 1]) - (field - 1) / 2
    corner = centre.round().long().clamp(min=0).minimum(room)
    along = torch.arange(field)
    rows, columns = (corner[:, axis, None] + along for axis in (0, 1))
    pixels = rows[:, :, None] * width + columns[:, None, :]
    channels = torch.arange(in_channels) * height * width
    seen = (channels[:, None, None] + pixels[:, None]).flatten(1)
    target = torch.arange(len(seen)).repeat_interleave(seen.shape[1])
    edge_index = torch.stack([seen.flatten(), target])
    return ColumnGraph.from_edge_index(edge_index, len(seen), in_channels * height * width)
