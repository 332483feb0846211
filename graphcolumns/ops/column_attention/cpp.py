"""Attention along edges in C++ for the CPU: kernel.cpp behind two functions.

Memory is O((N + M) B H D + E). Every row has one writer: the same bits at any number of threads.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops import kernels
from graphcolumns.ops.column_attention import reference

_TENSORS = (
    *("q", "k", "v", "bias", "cost", "out", "total", "lse", "highest", "log_mass"),
    *("grad_out", "grad_total", "grad_lse", "centred", "state"),
    *("grad_q", "grad_k", "grad_v", "grad_bias", "grad_cost"),
    *("rowptr", "colptr", "csc_edge", "source", "csc_target"),
)
_NUMBERS = (
    *("columns", "sources", "batch", "heads", "width", "value_width"),
    *("bias_values", "cost_values", "seed"),
)


class Arguments(ctypes.Structure):
    """``struct Attention`` of kernel.cpp; fields that are not set are null or 0."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _TENSORS),
        *((name, ctypes.c_int64) for name in _NUMBERS),
        ("scale", ctypes.c_double),
        ("dropout", ctypes.c_double),
    ]


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """See :func:`~graphcolumns.ops.column_attention.reference.forward`, which takes half types."""
    if q.dtype not in kernels.DTYPES:
        ends = views.source, views.target
        return reference.forward(q, k, v, bias, cost, *ends, scale, dropout, seed)
    shape = (q.shape[0], *v.shape[1:3])
    tensors = {
        **_contiguous(q, k, v, bias, cost),
        "out": v.new_empty((*shape, v.shape[3])),
        "total": q.new_empty(0 if cost is None else shape),
        **{name: q.new_empty(shape) for name in ("lse", "highest", "log_mass")},
    }
    results = list(tensors.values())[5:]
    kernels.advise(*results)
    _run("attention_forward", tensors, views, scale, dropout, seed)
    return tuple(results)  # type: ignore[return-value]


def backward(
    grad_out: Tensor,
    grad_total: Tensor | None,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    out: Tensor,
    total: Tensor,
    highest: Tensor,
    log_mass: Tensor,
    views: Views,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """See :func:`~graphcolumns.ops.column_attention.reference.backward`; not differentiable."""
    if q.dtype not in kernels.DTYPES:
        saved = (q, k, v, bias, cost, out, total, highest, log_mass)
        arrived, ends = (grad_out, grad_total, grad_lse), (views.source, views.target)
        return reference.backward(*arrived, *saved, *ends, scale, dropout, seed)  # type: ignore[arg-type]
    inputs = _contiguous(q, k, v, bias, cost)
    grads = {
        f"grad_{name}": None if x is None else torch.empty_like(x) for name, x in inputs.items()
    }
    columns, *lanes = highest.shape
    state = highest.new_empty((columns, 3, *lanes))
    kernels.advise(state, *grads.values())
    given: dict[str, Tensor | None]
    given = {"out": out, "total": total, "highest": highest, "log_mass": log_mass}
    given |= {"grad_out": grad_out, "grad_total": grad_total, "grad_lse": grad_lse}
    tensors = {
        **inputs,
        **grads,
        **{name: None if x is None else x.contiguous() for name, x in given.items()},
        # Vectors are read past the end of a row.
        "centred": None if bias is None else q.new_empty(bias.numel() + 16),
        "state": state,
    }
    _run("attention_backward", tensors, views, scale, dropout, seed)
    return _as_given(q, bias, cost, *grads.values())


def _contiguous(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, cost: Tensor | None
) -> dict[str, Tensor | None]:
    """What the kernel reads: one dtype, contiguous, queries with a batch."""
    given = {"q": q.expand(-1, k.shape[1], -1, -1), "k": k, "v": v, "bias": bias, "cost": cost}
    return {
        name: None if x is None else x.detach().to(q.dtype).contiguous()
        for name, x in given.items()
    }


def _as_given(
    q: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    grad_q: Any,
    grad_k: Any,
    grad_v: Any,
    grad_bias: Any,
    grad_cost: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients in the shapes and dtypes of the inputs."""
    if q.shape[1] == 1 != grad_q.shape[1]:  # queries without a batch: one query, many inputs
        grad_q = grad_q.sum(1, keepdim=True)
    grad_bias = None if bias is None else grad_bias.to(bias.dtype)
    grad_cost = None if cost is None else grad_cost.to(cost.dtype)
    return grad_q, grad_k, grad_v, grad_bias, grad_cost


def _run(
    name: str,
    tensors: dict[str, Any],
    views: Views,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> None:
    q, v = tensors["q"], tensors["v"]
    given = tensors | {x: getattr(views, x).contiguous() for x in _TENSORS[-5:]}
    pointers = {x: tensor.data_ptr() for x, tensor in given.items() if tensor is not None}
    numbers = {
        "columns": q.shape[0],
        "sources": v.shape[0],
        "batch": v.shape[1],
        "heads": v.shape[2],
        "width": q.shape[3],
        "value_width": v.shape[3],
        "bias_values": _per_edge(tensors["bias"]),
        "cost_values": _per_edge(tensors["cost"]),
        "seed": 0 if seed is None else int(seed),
    }
    arguments = Arguments(**pointers, **numbers, scale=scale, dropout=dropout)
    # `given` holds the tensors until the kernel, which runs without the interpreter lock, is done.
    kernels.call(f"{name}_{kernels.DTYPES[q.dtype]}", arguments)


def _per_edge(values: Tensor | None) -> int:
    return 1 if values is None or values.dim() == 1 else values.shape[1]
