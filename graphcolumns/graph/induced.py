"""The edges between some of the columns, renumbered: the graph of a sub-network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import edges
from graphcolumns.graph.column_graph import ColumnGraph, unchecked_graph
from graphcolumns.graph.views import BySource


class InducedSubgraph(NamedTuple):
    """Some columns of a graph, some of its sources, and all edges between them.

    Attributes:
        graph: Edges from kept sources to kept columns, both renumbered in their order. It has no
            lengths and no fingerprint.
        edge_ids: Edge of the whole graph that each edge is, ``[E']`` int64, ascending, or None:
            all edges are kept.
    """

    graph: ColumnGraph
    edge_ids: Tensor | None


def induced_subgraph(
    graph: ColumnGraph, columns: Tensor | None, sources: Tensor | None
) -> InducedSubgraph:
    """The edges whose two ends are kept.

    The order of edges is kept, and nothing is checked again. Time and memory grow with the in-edges
    of kept columns; other edges are not read.

    Args:
        graph: Edges from M sources to N columns.
        columns: Whether each column is kept, ``[N]`` bool (None: all).
        sources: Whether each source is kept, ``[M]`` bool (None: all).

    Raises:
        ValueError: A mask of another shape or dtype.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.graph import induced_subgraph
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1, 2], [0, 0, 2, 2]]), 3)
        >>> kept = torch.tensor([False, True, True])
        >>> part = induced_subgraph(graph, kept, kept)
        >>> part.graph.edge_index.tolist(), part.edge_ids.tolist()
        ([[0, 1], [1, 1]], [2, 3])
    """
    _check_mask("columns", columns, graph.num_columns)
    _check_mask("sources", sources, graph.num_sources)
    if columns is None and sources is None:
        return InducedSubgraph(graph, None)
    rows, edge_ids = _in_edges(graph, columns)
    if sources is None:
        source, count = graph.source.index_select(0, edge_ids), graph.num_sources
    else:
        rows, edge_ids, source, count = _from_sources(graph, sources, rows, edge_ids)
    return InducedSubgraph(_graph(graph, rows, source, count), edge_ids)


class _Rows(NamedTuple):
    """Row of every edge, ``[E']`` int32, and where each row begins."""

    target: Tensor
    pointers: Tensor


def _in_edges(graph: ColumnGraph, columns: Tensor | None) -> tuple[_Rows, Tensor]:
    """The rows of kept columns, and the ids of their edges."""
    if columns is None:
        ids = torch.arange(graph.num_edges, device=graph.device)
        return _Rows(graph.target, graph.rowptr), ids
    kept = columns.nonzero()[:, 0]
    counts = graph.in_degree.index_select(0, kept)
    pointers = _from_zero(counts.cumsum(0))
    total = int(pointers[-1])
    index = torch.arange(len(kept), dtype=torch.int32, device=graph.device)
    target = index.repeat_interleave(counts, output_size=total)
    # The in-edges of a column lie side by side, from its pointer on.
    shift = graph.rowptr.index_select(0, kept) - pointers[:-1]
    ids = torch.arange(total, device=graph.device).add_(shift.index_select(0, target))
    return _Rows(target, pointers), ids


def _from_sources(
    graph: ColumnGraph, sources: Tensor, rows: _Rows, ids: Tensor
) -> tuple[_Rows, Tensor, Tensor, int]:
    """Those of the edges that come from kept sources, which are renumbered."""
    source = graph.source.index_select(0, ids)
    keep = sources.index_select(0, source)
    place = keep.nonzero()[:, 0]
    pointers = _from_zero(keep.cumsum(0)).index_select(0, rows.pointers)
    number = sources.cumsum(0, dtype=torch.int32)
    source = number.index_select(0, source.index_select(0, place)).sub_(1)
    rows = _Rows(rows.target.index_select(0, place), pointers)
    return rows, ids.index_select(0, place), source, int(number[-1])


def _graph(whole: ColumnGraph, rows: _Rows, source: Tensor, count: int) -> ColumnGraph:
    """The graph of edges that are in order; what is kept by source is sorted, and little."""
    permutation = torch.argsort(source, stable=True)
    colptr = _from_zero(source.bincount(minlength=count).cumsum(0))
    by_source = BySource(colptr, rows.target.index_select(0, permutation), permutation)
    hubs = (_has_hubs(rows.pointers), _has_hubs(colptr))
    ends = (count, rows.target, by_source, hubs, "", whole.name)
    return unchecked_graph(rows.pointers, source, None, *ends)


def _from_zero(ends: Tensor) -> Tensor:
    return torch.nn.functional.pad(ends, (1, 0))


def _has_hubs(pointers: Tensor) -> bool:
    return len(pointers) > 1 and edges.has_hubs(pointers)


def _check_mask(name: str, mask: Tensor | None, count: int) -> None:
    if mask is not None and (mask.dtype != torch.bool or mask.shape != (count,)):
        raise ValueError(
            f"{name} must say for each of {count} whether it is kept, [{count}] bool. Got "
            f"{mask.dtype} {list(mask.shape)}."
        )
