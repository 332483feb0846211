"""Functional connectivity, and how it falls with distance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from graphcolumns.geometry import Geometry, geodesic_distance
from graphcolumns.graph import ColumnGraph


class ConnectivityProfile(NamedTuple):
    """Functional connectivity by distance.

    Args:
        edges: Edges of the bins, in the unit of the geometry, ``[K + 1]`` float64.
        pairs: Number of pairs in every bin, ``[K]`` int64.
        mean: Mean connectivity of every bin, ``[K]`` float64; NaN in a bin without pairs.
        correlation: Pearson's correlation of connectivity and distance over all pairs, those that
            are in no bin too.
    """

    edges: Tensor
    pairs: Tensor
    mean: Tensor
    correlation: float


def functional_connectivity(series: Tensor, pairs: Tensor, block: int = 2**16) -> Tensor:
    r"""Pearson's correlation over time of pairs of columns, ``[P]``.

    .. math::
        r_{ts} = \frac{\sum_\tau (x_{\tau t} - \bar x_t)(x_{\tau s} - \bar x_s)}
        {\sqrt{\sum_\tau (x_{\tau t} - \bar x_t)^2 \sum_\tau (x_{\tau s} - \bar x_s)^2}}

    Memory is ``O(T block)`` beside the series: there is no ``[N, N]``.

    Args:
        series: Time courses, ``[T, N]``.
        pairs: Ids of the two columns of every pair, ``[2, P]``, such as ``graph.edge_index``.
        block: Number of pairs that are computed at once.

    Raises:
        ValueError: Pairs of another shape, or a series that is constant.
    """
    if pairs.ndim != 2 or len(pairs) != 2:
        raise ValueError(f"pairs must be of shape (2, P). Got {tuple(pairs.shape)}.")
    unit = _normalised(series)
    parts = [(unit[:, a] * unit[:, b]).sum(0) for a, b in _split(pairs.long(), block)]
    return torch.cat(parts) if parts else unit.new_zeros(0)


def connectivity_profile(
    series: Tensor,
    geometry: Geometry,
    edges: Sequence[float] = tuple(range(0, 190, 10)),
    graph: ColumnGraph | None = None,
    block: int = 256,
    progress: bool = False,
) -> ConnectivityProfile:
    """Functional connectivity by distance, over all pairs of columns or the edges of a graph.

    Pairs that no path joins, such as those of two hemispheres on a geodesic metric, are left out.
    Memory is ``O(N block)`` beside the series.

    Args:
        series: Time courses, ``[T, N]``.
        geometry: Places of the ``N`` columns, which measure the distances.
        edges: Edges of the bins, ascending, in the unit of the geometry: a bin is
            ``[edges[k], edges[k + 1])``.
        graph: Graph of the pairs, without a column and itself (default: all pairs of different
            columns, each once).
        block: Number of columns whose pairs are computed at once.
        progress: Whether a progress bar is shown.

    Raises:
        ValueError: Series or a graph of another number of columns, edges that do not ascend, a
            series that is constant.
    """
    bounds = torch.tensor([float(edge) for edge in edges], dtype=torch.float64)
    if len(bounds) < 2 or not bool((bounds.diff() > 0).all()):
        raise ValueError(f"edges must be two or more ascending lengths. Got {list(edges)}.")
    if series.ndim != 2:
        raise ValueError(f"series must be of shape (T, N). Got {tuple(series.shape)}.")
    geometry.require_columns(series.shape[1])
    if graph is not None and (graph.num_columns, graph.num_sources) != (series.shape[1],) * 2:
        raise ValueError(
            f"graph must have {series.shape[1]} columns and sources, one per series. Got {graph}."
        )
    unit = _normalised(series)
    found = _all_pairs(unit, geometry, block) if graph is None else _edges(unit, geometry, graph)
    total = None if graph is not None else -(-geometry.num_columns // block)
    return _profile(tqdm(found, total=total, disable=not progress), bounds)


def _profile(found: Iterator[tuple[Tensor, Tensor]], bounds: Tensor) -> ConnectivityProfile:
    """Sums over blocks of (connectivity, distance)."""
    bins = len(bounds) - 1
    count, total = torch.zeros(bins, dtype=torch.long), torch.zeros(bins, dtype=torch.float64)
    moments = torch.zeros(6, dtype=torch.float64)
    for values, distance in found:
        near = distance.isfinite()
        c, d = values[near].double(), distance[near].double()
        moments += torch.stack(
            [torch.tensor(float(len(c))), c.sum(), d.sum(), c @ c, d @ d, c @ d]
        ).double()
        place = torch.bucketize(d, bounds, right=True) - 1
        inside = (place >= 0) & (place < bins)
        count += torch.bincount(place[inside], minlength=bins)
        total += torch.bincount(place[inside], weights=c[inside], minlength=bins)
    return ConnectivityProfile(bounds, count, total / count, _correlation(moments))


def _correlation(moments: Tensor) -> float:
    n, c, d, cc, dd, cd = moments.tolist()
    if n < 2:
        return float("nan")
    variances = (cc / n - (c / n) ** 2) * (dd / n - (d / n) ** 2)
    return (cd / n - c * d / n**2) / variances**0.5 if variances > 0 else float("nan")


def _all_pairs(unit: Tensor, geometry: Geometry, block: int) -> Iterator[tuple[Tensor, Tensor]]:
    ids = torch.arange(geometry.num_columns)
    for rows in ids.split(block):
        others = ids[int(rows[0]) :]
        later = others[None] > rows[:, None]
        values = unit[:, rows].T @ unit[:, others]
        if geometry.metric == "geodesic":
            # One search per row gives all pairs of it; distance() would search pair by pair.
            distance = geodesic_distance(geometry, rows)[:, others]
        else:
            distance = geometry.distance(rows[:, None], others[None])
        yield values[later], distance[later]


def _edges(
    unit: Tensor, geometry: Geometry, graph: ColumnGraph, block: int = 2**16
) -> Iterator[tuple[Tensor, Tensor]]:
    source, target = graph.edge_index
    between = torch.stack([source, target])[:, source != target]
    length = geometry.distance(between[1], between[0])
    for (a, b), distance in zip(_split(between, block), length.split(block), strict=True):
        yield (unit[:, a] * unit[:, b]).sum(0), distance


def _split(pairs: Tensor, block: int) -> Iterator[tuple[Tensor, Tensor]]:
    if pairs.shape[1]:
        yield from zip(pairs[0].split(block), pairs[1].split(block), strict=True)


def _normalised(series: Tensor) -> Tensor:
    """Time courses of mean 0 and norm 1."""
    varies = series.amax(0) > series.amin(0)
    if not bool(varies.all()):
        constant = (~varies).nonzero()[:, 0]
        raise ValueError(
            f"every series must vary over time. Got {len(constant)} that are constant or NaN, the "
            f"first of column {int(constant[0])}; leave out the medial wall."
        )
    centred = series - series.mean(0)
    return centred / torch.linalg.vector_norm(centred, dim=0)
