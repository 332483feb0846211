"""The signed sum along edges in Triton for CUDA: its kernels behind two functions.

Float32, bfloat16 and float16, in any combination, summed in float32; float64 takes the reference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops import tiles
from graphcolumns.ops.edge_linear import reference


def forward(x: Tensor, weight: Tensor, views: Views) -> Tensor:
    """See :func:`~graphcolumns.ops.edge_linear.reference.forward`."""
    dtype = torch.promote_types(x.dtype, weight.dtype)
    if dtype not in tiles.DTYPES:
        ends = views.source, views.target
        return reference.forward(x.to(dtype), weight.to(dtype), *ends, len(views.rowptr) - 1)
    return _sum_rows(x, weight, views.rowptr, views.source, None, dtype)


def backward(grad: Tensor, x: Tensor, weight: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """See :func:`~graphcolumns.ops.edge_linear.reference.backward`; not differentiable."""
    if not {x.dtype, weight.dtype} <= set(tiles.DTYPES):
        wide, ends = torch.float64, (views.source, views.target)
        given = grad.to(wide), x.to(wide), weight.to(wide)
        grad_x, grad_weight = reference.backward(*given, *ends)
        return grad_x.to(x.dtype), grad_weight.to(weight.dtype)
    edges = (views.colptr, views.csc_target, views.csc_edge)
    grad_x = _sum_rows(grad, weight, *edges, x.dtype)
    return grad_x, _differentiate_weights(grad, x, weight, views)


def transposed(grad: Tensor, weight: Tensor, views: Views) -> Tensor:
    """The gradient of x alone: sums over out-edges, ``[M, B, H, D]``."""
    dtype = torch.promote_types(grad.dtype, weight.dtype)
    if dtype not in tiles.DTYPES:
        ends = views.target, views.source
        return reference.forward(grad.to(dtype), weight.to(dtype), *ends, len(views.colptr) - 1)
    return _sum_rows(grad, weight, views.colptr, views.csc_target, views.csc_edge, dtype)


def products(grad: Tensor, x: Tensor, views: Views) -> Tensor:
    """The gradient of the weights alone, ``[E, H]``."""
    if x.dtype not in tiles.DTYPES:
        return reference.products(grad, x, views.source, views.target)
    weight = x.new_empty(len(views.source), x.shape[2])
    return _differentiate_weights(grad, x, weight, views)


def _sum_rows(
    x: Tensor,
    weight: Tensor,
    pointers: Tensor,
    other: Tensor,
    edge: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """Rows of ``x`` at ``other``, times the weights of their edges, summed between ``pointers``."""
    from graphcolumns.ops.edge_linear.triton_kernels import sum_rows

    rows, (batch, heads, width) = len(pointers) - 1, x.shape[1:]
    out = x.new_empty((rows, batch, heads, width), dtype=dtype)
    numbers = batch * heads * width
    # As for attention with one head of all numbers; a tile is as wide as it may be.
    edges = tiles.tile(x.dtype, len(other) / max(rows, 1), numbers, 1, 1).edges
    wide = min(tiles.power_of_two(numbers), max(1, tiles.NUMBERS // edges))
    grid = tiles.launch_grid(rows, tiles.ceil_div(numbers, wide))
    if grid.programs == 0:
        return out
    with torch.cuda.device_of(x):
        sum_rows[(grid.programs,)](
            x.contiguous(),
            weight.contiguous(),
            out,
            pointers.contiguous(),
            other.contiguous(),
            other if edge is None else edge.contiguous(),
            rows,
            numbers,
            grid.patches,
            grid.patch,
            H=heads,
            D=width,
            VALUES=weight.shape[1],
            BY_SOURCE=edge is not None,
            EDGES=edges,
            NUMBERS=wide,
            num_warps=tiles.warps(edges * wide),
            enable_fp_fusion=True,  # the default of Triton depends on its version
        )
    return out


def _differentiate_weights(grad: Tensor, x: Tensor, weight: Tensor, views: Views) -> Tensor:
    """``dw_ij = sum_b dy_i . x_j`` on existing edges."""
    from graphcolumns.ops.edge_linear.triton_kernels import differentiate_weights

    edges, (batch, heads, width) = len(views.source), x.shape[1:]
    grad_weight = weight.new_empty(weight.shape)
    line = min(tiles.power_of_two(width), 64)
    most = min(tiles.power_of_two(heads), 64 // line)
    block = min(tiles.NUMBERS // (line * most), 128)
    blocks = tiles.ceil_div(edges, block)
    if blocks * heads == 0:
        return grad_weight
    with torch.cuda.device_of(x):
        differentiate_weights[(blocks * tiles.ceil_div(heads, most),)](
            x.contiguous(),
            grad.contiguous(),
            grad_weight,
            views.source.contiguous(),
            views.target.contiguous(),
            edges,
            batch,
            blocks,
            H=heads,
            D=width,
            EDGES=block,
            HEADS=most,
            WIDTH=line,
            num_warps=tiles.warps(block * line * most),
            enable_fp_fusion=True,
        )
    return grad_weight
