"""The signed sum along edges: signature, mathematics, checks, dispatch."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.backend import choose_backend
from graphcolumns.ops.column_attention.checks import check_devices, check_floating, check_graph
from graphcolumns.ops.context import accumulator, as_given, transformed
from graphcolumns.ops.edge_linear import reference
from graphcolumns.ops.edge_linear.checks import check_weights
from graphcolumns.ops.edge_linear.op import edge_linear_op
from graphcolumns.ops.edge_linear.scatter import edge_linear as _scatter

__all__ = ["edge_linear"]


def edge_linear(x: Tensor, weight: Tensor, graph: ColumnGraph, *, backend: str = "auto") -> Tensor:
    r"""Sums the in-edges of every column with signed weights.

    .. math::
        y_i = \sum_{j \in \mathcal{N}(i)} w_{ij} \odot x_j

    Linear mixing, lateral inhibition, prediction errors and sparse read-outs. The gradient of the
    weights exists on existing edges only. With one scalar weight per edge this is the product of a
    sparse matrix with ``x``; as there, a weight of 0 times NaN is NaN.

    Args:
        x: ``[M, B, C]``, one row per source.
        weight: ``[E]``, one per edge; ``[E, H]``, one per head of width ``C / H``; or ``[E, C]``,
            one per channel.
        graph: Edges from sources to columns.
        backend: ``"auto"``, ``"reference"``, ``"dense"``, ``"cpp"``, ``"triton"`` or
            ``"scatter"``; see :func:`~graphcolumns.ops.backend.choose_backend`. Function transforms
            (``torch.func``) and forward-mode differentiation always take plain torch.

    Returns:
        ``[N, B, C]`` in the dtype that x and weight promote to; half precisions are summed in
        float32.

    Raises:
        ValueError: Shapes or devices that do not fit the graph, or heads that do not divide ``C``.
        TypeError: ``graph`` is not a ColumnGraph, or values that are not floating.
        ImportError: ``backend="scatter"`` without torch-scatter, ``backend="triton"`` without
            triton, ``backend="cpp"`` without a compiler.

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
    per_head = x.reshape(*x.shape[:2], heads, x.shape[2] // heads)
    backend = choose_backend(
        backend, graph, heads, per_head.shape[1] * per_head.shape[3], per_head.dtype
    )
    if transformed():
        out = _transformed(per_head, weight, graph)
    elif backend == "scatter":
        with as_given(x):
            out = _scatter(per_head, weight, graph)
    else:
        out = edge_linear_op(per_head, weight, *graph.views, backend)
    return out.reshape(graph.num_columns, *x.shape[1:])


def _transformed(x: Tensor, weight: Tensor, graph: ColumnGraph) -> Tensor:
    dtype = torch.promote_types(x.dtype, weight.dtype)
    x, weight = x.to(accumulator(dtype)), weight.to(accumulator(dtype))
    with as_given(x):
        out = reference.forward(x, weight, graph.source, graph.target, graph.num_columns)
    return out.to(dtype)


def _check(x: Tensor, weight: Tensor, graph: ColumnGraph) -> None:
    check_graph(graph)
    if x.dim() != 3 or x.shape[0] != graph.num_sources:
        raise ValueError(
            f"x must be [M, B, C] with M = {graph.num_sources} sources, got {list(x.shape)}"
        )
    check_weights(weight, x.shape[2], graph)
    check_floating(x=x, weight=weight)
    check_devices(graph, x=x, weight=weight)
