"""Attention along edges in Triton for CUDA: its kernels behind two functions.

Memory is O((N + M) B H D + E). Every row has one writer: the same bits in every run. Float32,
bfloat16 and float16; other types take the reference. Long rows can be cut into segments, which are
done at the same time; that pass then holds a row of float32 sums per segment.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops import tiles
from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.closed import centred, raised
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    AttentionOutputs,
    InputGradients,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.triton.call import Call
from graphcolumns.ops.column_attention.triton.segments import Segments


def forward(inputs: AttentionInputs, *, longest: int | None = None) -> AttentionOutputs:
    """See :func:`~graphcolumns.ops.column_attention.reference.forward`.

    ``longest``: in-edges that are done one after the other at most (default: all of a column).
    """
    q, v, views = inputs.q, inputs.v, inputs.views
    if q.dtype not in tiles.DTYPES:
        return reference.forward(inputs)
    bias, level = centred(inputs.bias, views.target, q.shape[0])
    call = Call.of(inputs, bias)
    if longest is None:
        out, total, *parts = attend_rows(call, views.rowptr, views.source, v.dtype)
        return AttentionOutputs(out, total, raised(parts[0] + parts[1], level), *parts)
    cut = Segments.of(views.rowptr, len(views.source), longest)
    segments = call._replace(q=cut.per_segment(q))
    out, total, *parts = attend_rows(segments, cut.pointers, views.source, torch.float32)
    levels = parts[0], parts[1]
    merged = cut.levels(*levels)
    if inputs.cost is not None:
        total = cut.average(total, levels, merged, torch.float32)
    out = cut.average(out, levels, merged, v.dtype)
    return AttentionOutputs(out, total, raised(merged[0] + merged[1], level), *merged)


def attend_rows(
    call: Call, rowptr: Tensor, source: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Out in ``dtype``, cost, highest and log_mass of the rows that ``rowptr`` names."""
    from graphcolumns.ops.column_attention.triton.forward import attend

    q, v, columns = call.q, call.v, call.q.shape[0]
    shape = (columns, *v.shape[1:3])
    out = v.new_empty((*shape, v.shape[3]), dtype=dtype)
    total = q.new_empty(0 if call.cost is None else shape, dtype=torch.float32)
    highest, log_mass = (q.new_empty(shape, dtype=torch.float32) for _ in range(2))
    tile = call.tile(columns, source.shape[0])
    tensors = {"rowptr": rowptr, "source": source, "out": out, "total": total}
    tensors |= {"highest_out": highest, "log_mass_out": log_mass}
    call.launch(attend, tile, columns, call.parts(tile), tensors, columns=columns)
    return out, total, highest, log_mass


def backward(
    arrived: OutputGradients,
    inputs: AttentionInputs,
    saved: SavedOutputs,
    *,
    longest: tuple[int | None, int | None] = (None, None),
) -> InputGradients:
    """See :func:`~graphcolumns.ops.column_attention.reference.backward`; not differentiable.

    ``longest``: edges of a column, and of a source, that are done one after the other at most.
    """
    q, bias, views = inputs.q, inputs.bias, inputs.views
    if q.dtype not in tiles.DTYPES:
        return reference.backward(arrived, inputs, saved)
    call = Call.of(inputs, centred(bias, views.target, q.shape[0])[0])
    none = saved.highest.new_empty(0)
    read = {"highest": saved.highest, "log_mass": saved.log_mass, "grad_out": arrived.out}
    read["grad_total"] = none if arrived.total is None else arrived.total
    known = {"out": saved.out, "total": saved.total, **read}
    known["grad_lse"] = none if arrived.lse is None else arrived.lse
    delta, grad_q, grad_bias, grad_cost = _columns(call, views, known, longest[0])
    grad_k, grad_v = _sources(call, views, {"delta": delta, **read}, longest[1])
    if bias is not None and grad_bias is not None:
        grad_bias = grad_bias.to(bias.dtype)
    return InputGradients(grad_q, grad_k, grad_v, grad_bias, grad_cost)


