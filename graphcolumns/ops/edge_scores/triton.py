"""Scores of pairs in Triton for CUDA: its kernel behind a function.

Memory beside the inputs is that of ``lse``. A pair has one writer: the same bits in every run, in
any order of the pairs. Float32, bfloat16 and float16; other types take the reference.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from graphcolumns.ops import tiles
from graphcolumns.ops.edge_scores import reference

PAIRS = 16  # at a time; neighbours in the list share their target, which a cache keeps


def edge_scores(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    out: Tensor,
    grad_out: Tensor,
    targets: Tensor,
    sources: Tensor,
    bias: Tensor | None,
    sole: Tensor | None,
    scale: float,
    chunk: int | None,
    slice_size: int | None,
) -> Tensor:
    """See :func:`~graphcolumns.ops.edge_scores.reference.edge_scores`; ``[10, P]``."""
    if q.dtype not in tiles.DTYPES:
        given = (q, k, v, lse, out, grad_out, targets, sources, bias, sole)
        return reference.edge_scores(*given, scale, chunk, slice_size)
    from graphcolumns.ops.edge_scores.triton_kernel import score_pairs

    steps, sources_count, batch, heads, width = k.shape
    pairs, value_width = len(targets), v.shape[4]
    tile = tiles.tile(q.dtype, PAIRS, batch, heads, max(width, value_width))
    sums = q.new_empty((10, pairs), dtype=torch.float32)
    grid = tiles.grid_of_blocks(pairs, tile.edges)
    if grid == 0:
        return sums
    values = three_axes(bias)
    tensors: dict[str, Tensor | None] = {"q": q, "k": k, "v": v, "grad": grad_out, "lse": lse}
    tensors |= {"delta": _delta(grad_out, out), "bias": values}
    tensors |= {"target": targets, "source": sources}
    tensors["sole"] = None if sole is None else sole.to(torch.uint8)
    with torch.cuda.device_of(q):
        score_pairs[(grid,)](
            # What is absent is not read, but a kernel wants a pointer.
            **{name: q if x is None else x.contiguous() for name, x in tensors.items()},
            sums=sums,
            pairs=pairs,
            columns=q.shape[1],
            sources=sources_count,
            steps=steps,
            batch=batch,
            scale=scale,
            mean=1.0 / (steps * heads),
            H=heads,
            D=width,
            DV=value_width,
            SHARED_QUERY=q.shape[2] != batch,
            BIAS=0 if values is None else values.shape[2],
            BIAS_STEPS=values is not None and len(values) > 1,
            SOLE=sole is not None,
            CLIP=reference.CLIP,
            MOST=-log(reference.CLIP),
            PAIRS=tile.edges,
            BATCH=tile.batch,
            HEADS=tile.heads,
            WIDTH=tiles.power_of_two(width),
            VALUE_WIDTH=tiles.power_of_two(value_width),
            num_warps=tile.warps,
            enable_fp_fusion=True,  # the default of Triton depends on its version
        )
    return sums


def _delta(grad_out: Tensor, out: Tensor) -> Tensor:
    """``g_i . out_i`` as float32 ``[T, N, B, H]``, a step at a time."""
    each = [torch.linalg.vecdot(g.float(), o.float()) for g, o in zip(grad_out, out, strict=True)]
    return torch.stack(each)


def three_axes(bias: Tensor | None) -> Tensor | None:
    """``[T or 1, P, H or 1]``."""
    if bias is None:
        return None
    if bias.dim() == 1:
        bias = bias[:, None]
    return bias if bias.dim() == 3 else bias[None]
