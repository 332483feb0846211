"""Products of what stands at the two ends of every edge: the gradient of one weight per edge."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.backend import choose_backend
from graphcolumns.ops.column_attention.checks import check_devices, check_floating, check_graph
from graphcolumns.ops.context import accumulator
from graphcolumns.ops.edge_linear import cpp, dense, reference, triton

PLAIN = {"reference": reference, "scatter": reference, "dense": dense}
FUSED = {"cpp": cpp, "triton": triton}


@torch.no_grad()
def edge_products(
    x: Tensor, counter: Tensor, graph: ColumnGraph, *, heads: int = 1, backend: str = "auto"
) -> Tensor:
    r"""Sums, for every edge, the products of a value at its target and one at its source.

    .. math::
        g_{ij} = \sum_{b, c} \bar h_{i b c} \, x_{j b c}

    with a sum over all channels, or one for every head.

    The local (Hebbian) form of the gradient of :func:`~graphcolumns.edge_linear` by its weights:
    equal to it if ``counter`` is the gradient of the output. Not differentiable.

    Args:
        x: Values of the sources, ``[M, B, C]``.
        counter: Values of the targets, ``[N, B, C]``.
        graph: Edges from sources to columns.
        heads: Number of products per edge, each over ``C / heads`` neighbouring channels.
        backend: Backend, as for :func:`~graphcolumns.edge_linear`.

    Returns:
        ``[E]``, or ``[E, heads]`` for several heads, in the dtype that both promote to.

    Raises:
        ValueError: Shapes or devices that do not fit the graph, or heads that do not divide ``C``.
        TypeError: ``graph`` is not a ColumnGraph, or values that are not floating.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.ops import edge_products
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 1]]), 2)
        >>> x = torch.tensor([[[2.0]], [[3.0]]])
        >>> edge_products(x, torch.tensor([[[1.0]], [[10.0]]]), graph).tolist()
        [20.0, 30.0]
    """
    check_graph(graph)
    fits = x.dim() == counter.dim() == 3 and x.shape[1:] == counter.shape[1:]
    if not fits or (counter.shape[0], x.shape[0]) != (graph.num_columns, graph.num_sources):
        raise ValueError(
            "x must be [M, B, C] and counter [N, B, C] with "
            f"M = {graph.num_sources} and N = {graph.num_columns}. Got {list(x.shape)} and "
            f"{list(counter.shape)}."
        )
    if heads < 1 or x.shape[2] % heads:
        raise ValueError(f"heads must divide the channels C = {x.shape[2]}. Got {heads}.")
    check_floating(x=x, counter=counter)
    check_devices(graph, x=x, counter=counter)
    dtype = torch.promote_types(x.dtype, counter.dtype)
    wide = accumulator(dtype)
    ends = (end.to(wide).unflatten(2, (heads, -1)) for end in (counter, x))
    backend = choose_backend(backend, graph, heads, x.shape[1] * x.shape[2] // heads, wide)
    if backend in FUSED:
        out = FUSED[backend].products(*ends, graph.views)
    else:
        out = PLAIN[backend].products(*ends, graph.source, graph.target)
    return (out[:, 0] if heads == 1 else out).to(dtype)
