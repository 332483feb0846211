"""Attention along edges in Triton for CUDA: its kernels behind two functions.

Memory is O((N + M) B H D + E). Every row has one writer: the same bits in every run. Float32,
bfloat16 and float16; other types take the reference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.ops import tiles
from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.triton_call import Call
from graphcolumns.ops.views import Views


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    views: Views,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See :func:`~graphcolumns.ops.column_attention.reference.forward`."""
    if q.dtype not in tiles.DTYPES:
        ends = views.source, views.target
        return reference.forward(q, k, v, bias, cost, *ends, scale, dropout, seed)
    from graphcolumns.ops.column_attention.triton_forward import attend

    shape = (q.shape[0], *v.shape[1:3])
    out = v.new_empty((*shape, v.shape[3]))
    total = q.new_empty(0 if cost is None else shape, dtype=torch.float32)
    lse = q.new_empty(shape, dtype=torch.float32)
    call = Call(q, k, v, bias, cost, scale, dropout, seed)
    columns = q.shape[0]
    tile = call.tile(columns, views.source.shape[0])
    tensors = {
        "rowptr": views.rowptr,
        "source": views.source,
        "out": out,
        "total": total,
        "lse": lse,
    }
    call.launch(attend, tile, columns, call.parts(tile), tensors, columns=columns)
    return out, total, lse


def backward(
    grad_out: Tensor,
    grad_total: Tensor,
    grad_lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    out: Tensor,
    total: Tensor,
    lse: Tensor,
    views: Views,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """See :func:`~graphcolumns.ops.column_attention.reference.backward`; not differentiable."""
    if q.dtype not in tiles.DTYPES:
        saved = (grad_out, grad_total, grad_lse, q, k, v, bias, cost, out, total, lse)
        ends = views.source, views.target
        return reference.backward(*saved, *ends, scale, dropout, seed)
    call = Call(q, k, v, bias, cost, scale, dropout, seed)
    arrived = {"lse": lse, "grad_out": grad_out, "grad_total": grad_total}
    known = {"out": out, "total": total, "grad_lse": grad_lse, **arrived}
    delta = torch.empty_like(lse, memory_format=torch.contiguous_format)
    grad_q, grad_bias, grad_cost = _over_columns(call, views, delta=delta, **known)
    grad_k, grad_v = _over_sources(call, views, delta=delta, **arrived)
    return grad_q, grad_k, grad_v, grad_bias, grad_cost


def _over_columns(
    call: Call, views: Views, **given: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of q, bias and cost; writes delta.

    The last two gradients are sums over the batch. A program that does all parts of the lanes of
    its columns owns their edges, and adds up by itself. Where columns are too few to fill a GPU
    that way, the parts are divided into groups with sums of their own, which are added at the end:
    at most PROGRAMS times the mean degree of them, whatever the batch.
    """
    from graphcolumns.ops.column_attention.triton_columns import differentiate_columns

    q, columns, edges = call.q, call.q.shape[0], views.source.shape[0]
    tile = call.tile(columns, edges)
    parts = call.parts(tile)
    parts_each, groups = _groups(call, columns, parts)
    # Queries without a batch: one gradient for many inputs, added before it is rounded.
    wide = torch.float32 if call.shared_query else q.dtype
    grad_q = q.new_empty((columns, *call.k.shape[1:]), dtype=wide)
    sums = {
        f"grad_{name}": q.new_zeros((groups, *(() if x is None else x.shape)), dtype=torch.float32)
        for name, x in (("bias", call.bias), ("cost", call.cost))
    }
    tensors = {"rowptr": views.rowptr, "source": views.source, "grad_q": grad_q, **given, **sums}
    numbers = {"columns": columns, "edges": edges, "parts": parts, "parts_each": parts_each}
    call.launch(differentiate_columns, tile, columns, groups, tensors, **numbers)
    if call.shared_query:
        grad_q = grad_q.sum(1, keepdim=True).to(q.dtype)
    return grad_q, _total(sums["grad_bias"], call.bias), _total(sums["grad_cost"], call.cost)


def _groups(call: Call, columns: int, parts: int) -> tuple[int, int]:
    """Parts of the lanes that one program does, and how many programs that makes per column."""
    if parts == 0:
        return 1, 0
    most = parts
    if call.bias is not None or call.cost is not None:
        most = min(parts, tiles.ceil_div(tiles.PROGRAMS, columns))
    parts_each = tiles.ceil_div(parts, most)
    return parts_each, tiles.ceil_div(parts, parts_each)


def _total(sums: Tensor, like: Tensor | None) -> Tensor | None:
    return None if like is None else sums.sum(0).to(like.dtype)


def _over_sources(call: Call, views: Views, **given: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of k and v."""
    from graphcolumns.ops.column_attention.triton_sources import differentiate_sources

    sources = call.k.shape[0]
    tile = call.tile(sources, views.source.shape[0])
    grad_k, grad_v = call.k.new_empty(call.k.shape), call.v.new_empty(call.v.shape)
    tensors = {"grad_k": grad_k, "grad_v": grad_v, "colptr": views.colptr, **given}
    tensors |= {"csc_target": views.csc_target, "csc_edge": views.csc_edge}
    call.launch(differentiate_sources, tile, sources, call.parts(tile), tensors, sources=sources)
    return grad_k, grad_v
