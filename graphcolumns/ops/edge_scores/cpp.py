"""Scores of pairs in C++ for the CPU: kernel.cpp behind a function.

No chunks are needed: memory beside the inputs is that of ``lse`` and of a few rows per thread. A
pair has one writer: the same bits at any number of threads.
"""

import ctypes

import torch
from torch import Tensor

from graphcolumns.graph.edges import pointers
from graphcolumns.ops import kernels
from graphcolumns.ops.context import accumulator

_TENSORS = ("q", "k", "v", "grad", "lse", "delta", "bias", "sums", "pointers", "source", "sole")
_NUMBERS = (
    *("steps", "columns", "sources", "batch", "heads", "width", "value_width", "pairs"),
    *("bias_heads", "bias_steps"),
)


class Arguments(ctypes.Structure):
    """``struct EdgeScores`` of kernel.cpp; fields that are not set are null."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _TENSORS),
        *((name, ctypes.c_int64) for name in _NUMBERS),
        ("scale", ctypes.c_double),
    ]


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
    wide = accumulator(q.dtype)
    steps = [x.to(wide) for x in (q.expand(-1, -1, k.shape[2], -1, -1), k, v, grad_out, lse)]
    delta = torch.linalg.vecdot(steps[3], out.to(wide))
    values: dict[str, Tensor | None] = dict(zip(_TENSORS, [*steps, delta], strict=False))
    values["bias"] = None if bias is None else _three_axes(bias.to(wide))
    if bool((targets[1:] >= targets[:-1]).all()):
        return _run(values, targets, sources, sole, scale)
    targets, order = targets.sort(stable=True)  # pairs of one target share its rows
    if values["bias"] is not None:
        values["bias"] = values["bias"][:, order]
    sole = None if sole is None else sole[order]
    sums = _run(values, targets, sources[order], sole, scale)
    return torch.empty_like(sums).index_copy_(1, order, sums)


def _three_axes(bias: Tensor) -> Tensor:
    """``[T or 1, P, H or 1]``."""
    if bias.dim() == 1:
        bias = bias[:, None]
    return bias if bias.dim() == 3 else bias[None]


def _run(
    values: dict[str, Tensor | None],
    targets: Tensor,
    sources: Tensor,
    sole: Tensor | None,
    scale: float,
) -> Tensor:
    """For pairs in the order of their targets."""
    kept = {name: x.contiguous() for name, x in values.items() if x is not None}
    q, k, v, bias = kept["q"], kept["k"], kept["v"], kept.get("bias")
    kept["pointers"] = pointers(targets.long().contiguous(), q.shape[1])
    kept["source"] = sources.long().contiguous()
    if sole is not None:
        kept["sole"] = sole.contiguous()
    sums = kept["sums"] = torch.zeros(10, len(targets), dtype=q.dtype)
    numbers = {
        "steps": k.shape[0],
        "columns": q.shape[1],
        "sources": k.shape[1],
        "batch": k.shape[2],
        "heads": k.shape[3],
        "width": k.shape[4],
        "value_width": v.shape[4],
        "pairs": len(targets),
        "bias_heads": 1 if bias is None else bias.shape[2],
        "bias_steps": 1 if bias is None else bias.shape[0],
    }
    fields = {name: x.data_ptr() for name, x in kept.items()}
    # `kept` holds the tensors until the kernel, which runs without the interpreter lock, is done.
    kernels.call(
        f"edge_scores_{kernels.DTYPES[k.dtype]}", Arguments(**fields, **numbers, scale=scale)
    )
    return sums
