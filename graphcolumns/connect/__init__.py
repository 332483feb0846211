"""From a geometry to a graph: the edges of a sheet before anything is learned.

Every function returns a ``ColumnGraph`` with float32 distances measured by the geometry. With
``self_loops=True``, the default, the column itself is one of its in-edges and counts in its degree.
Nothing here makes an ``N x N`` matrix, except ``complete``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.connect import draws, neighbours, paths
from graphcolumns.connect.mesh_race import race_on_mesh
from graphcolumns.connect.race import exponential_race
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.rounding import Rounding
from graphcolumns.geometry.table import Column
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edge_file import read_edges

Ids = NDArray[np.int64]
SAME = 1e-6  # lengths in float32 that differ by no more than this share are equal
Kernel = Literal["exponential", "gaussian", "power"]


def nearest(geometry: Geometry, degree: int, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from its ``degree`` nearest columns; among equally near, the lowest ids.

    Args:
        geometry: The columns.
        degree: In-edges per column.
        self_loops: The column itself is one of them.

    Raises:
        ValueError: ``degree`` is below 1 or above the number of columns to choose from; on metric
            ``"geodesic"``, above the number of columns that a path joins to each column.
    """
    others = _others(geometry, degree, self_loops)
    columns = np.arange(geometry.num_columns)
    ids = neighbours.nearest_columns(geometry, columns, columns, others, own=False)
    return _from_rows(geometry, ids, self_loops)


