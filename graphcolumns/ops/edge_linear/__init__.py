"""The signed sum along edges: signature, mathematics, checks, dispatch."""

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.backend import choose
from graphcolumns.ops.edge_linear.dense import edge_linear as _dense
from graphcolumns.ops.edge_linear.op import edge_linear_op
from graphcolumns.ops.edge_linear.scatter import edge_linear as _scatter

__all__ = ["edge_linear"]


def edge_linear(x: Tensor, weight: Tensor, graph: ColumnGraph, *, backend: str = "auto") -> Tensor:
    r"""Sums the in-edges of every column with signed weights.

    .. math::
        y_i = \sum_{j \in \mathcal{N}(i)} w_{ij} \odot x_j

    Linear mixing, lateral inhibition, prediction errors and sparse read-outs. The gradient of the
    weights lives on existing edges only. With one scalar weight per edge this is the product of a
    sparse matrix with ``x``.

    Args:
        x: ``[M, B, C]``, one row per source.
        weight: ``[E]``, one per edge; ``[E, H]``, one per head of width ``C / H``; or ``[E, C]``,
            one per channel.
        graph: Who listens to whom.
        backend: ``"auto"``, ``"reference"``, ``"scatter"`` or ``"dense"``.

    Returns:
        ``[N, B, C]``.

    Raises:
        ValueError: Shapes that do not fit the graph, or heads that do not divide ``C``.
        TypeError: ``graph`` is not a ColumnGraph.
        ImportError: ``backend="scatter"`` without torch-scatter.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph, edge_linear
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 1]]), 2)
        >>> edge_linear(torch.ones(2, 1, 1), torch.tensor([2.0, -0.5]), graph).flatten().tolist()
        [0.0, 1.5]
    """
    _check(x, weight, graph)
    heads = 1 if weight.dim() == 1 else weight.shape[1]
    weight = weight.reshape(-1, heads)
    lanes = x.shape[1] * heads
    backend = choose(backend, graph, lanes)
    heads_last = x.reshape(*x.shape[:2], heads, -1)
    if backend == "dense":
        out = _dense(heads_last, weight, graph)
    elif backend == "scatter":
        out = _scatter(heads_last, weight, graph)
    else:
        views = (graph.rowptr, graph.source, graph.target, *graph.by_source)
        out = edge_linear_op(heads_last, weight, *views, backend)
    return out.reshape(-1, *x.shape[1:])


def _check(x: Tensor, weight: Tensor, graph: ColumnGraph) -> None:
    if not isinstance(graph, ColumnGraph):
        raise TypeError(
            f"graph must be a ColumnGraph, got {type(graph).__name__}: "
            "build one with ColumnGraph.from_edge_index(edge_index, num_columns)"
        )
    if x.dim() != 3 or x.shape[0] != graph.num_sources:
        raise ValueError(
            f"x must be [M, B, C] with M = {graph.num_sources} sources, got {list(x.shape)}"
        )
    if weight.dim() not in (1, 2) or weight.shape[0] != graph.num_edges:
        raise ValueError(
            f"weight must be [E], [E, H] or [E, C] with E = {graph.num_edges} edges, "
            f"got {list(weight.shape)}. After a change of topology carry it along with the edges"
        )
    if weight.dim() == 2 and (weight.shape[1] == 0 or x.shape[2] % weight.shape[1]):
        raise ValueError(
            f"the heads of weight [E, H] must divide the channels C = {x.shape[2]}, "
            f"got H = {weight.shape[1]}"
        )
