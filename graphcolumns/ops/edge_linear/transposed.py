"""The signed sum along out-edges: the transpose of the signed sum along in-edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.views import Views
from graphcolumns.ops.backend import choose_backend
from graphcolumns.ops.column_attention.checks import check_devices, check_floating, check_graph
from graphcolumns.ops.context import accumulator, as_given, batched, transformed
from graphcolumns.ops.edge_linear import cpp, dense, reference, triton
from graphcolumns.ops.edge_linear.checks import check_weights
from graphcolumns.ops.edge_linear.op import edge_linear_op
from graphcolumns.ops.segment import segment_sum

FUSED = {"cpp": cpp, "triton": triton}


def edge_linear_transposed(
    counter: Tensor, weight: Tensor, graph: ColumnGraph, *, backend: str = "auto"
) -> Tensor:
    r"""Sums the out-edges of every source with signed weights.

    .. math::
        \bar y_j = \sum_{i : j \in \mathcal{N}(i)} w_{ij} \odot \bar h_i

    The same as :func:`~graphcolumns.edge_linear` on the reversed graph, without a copy of the
    weights in its order: edges are read by source. It is what ``edge_linear`` computes backward, as
    a function of its own.

    Args:
        counter: Values of the columns, ``[N, B, C]``.
        weight: One number per edge, ``[E]``, or one per head, ``[E, H]``.
        graph: Edges from sources to columns.
        backend: Backend, as for :func:`~graphcolumns.edge_linear`.

    Returns:
        ``[M, B, C]``, in the dtype that both promote to.

    Raises:
        ValueError: Shapes or devices that do not fit the graph, or heads that do not divide ``C``.
        TypeError: ``graph`` is not a ColumnGraph, or values that are not floating.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.ops import edge_linear_transposed
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 1]]), 2)
        >>> counter = torch.tensor([[[5.0]], [[1.0]]])
        >>> edge_linear_transposed(counter, torch.tensor([2.0, -0.5]), graph).flatten().tolist()
        [2.0, -0.5]
    """
    check_graph(graph)
    if counter.dim() != 3 or counter.shape[0] != graph.num_columns:
        raise ValueError(
            f"counter must be [N, B, C] with N = {graph.num_columns} columns. Got "
            f"{list(counter.shape)}."
        )
    check_weights(weight, counter.shape[2], graph)
    heads = 1 if weight.dim() == 1 else weight.shape[1]
    check_floating(counter=counter, weight=weight)
    check_devices(graph, counter=counter, weight=weight)
    given = counter.unflatten(2, (heads, -1)), weight.reshape(-1, heads)
    width = counter.shape[1] * counter.shape[2] // heads
    backend = choose_backend(backend, graph, heads, width, counter.dtype)
    # Sources are not sorted, and segments of torch-scatter have to be.
    backend = "reference" if backend == "scatter" else backend
    if transformed():
        out = _plain(*given, graph.views)
    else:
        out = edge_linear_transposed_op(*given, *graph.views, backend)
    return out.flatten(2)


def _plain(counter: Tensor, weight: Tensor, views: Views) -> Tensor:
    """In the dtype that sums are taken in."""
    dtype = torch.promote_types(counter.dtype, weight.dtype)
    wide = accumulator(dtype)
    messages = weight.to(wide)[:, None, :, None] * counter.to(wide).index_select(0, views.target)
    return segment_sum(messages, views.source, len(views.colptr) - 1).to(dtype)


@torch.library.custom_op("graphcolumns::edge_linear_transposed", mutates_args=())
def edge_linear_transposed_op(
    counter: Tensor,
    weight: Tensor,
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    csc_target: Tensor,
    csc_edge: Tensor,
    backend: str,
) -> Tensor:
    """``counter [N, B, H, D]``, ``weight [E, H]`` -> ``[M, B, H, D]``."""
    views = Views(rowptr, source, target, colptr, csc_target, csc_edge)
    dtype = torch.promote_types(counter.dtype, weight.dtype)
    wide = accumulator(dtype)
    given = counter.to(wide), weight.to(wide)
    with as_given(counter):
        if backend in FUSED:
            return FUSED[backend].transposed(*given, views).to(dtype)
        if backend == "dense":
            return dense.transposed(*given, source, target, len(colptr) - 1).to(dtype)
        return _plain(*given, views).to(dtype)


@edge_linear_transposed_op.register_fake
def _fake(
    counter: Tensor,
    weight: Tensor,
    rowptr: Tensor,
    source: Tensor,
    target: Tensor,
    colptr: Tensor,
    *rest: Any,
) -> Tensor:
    dtype = torch.promote_types(counter.dtype, weight.dtype)
    return counter.new_empty((colptr.shape[0] - 1, *counter.shape[1:]), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    counter, weight, *views, ctx.backend = inputs
    ctx.save_for_backward(counter, weight, *views)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    # The gradients of the transpose are a forward pass, and the same products of both ends.
    counter, weight, *views = ctx.saved_tensors
    edges = Views(*views)
    backend = "reference" if batched(grad) else ctx.backend
    grad_counter = edge_linear_op(grad, weight, *views, backend)
    wide = accumulator(grad.dtype)
    ends = counter.to(wide), grad.to(wide)
    with as_given(grad):
        if backend in FUSED and not torch.is_grad_enabled():
            products = FUSED[backend].products(*ends, edges)
        else:
            products = reference.products(*ends, edges.source, edges.target)
    return grad_counter.to(counter.dtype), products.to(weight.dtype), *(None,) * 7


edge_linear_transposed_op.register_autograd(_backward, setup_context=_setup_context)
