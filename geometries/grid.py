"""Sheets of columns, one or several on top of each other, and a ring of columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from graphcolumns.geometry import Geometry, Unit


def sheet(
    height: int, width: int, spacing: float = 1.0, unit: Unit = "pixel", torus: bool = False
) -> Geometry:
    """A grid of columns; column ``row * width + column`` is at ``(row, column) * spacing``.

    Args:
        height: Number of rows.
        width: Number of columns per row.
        spacing: Distance between neighbours, in ``unit``.
        unit: Unit of all lengths.
        torus: Join opposite borders, so that no column is at a border.

    Returns:
        ``height * width`` columns with positions ``[N, 2]``.

    Raises:
        ValueError: A size below 1, or a spacing that is not positive and finite.
    """
    _check_size("height", height)
    _check_size("width", width)
    _check_positive("spacing", spacing)
    rows, columns = torch.arange(height) * spacing, torch.arange(width) * spacing
    positions = torch.cartesian_prod(rows.float(), columns.float())
    if not torus:
        return Geometry(positions, unit=unit)
    period = (height * spacing, width * spacing)
    return Geometry(positions, metric="torus", unit=unit, period=period)


def ring(n: int, spacing: float = 1.0, unit: Unit = "pixel") -> Geometry:
    """``n`` columns on a circle; distances run along it, ``spacing`` from neighbour to neighbour.

    Column ``i`` is at the angle ``2 pi i / n``, so columns ``i`` and ``j`` are
    ``spacing * min(k, n - k)`` apart, ``k = |i - j|``. The circle is the equator of a sphere of
    radius ``n * spacing / (2 pi)``, whose great circles are the arcs of the ring: the metric is
    exact, and no other is needed.

    Args:
        n: Number of columns.
        spacing: Arc between neighbours, in ``unit``.
        unit: Unit of all lengths.

    Returns:
        ``n`` columns with positions ``[N, 3]``, the last axis 0.

    Raises:
        ValueError: ``n`` below 1, or a spacing that is not positive and finite.
    """
    _check_size("n", n)
    _check_positive("spacing", spacing)
    radius = n * spacing / (2 * math.pi)
    angle = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    circle = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], dim=1) * radius
    return Geometry(circle.float(), metric="great-circle", unit=unit, radius=radius)


def stack(widths: Sequence[int], offset: float = 2.0, unit: Unit = "pixel") -> Geometry:
    """Square sheets on top of each other, as in Columnformer: bottom sheet first.

    Sheet ``a`` of width ``w`` has its columns at ``(a * offset, p, p')`` with ``p, p'`` from
    ``linspace(-w/2, w/2, w)``. So every sheet is centred on 0, and its spacing is ``w / (w - 1)``,
    not 1. The formula has no centre for ``w = 1``: that one column is put at
    ``(a * offset, 0, 0)``.

    Args:
        widths: Columns along one side of each sheet.
        offset: Distance between sheets, in ``unit``.
        unit: Unit of all lengths.

    Returns:
        ``sum(w * w)`` columns with positions ``[N, 3]``; ``areas`` is the index of the sheet.

    Raises:
        ValueError: No sheet, a width below 1, or an offset that is not positive and finite.

    Source: github.com/clane9/columnformers.
    """
    if not isinstance(widths, Sequence) or len(widths) == 0:
        raise ValueError(f"widths must name at least one sheet, in a list. Got {widths!r}.")
    _check_positive("offset", offset)
    sheets, areas = [], []
    for area, width in enumerate(widths):
        _check_size("widths", width)
        side = torch.linspace(-width / 2, width / 2, width) if width > 1 else torch.zeros(1)
        sheets.append(torch.cartesian_prod(torch.tensor([area * offset]), side, side))
        areas.append(torch.full((width * width,), area))
    return Geometry(torch.cat(sheets), unit=unit, areas=torch.cat(areas))


def rows(sizes: Sequence[int], offset: float = 0.1, unit: Unit = "pixel") -> Geometry:
    """Rows of columns, one per layer of a network, each spread over the same width of 1.

    Row ``a`` of ``n`` columns has its columns at ``(a * offset, (i + 1/2) / n)``.

    Args:
        sizes: Columns of each row, the first row first.
        offset: Distance between rows, in ``unit``. With a small one the length of an edge between
            two rows is that along the rows.
        unit: Unit of all lengths.

    Returns:
        ``sum(sizes)`` columns with positions ``[N, 2]``; ``areas`` is the index of the row.

    Raises:
        ValueError: No row, a size below 1, or an offset that is not positive and finite.

    Source: Liu, Gan & Tegmark, Seeing is believing: Brain-inspired modular training for mechanistic
    interpretability, Entropy 26 (2024), https://doi.org/10.3390/e26010041.
    """
    if not isinstance(sizes, Sequence) or len(sizes) == 0:
        raise ValueError(f"sizes must name at least one row, in a list. Got {sizes!r}.")
    _check_positive("offset", offset)
    for size in sizes:
        _check_size("sizes", size)
    placed = [
        torch.cartesian_prod(torch.tensor([a * offset]), (torch.arange(n) + 0.5) / n)
        for a, n in enumerate(sizes)
    ]
    areas = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Geometry(torch.cat(placed), unit=unit, areas=areas)


def _check_size(name: str, size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"{name} must be a whole number of columns, 1 or more. Got {size!r}.")


def _check_positive(name: str, length: float) -> None:
    if not 0 < length < float("inf"):
        raise ValueError(f"{name} must be positive and finite. Got {length!r}.")
