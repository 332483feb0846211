"""Scores of pairs in C++ for the CPU: kernel.cpp behind a function.

No chunks are needed: memory beside the inputs is that of ``lse`` and of a few rows per thread. A
pair has one writer: the same bits at any number of threads.
"""

import ctypes

import torch
from torch import Tensor

from graphcolumns.graph.edges import pointers
from graphcolumns.ops import extension
from graphcolumns.ops.precision import accumulator

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
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
    targets, order = targets.sort(stable=True)  # pairs of one target share its rows
    steps = [x.to(wide) for x in (q.expand(-1, -1, k.shape[2], -1, -1), k, v, grad_out, lse)]
    delta = torch.linalg.vecdot(steps[3], out.to(wide))
    values = dict(zip(_TENSORS, [*steps, delta], strict=False))
    values["bias"] = None if bias is None else _sorted(bias.to(wide), order)
    values["sums"] = torch.zeros(10, len(order), dtype=wide)
    values["pointers"] = pointers(targets.long(), q.shape[1])
    values["source"] = sources.long()[order]
    values["sole"] = None if sole is None else sole[order]
    _run(values, scale)
    sums = torch.empty_like(values["sums"])
    sums[:, order] = values["sums"]
    return sums


def _sorted(bias: Tensor, order: Tensor) -> Tensor:
    """``[T or 1, P, H or 1]``."""
    if bias.dim() == 1:
        bias = bias[:, None]
    return (bias if bias.dim() == 3 else bias[None])[:, order]


def _run(values: dict[str, Tensor], scale: float) -> None:
    kept = {name: x.contiguous() for name, x in values.items() if x is not None}
    k, v, bias = kept["k"], kept["v"], kept.get("bias")
    numbers = {
        "steps": k.shape[0],
        "columns": kept["q"].shape[1],
        "sources": k.shape[1],
        "batch": k.shape[2],
        "heads": k.shape[3],
        "width": k.shape[4],
        "value_width": v.shape[4],
        "pairs": len(kept["source"]),
        "bias_heads": 1 if bias is None else bias.shape[2],
        "bias_steps": 1 if bias is None else bias.shape[0],
    }
    fields = {name: x.data_ptr() for name, x in kept.items()}
    # `kept` holds the tensors until the kernel, which runs without the interpreter lock, is done.
    extension.call(f"edge_scores_{DTYPES[k.dtype]}", Arguments(**fields, **numbers, scale=scale))
