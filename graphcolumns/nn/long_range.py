"""Long edges that only excite: what is sent along them, or their weight, is 0 or above."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.column_attention import Attention, column_attention


def check_beyond(name: str, length: float | None) -> None:
    """Raise unless a length is 0 or above, or None."""
    if length is not None and not 0 <= length < float("inf"):
        raise ValueError(f"{name} must be 0 or above and finite, or None. Got {length}.")


def is_long(graph: ColumnGraph, length: float) -> Tensor:
    """Whether each edge is longer than a length.

    Args:
        graph: Measured edges.
        length: Length in the unit of the graph.

    Returns:
        ``[E]`` bool.

    Raises:
        ValueError: Distances were never measured, or a negative length.
    """
    check_beyond("length", length)
    if graph.distance is None:
        raise ValueError(
            "long edges need the length of every edge, and this graph was never measured. "
            "Expected graph.distance. Got None; call graph.remeasure(geometry)."
        )
    return graph.distance.detach() > length


def clamp_long_edges(weight: Tensor, graph: ColumnGraph, length: float) -> None:
    """Set negative weights of long edges to 0, in place.

    The projection for ``after_step`` of a module with weights per edge: weights, optimizer state
    and rewiring go on as without it.

    Args:
        weight: Weights of the edges, ``[E]`` or ``[E, ...]``.
        graph: Measured edges.
        length: Length above which an edge is long, in the unit of the graph.

    Raises:
        ValueError: Distances were never measured, a negative length, or another number of weights.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn import clamp_long_edges
        >>> edges, lengths = torch.tensor([[1, 2], [0, 0]]), torch.tensor([1.0, 5.0])
        >>> graph = ColumnGraph.from_edge_index(edges, 3, distance=lengths)
        >>> weight = torch.tensor([-1.0, -1.0])
        >>> clamp_long_edges(weight, graph, 2.0)
        >>> weight
        tensor([-1.,  0.])
    """
    if len(weight) != graph.num_edges:
        raise ValueError(
            f"weight must hold one entry per edge. Expected {graph.num_edges}. Got {len(weight)}."
        )
    clamp_marked(weight, is_long(graph, length))


@torch.no_grad()
def clamp_marked(weight: Tensor, marked: Tensor) -> None:
    """Set negative weights of the marked edges, ``[E]`` bool, to 0, in place."""
    edges = marked.to(weight.device).view(-1, *(1,) * (weight.ndim - 1))
    weight.masked_fill_(edges & (weight < 0), 0.0)


class SplitSources:
    r"""Attention in which columns send rectified values along their long edges.

    .. math::
        \mathrm{out}_i = \sum_{j:\, d_{ij} \le \ell} p_{ij} v_j
        + \sum_{j:\, d_{ij} > \ell} p_{ij} \max(v_j, 0)

    with one softmax over all in-edges. Every source is there twice, as it is and rectified, and
    long edges come from the rectified one.

    Args:
        length: Length :math:`\ell` above which an edge is long, in the unit of the graph.
    """

    def __init__(self, length: float) -> None:
        check_beyond("length", length)
        self.length = length
        self._split: tuple[ColumnGraph, ColumnGraph, Tensor] | None = None

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        graph: ColumnGraph,
        *,
        bias: Tensor | None = None,
        cost: Tensor | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> Attention:
        """Attention along measured edges; arguments as in ``column_attention``."""
        split, order = self._of(graph)
        return column_attention(
            q,
            torch.cat([k, k]),
            torch.cat([v, v.relu()]),
            split,
            bias=None if bias is None else bias.index_select(0, order),
            cost=None if cost is None else cost.index_select(0, order),
            scale=scale,
            dropout=dropout,
        )

    def _of(self, graph: ColumnGraph) -> tuple[ColumnGraph, Tensor]:
        """The graph from twice the sources, made once per graph, and the order of its edges."""
        if self._split is None or self._split[0] is not graph:
            source = graph.source.long() + graph.num_sources * is_long(graph, self.length)
            edges = torch.stack([source, graph.target.long()])
            split = ColumnGraph.from_edge_index(edges, graph.num_columns, 2 * graph.num_sources)
            self._split = graph, split, ColumnGraph.edge_order(edges)
        return self._split[1:]