def within_radius(geometry: Geometry, radius: float, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from all columns at most ``radius`` away, up to rounding.

    The number of in-edges differs between columns and may be 0 without self-loops.

    Args:
        geometry: The columns.
        radius: Largest distance, in the unit of the geometry.
        self_loops: Whether every column also receives from itself.

    Raises:
        ValueError: ``radius`` is not positive and finite.
    """
    _check_length("radius", radius, geometry)
    pairs = torch.from_numpy(neighbours.pairs_within(geometry, radius)).t()
    edge_index = torch.cat([pairs, pairs.flip(0)], dim=1)
    if self_loops:
        edge_index = torch.cat([edge_index, _self_edges(geometry)], dim=1)
    return _measured(edge_index, geometry)


def distance_decay(
    geometry: Geometry,
    degree: int,
    length: float,
    kernel: Kernel = "exponential",
    seed: int = 0,
    self_loops: bool = True,
) -> ColumnGraph:
    """Each column receives from ``degree`` columns drawn at random, near ones more often.

    Sources are drawn one after the other without replacement, each in proportion to the kernel of
    its distance ``d`` to the target: ``"exponential"`` ``exp(-d / length)``, ``"gaussian"``
    ``exp(-d^2 / (2 length^2))``, ``"power"`` ``(1 + d / length)^-2``. The draw is exact, see
    ``exponential_race``; the same seed gives the same graph at any number of threads. On metric
    ``"geodesic"`` what no path reaches is never drawn.

    Args:
        geometry: The columns.
        degree: In-edges per column.
        length: Scale of the kernel, in the unit of the geometry.
        kernel: ``"exponential"``, ``"gaussian"`` or ``"power"``.
        seed: Seed of the draw, 0 or above.
        self_loops: The column itself is one of them, always.

    Raises:
        ValueError: An impossible degree, a length that is not positive, an unknown kernel; on
            metric ``"geodesic"``, a degree above the number of columns that a path joins.

    Source: Ercsey-Ravasz et al., A predictive network model of cerebral cortical connectivity
    based on a distance rule, Neuron 80 (2013), for the exponential kernel.
    """
    others = _others(geometry, degree, self_loops)
    _check_length("length", length, geometry)
    race = race_on_mesh if geometry.metric == "geodesic" else exponential_race
    ids = race(geometry, others, draws.log_kernel(kernel, length), draws.generator(seed))
    return _from_rows(geometry, ids, self_loops)


def random(geometry: Geometry, degree: int, seed: int = 0, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from ``degree`` columns drawn uniformly without replacement.

    Args:
        geometry: The columns; it only measures.
        degree: In-edges per column.
        seed: Seed of the draw, 0 or above.
        self_loops: The column itself is one of them, always.

    Raises:
        ValueError: ``degree`` is below 1 or above the number of columns to choose from, or no path
            leads along the edge on metric ``"geodesic"``.
    """
    n, others = geometry.num_columns, _others(geometry, degree, self_loops)
    ids = draws.distinct(n, others, n - 1, draws.generator(seed))
    # Drawn among n - 1 places: those from the column's own place on stand for the next column.
    return _from_rows(geometry, ids + (ids >= np.arange(n)[:, None]), self_loops)


def complete(geometry: Geometry, self_loops: bool = True) -> ColumnGraph:
    """Every column receives from every column: ``N^2`` edges, the transformer.

    Args:
        geometry: The columns.
        self_loops: Whether every column also receives from itself.

    Raises:
        ValueError: On metric ``"geodesic"``, columns that no path joins.
    """
    ids = torch.arange(geometry.num_columns)
    edge_index = torch.cartesian_prod(ids, ids).t()
    if not self_loops:
        edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    return _measured(edge_index, geometry)


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
    return _measured(torch.cat([none, *edges], dim=1), geometry)


def bipartite(sources: Geometry, targets: Geometry, degree: int) -> ColumnGraph:
    """Each column of ``targets`` receives from its ``degree`` nearest columns of ``sources``.

    Args:
        sources: ``M`` columns.
        targets: ``N`` columns, in the same space.
        degree: In-edges per target.

    Raises:
        ValueError: ``degree`` is below 1 or above ``M``, or the spaces differ, or the metric is
            ``"geodesic"``, which knows one mesh only.
    """
    _check_degree(degree, 1, sources.num_columns, "sources")
    targets.require_same_space(sources)
    if targets.metric == "geodesic":
        raise ValueError(
            "bipartite joins two sets of columns, and metric 'geodesic' measures within one mesh. "
            "Use nearest for the columns of one mesh, or metric='euclidean'."
        )
    tree, queries = neighbours.tree(sources), neighbours.points(targets)
    rounding = Rounding.of(targets.positions, sources.positions)
    edge_index = _edges(neighbours.nearest_ids(tree, queries, degree, rounding))
    return _measured(edge_index, targets, sources)


def from_file(
    geometry: Geometry,
    path: str | os.PathLike[str],
    columns: Sequence[Column] | None = None,
    first: int = 0,
    length: Column | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> ColumnGraph:
    """Each column receives from the columns that a file lists: one edge per row.

    Ids are those of ``geometry``: a geometry that was reordered needs a file that was, too.

    Args:
        geometry: The columns.
        path: A table as text (``.csv``, ``.tsv``, ``.txt``), ``.npy`` ``[E, 2]`` or ``.npz``; ``~``
            is the home folder. See ``graphcolumns.graph.edge_file.read_edges``.
        columns: The columns of the file with sources and targets, in this order: names of its
            header, or positions from 0. Default: ``source`` and ``target``; in a file of two
            columns without a header, the first and the second.
        first: Id of the first column in the file: 0, or 1 where counting starts at 1.
        length: The column of the file with the length of each edge, in the unit of the geometry,
            such as the length of a fibre (default: the geometry measures).
        delimiter: Delimiter of a text file (default: found in its first row).
        header: Whether the first row of a text file holds names (default: found in it).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table of edges, an id is out of range, an edge comes twice, a length
            is negative, or no path leads along an edge on metric ``"geodesic"``.
    """
    n = geometry.num_columns
    edge_index, lengths = read_edges(path, n, n, columns, length, first, delimiter, header)
    if lengths is None:
        return _measured(edge_index, geometry)
    return ColumnGraph.from_edge_index(edge_index, n, distance=lengths).to(
        geometry.positions.device
    )


def union(*graphs: ColumnGraph) -> ColumnGraph:
    """All edges of several graphs with the same columns and sources, each once.

    Raises:
        ValueError: No graph, different numbers of columns or sources, some measured and others
            not, or a shared edge with two lengths.
    """
    if not graphs:
        raise ValueError("union needs at least one graph. Got none.")
    first = graphs[0]
    for graph in graphs[1:]:
        _check_alike(first, graph)
    edge_index = torch.cat([graph.edge_index for graph in graphs], dim=1)
    key = edge_index[1] * first.num_sources + edge_index[0]
    edges, place = torch.unique(key, return_inverse=True)
    unique = torch.stack([edges % first.num_sources, edges // first.num_sources])
    distance = None
    if first.distance is not None:
        lengths = torch.cat([graph.distance for graph in graphs if graph.distance is not None])
        distance = _merged(lengths, place, unique)
    return ColumnGraph.from_edge_index(unique, first.num_columns, first.num_sources, distance)


def _others(geometry: Geometry, degree: int, self_loops: bool) -> int:
    """Number of other columns that each column receives from."""
    available = geometry.num_columns - (0 if self_loops else 1)
    _check_degree(degree, 1, available, "columns" if self_loops else "other columns")
    return degree - 1 if self_loops else degree


def _from_rows(geometry: Geometry, ids: Ids, self_loops: bool) -> ColumnGraph:
    edge_index = _edges(ids)
    if self_loops:
        edge_index = torch.cat([edge_index, _self_edges(geometry)], dim=1)
    return _measured(edge_index, geometry)


def _edges(ids: Ids) -> Tensor:
    """Row ``i`` of ``ids`` holds the sources of target ``i``: ``[2, E]``."""
    source = torch.from_numpy(ids)
    target = torch.arange(len(source))[:, None].expand_as(source)
    return torch.stack([source.reshape(-1), target.reshape(-1)])


def _self_edges(geometry: Geometry) -> Tensor:
    return torch.arange(geometry.num_columns).expand(2, -1)


@torch.no_grad()
def _measured(
    edge_index: Tensor, geometry: Geometry, sources: Geometry | None = None
) -> ColumnGraph:
    if geometry.metric == "geodesic":
        paths.check_joined(geometry, edge_index)
    edge_index = edge_index.to(geometry.positions.device)
    distance = geometry.distance(edge_index[1], edge_index[0], sources)
    num_sources = (sources or geometry).num_columns
    return ColumnGraph.from_edge_index(edge_index, geometry.num_columns, num_sources, distance)


def _between(
    geometry: Geometry, members: list[Ids], to: int, origin: int, degree: int, self_loops: bool
) -> Tensor:
    """Edges ``[2, E]`` to columns of area ``to`` from their ``degree`` nearest in ``origin``."""
    targets, sources = members[to], members[origin]
    inside = to == origin
    own = inside and self_loops
    available = len(sources) - (1 if inside and not own else 0)
    _check_degree(degree, 1, available, f"columns in area {origin}")
    ids = neighbours.nearest_columns(geometry, targets, sources, degree - own, own=not inside)
    if own:
        ids = np.concatenate([ids, targets[:, None]], axis=1)
    source, row = _edges(ids)
    return torch.stack([source, torch.from_numpy(targets)[row]])


def _members(areas: Tensor) -> list[Ids]:
    labels = areas.cpu().numpy()
    members = [np.flatnonzero(labels == area) for area in range(int(labels.max()) + 1)]
    empty = [area for area, ids in enumerate(members) if not len(ids)]
    if empty:
        raise ValueError(f"areas must be labelled from 0 without gaps. None in {empty}.")
    return members


def _merged(lengths: Tensor, place: Tensor, unique: Tensor) -> Tensor:
    """The length of each unique edge, from those of all edges, which must agree."""
    num_edges = unique.shape[1]
    low, high = (
        lengths.new_empty(num_edges).scatter_reduce(0, place, lengths, how, include_self=False)
        for how in ("amin", "amax")
    )
    differ = high - low > SAME * high
    if differ.any():
        edge = int(differ.nonzero()[0])
        source, target = unique[:, edge].tolist()
        raise ValueError(
            f"graphs must agree on the length of shared edges. (source {source}, target {target}) "
            f"is {float(low[edge])} in one and {float(high[edge])} in another; call remeasure."
        )
    return low


def _check_alike(first: ColumnGraph, other: ColumnGraph) -> None:
    ends = (first.num_columns, first.num_sources)
    if (other.num_columns, other.num_sources) != ends:
        raise ValueError(f"graphs must have the same columns and sources. Got {first} and {other}.")
    if (first.distance is None) != (other.distance is None):
        raise ValueError(
            "all graphs or none must have distances. Got some of each; call remeasure."
        )


def _check_degree(degree: int, least: int, most: int, what: str) -> None:
    if not hasattr(degree, "__index__"):
        raise TypeError(f"degree must be a whole number. Got {degree!r}.")
    if not least <= degree <= most:
        raise ValueError(
            f"degree must be in [{least}, {most}], since there are {most} {what} to choose from. "
            f"Got {degree}."
        )


def _check_length(name: str, value: float, geometry: Geometry) -> None:
    if not 0 < value < math.inf:
        raise ValueError(
            f"{name} must be positive and finite, in the unit of the geometry "
            f"({geometry.unit}). Got {value}."
        )