def _columns(
    call: Call, views: Views, known: dict[str, Tensor], longest: int | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Delta, and the gradients of q, bias and cost."""
    # Queries without a batch: one gradient for many inputs, added before it is rounded.
    dtype = torch.float32 if call.shared_query else call.q.dtype
    if longest is None:
        delta, grad_q, *edges = _over_columns(call, views.rowptr, views.source, known, dtype)
    else:
        cut = Segments.of(views.rowptr, len(views.source), longest)
        # What is absent is an empty tensor.
        known = {name: x if len(x) == 0 else cut.per_segment(x) for name, x in known.items()}
        parts = call._replace(q=cut.per_segment(call.q))
        rows = (cut.pointers, views.source)
        delta, grad_q, *edges = _over_columns(parts, *rows, known, torch.float32)
        delta, grad_q = cut.begin(delta), cut.add(grad_q, dtype)
    if call.shared_query:
        grad_q = grad_q.sum(1, keepdim=True).to(call.q.dtype)
    return delta, grad_q, _total(edges[0], call.bias), _total(edges[1], call.cost)


def _over_columns(
    call: Call, rowptr: Tensor, source: Tensor, known: dict[str, Tensor], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Delta, the gradient of q, and sums for those of bias and cost.

    The last two gradients are sums over the batch. A program that does all parts of the lanes of
    its columns owns their edges, and adds up by itself. Where columns are too few to fill a GPU
    that way, the parts are divided into groups with sums of their own, which are added at the end:
    at most PROGRAMS times the mean degree of them, whatever the batch.
    """
    from graphcolumns.ops.column_attention.triton.columns import differentiate_columns

    q, columns, edges = call.q, call.q.shape[0], source.shape[0]
    tile = call.tile(columns, edges)
    parts = call.parts(tile)
    parts_each, groups = _groups(call, columns, parts)
    delta = torch.empty_like(known["highest"], memory_format=torch.contiguous_format)
    grad_q = q.new_empty((columns, *call.k.shape[1:]), dtype=dtype)
    sums = {
        f"grad_{name}": q.new_zeros((groups, *(() if x is None else x.shape)), dtype=torch.float32)
        for name, x in (("bias", call.bias), ("cost", call.cost))
    }
    tensors = {"rowptr": rowptr, "source": source, "delta": delta, "grad_q": grad_q}
    numbers = {"columns": columns, "edges": edges, "parts": parts, "parts_each": parts_each}
    tensors |= known | sums
    # What is absent is an empty tensor, also for no columns at all: then no program runs.
    numbers["GRAD_LSE"] = len(known["grad_lse"]) > 0
    call.launch(differentiate_columns, tile, columns, groups, tensors, **numbers)
    return delta, grad_q, sums["grad_bias"], sums["grad_cost"]


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


def _sources(
    call: Call, views: Views, known: dict[str, Tensor], longest: int | None
) -> tuple[Tensor, Tensor]:
    """The gradients of k and v."""
    if longest is None:
        return _over_sources(call, views, views.colptr, known, (call.k.dtype, call.v.dtype))
    cut = Segments.of(views.colptr, len(views.source), longest)
    parts = call._replace(k=cut.per_segment(call.k), v=cut.per_segment(call.v))
    wide = (torch.float32, torch.float32)
    grad_k, grad_v = _over_sources(parts, views, cut.pointers, known, wide)
    return cut.add(grad_k, call.k.dtype), cut.add(grad_v, call.v.dtype)


def _over_sources(
    call: Call,
    views: Views,
    colptr: Tensor,
    known: dict[str, Tensor],
    dtypes: tuple[torch.dtype, torch.dtype],
) -> tuple[Tensor, Tensor]:
    from graphcolumns.ops.column_attention.triton.sources import differentiate_sources

    sources = call.k.shape[0]
    tile = call.tile(sources, views.source.shape[0])
    grad_k = call.k.new_empty(call.k.shape, dtype=dtypes[0])
    grad_v = call.v.new_empty(call.v.shape, dtype=dtypes[1])
    tensors = {"grad_k": grad_k, "grad_v": grad_v, "colptr": colptr, **known}
    tensors |= {"csc_target": views.csc_target, "csc_edge": views.csc_edge}
    call.launch(differentiate_sources, tile, sources, call.parts(tile), tensors, sources=sources)
    return grad_k, grad_v
