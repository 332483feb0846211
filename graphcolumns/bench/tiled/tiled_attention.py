"""Attention in tiles on tensor cores, for measurements: no backend, and never chosen by ``auto``.

Where it is faster than the rows of :mod:`triton` has not been measured yet.
"""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from graphcolumns.bench.tiled.windows import WINDOW, Windows
from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import tiles
from graphcolumns.ops.backend import check_triton
from graphcolumns.ops.column_attention import checks
from graphcolumns.ops.column_attention.closed import centred, raised
from graphcolumns.ops.column_attention.op import column_attention_backward_op
from graphcolumns.ops.column_attention.triton import backend as triton
from graphcolumns.ops.column_attention.triton import hubs
from graphcolumns.ops.column_attention.triton.call import Call, per_edge

SLOTS = 32  # sources of a window that are read at a time
WIDEST = 128  # numbers of a head: tiles of more do not fit every GPU


def tiled_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    windows: Windows,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Out and lse of :func:`~graphcolumns.ops.column_attention`, without cost and dropout.

    Forward, windows of 16 columns are matrix products with their sources; backward is that of the
    row kernels. A value that is not finite reaches all columns of its window.

    Args:
        q: ``[N, B, H, D]`` or ``[N, 1, H, D]``, float32, bfloat16 or float16.
        k: ``[M, B, H, D]``.
        v: ``[M, B, H, Dv]``; D and Dv are 128 at most.
        graph: Edges along which columns attend.
        windows: ``Windows.of(graph)``, made once.
        bias: ``[E]`` or ``[E, H]``.
        scale: Scaling factor of the dot products (default: ``D ** -0.5``).

    Raises:
        ValueError: Shapes or devices that do not fit the graph, or heads that are too wide.
        TypeError: Tensors that are not of one floating dtype, or of another than those above.
        ImportError: Without triton.
    """
    checks.check(q, k, v, graph, bias, None, scale, 0.0, None)
    check_triton(graph.device, "the graph is")
    if q.dtype not in tiles.DTYPES:
        raise TypeError(f"tiles take float32, bfloat16 and float16, got {q.dtype}")
    if (width := max(q.shape[3], v.shape[3])) > WIDEST:
        raise ValueError(f"tiles take heads of {WIDEST} numbers at most, got {width}")
    scale = 1.0 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    return _Tiled.apply(q, k, v, bias, graph, windows, scale)


class _Tiled(torch.autograd.Function):
    """Tiles forward, rows backward."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        graph: ColumnGraph,
        windows: Windows,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """Out ``[N, B, H, Dv]`` and lse ``[N, B, H]``."""
        shifted, level = centred(bias, graph.target, graph.num_columns)
        call = Call(q, k, v, shifted, None, scale, 0.0, None)
        out = v.new_empty((q.shape[0], *v.shape[1:]))
        highest, log_mass = (q.new_empty(out.shape[:3], dtype=torch.float32) for _ in range(2))
        _launch(call, windows, out, highest, log_mass)
        if len(windows.rows):
            part = call._replace(
                q=q.index_select(0, windows.rows),
                bias=None if shifted is None else shifted.index_select(0, windows.row_edge),
            )
            found = triton.attend_rows(part, windows.rowptr, windows.row_source, v.dtype)
            for whole, rest in zip((out, highest, log_mass), (found[0], *found[2:]), strict=True):
                whole.index_copy_(0, windows.rows, rest)
        ctx.save_for_backward(q, k, v, bias, out, highest, log_mass)
        ctx.graph, ctx.scale = graph, scale
        return out, raised(highest + log_mass, level)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_lse: Tensor) -> tuple[Tensor | None, ...]:
        """See :func:`~graphcolumns.ops.column_attention.triton.backend.backward`."""
        q, k, v, bias, out, highest, log_mass = ctx.saved_tensors
        none, backend = highest.new_empty(0), hubs.for_graph(ctx.graph)
        saved = (q, k, v, bias, None, out, none, highest, log_mass)
        rest = (*ctx.graph.views, ctx.scale, 0.0, None, backend)
        grads = column_attention_backward_op(grad_out, None, grad_lse, *saved, *rest)
        grad_q, grad_k, grad_v, grad_bias, _ = grads
        return grad_q, grad_k, grad_v, None if bias is None else grad_bias, None, None, None


def _launch(call: Call, windows: Windows, out: Tensor, highest: Tensor, log_mass: Tensor) -> None:
    from graphcolumns.bench.tiled.kernel import attend_tiles

    given = {"q": call.q, "k": call.k, "v": call.v, "bias": call.bias}
    tensors = {name: call.q if x is None else x.contiguous() for name, x in given.items()}
    tensors |= {name: getattr(windows, name) for name in ("window", "first", "source", "edge")}
    columns, batch, heads, value_width = out.shape
    widths = [max(16, tiles.power_of_two(width)) for width in (call.q.shape[3], value_width)]
    programs = len(windows.window) * heads * batch
    if programs > tiles.MOST_PROGRAMS:
        raise ValueError(f"CUDA starts {tiles.MOST_PROGRAMS} programs at most, needed: {programs}")
    if programs == 0:
        return
    with torch.cuda.device_of(call.q):
        attend_tiles[(programs,)](
            **tensors,
            receivers=windows.receivers,
            out=out,
            highest_out=highest,
            log_mass_out=log_mass,
            columns=columns,
            batch=batch,
            windows=len(windows.window),
            scale=call.scale,
            H=heads,
            D=call.q.shape[3],
            DV=value_width,
            SHARED_QUERY=call.shared_query,
            BIAS=per_edge(call.bias),
            ROWS=WINDOW,
            SLOTS=SLOTS,
            WIDTH=widths[0],
            VALUE_WIDTH=widths[1],
            # The interpreter would multiply the bits of bfloat16 as whole numbers.
            WIDE=os.environ.get("TRITON_INTERPRET") == "1",
            num_warps=tiles.warps(SLOTS * max(widths)),
            enable_fp_fusion=True,
        )
