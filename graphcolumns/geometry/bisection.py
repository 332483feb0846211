"""Recursive coordinate bisection: an order of points whose ranges are compact boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.geometry.rounding import DOUBLE, ROUNDINGS, Rounding

ENDS = ("amin", "amax")


def bisection_order(positions: Tensor) -> Tensor:
    """Order in which halves, quarters, eighths, ... of the points are boxes of equal count.

    A box is cut across its longest side, so that either part gets half of its points; points with
    the same coordinate stay in the order of the box around.

    Args:
        positions: ``[N, 2]`` or ``[N, 3]``.

    Returns:
        Permutation ``[N]`` int64, as of ``torch.argsort``.

    Source: Berger and Bokhari, A partitioning strategy for nonuniform problems on multiprocessors,
    IEEE Transactions on Computers 36 (1987).
    """
    places, tie = _snapped(positions)
    order = torch.arange(len(places), device=places.device)
    sizes = torch.tensor([len(places)], device=places.device)
    while len(sizes) and int(sizes.max()) > 1:
        box = torch.repeat_interleave(torch.arange(len(sizes), device=places.device), sizes)
        along = _longest_side(places[order], box, len(sizes), tie)
        by_place = torch.argsort(along, stable=True)
        order = order[by_place[torch.argsort(box[by_place], stable=True)]]
        halves = torch.stack([sizes - sizes // 2, sizes // 2], 1).flatten()
        sizes = halves[halves > 0]
    return order


def _snapped(positions: Tensor) -> tuple[Tensor, float]:
    """Coordinates ``[N, axes]`` of which those that differ by rounding are equal, and how much."""
    places, rounding = positions.double(), Rounding.of(positions)
    known = rounding.precision * rounding.extent + DOUBLE * float(places.abs().max())
    tie = ROUNDINGS * known
    ascending, index = places.sort(0)
    # A step of more than the rounding begins a new coordinate, which is that of its first point.
    begins = torch.ones_like(ascending, dtype=torch.bool)
    begins[1:] = ascending.diff(dim=0) > tie
    first = torch.arange(len(places), device=places.device)[:, None].where(begins, 0).cummax(0)
    snapped = torch.empty_like(places).scatter_(0, index, ascending.gather(0, first.values))
    return snapped, tie


def _longest_side(places: Tensor, box: Tensor, boxes: int, tie: float) -> Tensor:
    """The coordinate of every point along the longest side of its box, the first of equal ones."""
    index = box[:, None].expand_as(places)
    empty = places.new_zeros((boxes, places.shape[1]))
    low, high = (empty.scatter_reduce(0, index, places, kind, include_self=False) for kind in ENDS)
    sides = high - low
    longest = (sides >= sides.amax(1, keepdim=True) - 2 * tie).int().argmax(1)
    return places.gather(1, longest[box][:, None])[:, 0]
