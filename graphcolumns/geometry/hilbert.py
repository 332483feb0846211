"""The Hilbert curve: an order of points in which neighbours are near each other."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry.rounding import DOUBLE, ROUNDINGS, Rounding

# Two axes of 31 bits and three of 20 both fit the 63 bits of a key, far below column spacing.
BITS = {2: 31, 3: 20}


def hilbert_key(positions: Tensor, bits: int | None = None) -> Tensor:
    """Place of each point on the Hilbert curve through the bounding square or cube.

    Args:
        positions: ``[N, 2]`` or ``[N, 3]``.
        bits: The curve visits ``2**bits`` cells per axis (default: as many as 63 bits hold).

    Returns:
        Keys ``[N]`` int64, in ``[0, 2**(bits * axes))``.

    Source: Skilling, Programming the Hilbert curve, AIP Conf. Proc. 707 (2004).
    """
    bits = BITS[positions.shape[1]] if bits is None else bits
    places = positions.double()
    low, rounding = places - places.amin(0), Rounding.of(positions)
    known = rounding.precision * rounding.extent + DOUBLE * float(places.abs().max())
    # One scale for all axes: a stretched box would stretch the neighbourhoods.
    side = 2**bits / (rounding.extent or 1.0)
    # Grids have points on the borders of cells: rounding must not scatter them over both sides.
    cells = ((low + ROUNDINGS * known) * side).long().clamp_max(2**bits - 1)
    key = torch.zeros_like(cells[:, 0])
    axes = _transform(list(cells.unbind(1)), bits)
    for bit in reversed(range(bits)):
        for axis in axes:
            key = (key << 1) | ((axis >> bit) & 1)
    return key


def _transform(axes: list[Tensor], bits: int) -> list[Tensor]:
    """Coordinates of cells to their Hilbert index, its bits dealt out over the axes."""
    axes = _undo_rotations(axes, bits)
    for i in range(1, len(axes)):
        axes[i] = axes[i] ^ axes[i - 1]
    # What is left is a Gray code; the last axis tells which low bits are inverted.
    flip = torch.zeros_like(axes[0])
    for bit in reversed(range(1, bits)):
        flip = torch.where(_has(axes[-1], bit), flip ^ ((1 << bit) - 1), flip)
    return [axis ^ flip for axis in axes]


def _undo_rotations(axes: list[Tensor], bits: int) -> list[Tensor]:
    """Turn every sub-cube back to the orientation of the whole, from coarse to fine."""
    for bit in reversed(range(1, bits)):
        low = (1 << bit) - 1
        for i in range(len(axes)):
            inverted = _has(axes[i], bit)
            exchange = torch.where(inverted, 0, (axes[0] ^ axes[i]) & low)
            axes[0] = torch.where(inverted, axes[0] ^ low, axes[0] ^ exchange)
            axes[i] = axes[i] ^ exchange
    return axes


def _has(axis: Tensor, bit: int) -> Tensor:
    return ((axis >> bit) & 1).bool()
