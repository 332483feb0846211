"""Edges between the areas of a hierarchy: from the area below, the same and the area above."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from graphcolumns.connect import neighbours
from graphcolumns.connect.checks import check_degree
from graphcolumns.connect.measured_graph import edges_of_rows, measured_graph
from graphcolumns.connect.rank import Ids
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def layered(
    geometry: Geometry, feedforward: int, lateral: int, feedback: int, self_loops: bool = True
) -> ColumnGraph:
    """Each column of area ``a`` receives from its nearest in areas ``a - 1``, ``a`` and ``a + 1``.

    The first area has no feed-forward in-edges and the last no feedback. In stacked sheets the gap
    between two sheets is the same for all pairs, so "nearest" is nearest within the sheet.

    Args:
        geometry: The columns, with ``areas`` labelled from 0 without gaps.
        feedforward: In-edges from area ``a - 1``.
        lateral: In-edges from area ``a``.
        feedback: In-edges from area ``a + 1``.
        self_loops: The column itself is one of its lateral in-edges.

    Raises:
        ValueError: No areas, gaps between their labels, negative degrees or all 0, or a degree
            above the number of columns of an area.
    """
    if geometry.areas is None:
        raise ValueError("layered needs the area of each column. Got areas=None; set areas.")
    if min(feedforward, lateral, feedback) < 0 or feedforward + lateral + feedback == 0:
        raise ValueError(
            "feedforward, lateral and feedback must be 0 or above, one of them positive. "
            f"Got {feedforward}, {lateral}, {feedback}."
        )
    members = _members(geometry.areas)
    edges = [
        _between(geometry, members, area, area + step, degree, self_loops)
        for area in range(len(members))
        for step, degree in ((-1, feedforward), (0, lateral), (1, feedback))
        if degree and 0 <= area + step < len(members)
    ]
    none = torch.empty((2, 0), dtype=torch.int64)
    return measured_graph(torch.cat([none, *edges], dim=1), geometry)


def between_areas(geometry: Geometry) -> ColumnGraph:
    """Each column of area ``a`` receives from all columns of area ``a - 1``: dense layers.

    Args:
        geometry: The columns, with ``areas`` labelled from 0 without gaps.

    Raises:
        ValueError: No areas, or gaps between their labels.
    """
    if geometry.areas is None:
        raise ValueError("between_areas needs the area of each column. Got areas=None; set areas.")
    members = _members(geometry.areas)
    pairs = [
        np.stack([np.tile(below, len(above)), np.repeat(above, len(below))])
        for below, above in pairwise(members)
    ]
    edges = np.concatenate([np.empty((2, 0), dtype=np.int64), *pairs], axis=1)
    return measured_graph(torch.from_numpy(edges), geometry)


def _between(
    geometry: Geometry, members: list[Ids], to: int, origin: int, degree: int, self_loops: bool
) -> Tensor:
    """Edges ``[2, E]`` to columns of area ``to`` from their ``degree`` nearest in ``origin``."""
    targets, sources = members[to], members[origin]
    inside = to == origin
    own = inside and self_loops
    available = len(sources) - (1 if inside and not own else 0)
    check_degree(degree, 1, available, f"columns in area {origin}")
    ids = neighbours.nearest_sources(geometry, targets, sources, degree - own, own=not inside)
    if own:
        ids = np.concatenate([ids, targets[:, None]], axis=1)
    source, row = edges_of_rows(ids)
    return torch.stack([source, torch.from_numpy(targets)[row]])


def _members(areas: Tensor) -> list[Ids]:
    labels = areas.cpu().numpy()
    members = [np.flatnonzero(labels == area) for area in range(int(labels.max()) + 1)]
    empty = [area for area, ids in enumerate(members) if not len(ids)]
    if empty:
        raise ValueError(f"areas must be labelled from 0 without gaps. None in {empty}.")
    return members
