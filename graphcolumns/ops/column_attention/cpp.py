"""Attention along edges in C++ for the CPU: kernel.cpp behind two functions.

Memory is O((N + M) B H D + E). Every row has one writer: the same bits at any number of threads.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops import kernels
from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    AttentionOutputs,
    InputGradients,
    OutputGradients,
    SavedOutputs,
)

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


def forward(inputs: AttentionInputs) -> AttentionOutputs:
    """See :func:`~graphcolumns.ops.column_attention.reference.forward`, which takes half types."""
    q, _, v, _, cost = inputs[:5]
    if q.dtype not in kernels.DTYPES:
        return reference.forward(inputs)
    shape = (q.shape[0], *v.shape[1:3])
    tensors = {
        **_contiguous(inputs),
        "out": v.new_empty((*shape, v.shape[3])),
        "total": q.new_empty(0 if cost is None else shape),
        **{name: q.new_empty(shape) for name in ("lse", "highest", "log_mass")},
    }
    results = list(tensors.values())[5:]
    kernels.advise(*results)
    _run("attention_forward", tensors, inputs)
    return AttentionOutputs(*results)  # type: ignore[arg-type]


def backward(
    arrived: OutputGradients, inputs: AttentionInputs, saved: SavedOutputs
) -> InputGradients:
    """See :func:`~graphcolumns.ops.column_attention.reference.backward`; not differentiable."""
    q, bias = inputs.q, inputs.bias
    if q.dtype not in kernels.DTYPES:
        return reference.backward(arrived, inputs, saved)
    read = _contiguous(inputs)
    grads = {f"grad_{name}": None if x is None else torch.empty_like(x) for name, x in read.items()}
    columns, *lanes = saved.highest.shape
    state = saved.highest.new_empty((columns, 3, *lanes))
    kernels.advise(state, *grads.values())
    given = saved._asdict() | {f"grad_{name}": x for name, x in arrived._asdict().items()}
    tensors = {
        **read,
        **grads,
        **{name: None if x is None else x.contiguous() for name, x in given.items()},
        # Vectors are read past the end of a row.
        "centred": None if bias is None else q.new_empty(bias.numel() + 16),
        "state": state,
    }
    _run("attention_backward", tensors, inputs)
    return _as_given(inputs, *grads.values())


def _contiguous(inputs: AttentionInputs) -> dict[str, Tensor | None]:
    """What the kernel reads: one dtype, contiguous, queries with a batch."""
    q, k, v, bias, cost = inputs[:5]
    given = {"q": q.expand(-1, k.shape[1], -1, -1), "k": k, "v": v, "bias": bias, "cost": cost}
    return {
        name: None if x is None else x.detach().to(q.dtype).contiguous()
        for name, x in given.items()
    }


def _as_given(
    inputs: AttentionInputs, grad_q: Any, grad_k: Any, grad_v: Any, grad_bias: Any, grad_cost: Any
) -> InputGradients:
    """The gradients in the shapes and dtypes of the inputs."""
    q, bias, cost = inputs.q, inputs.bias, inputs.cost
    if q.shape[1] == 1 != grad_q.shape[1]:  # queries without a batch: one query, many inputs
        grad_q = grad_q.sum(1, keepdim=True)
    grad_bias = None if bias is None else grad_bias.to(bias.dtype)
    grad_cost = None if cost is None else grad_cost.to(cost.dtype)
    return InputGradients(grad_q, grad_k, grad_v, grad_bias, grad_cost)


def _run(name: str, tensors: dict[str, Any], inputs: AttentionInputs) -> None:
    q, v, seed = tensors["q"], tensors["v"], inputs.seed
    given = tensors | {x: getattr(inputs.views, x).contiguous() for x in _TENSORS[-5:]}
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
    arguments = Arguments(**pointers, **numbers, scale=inputs.scale, dropout=inputs.dropout)
    # `given` holds the tensors until the kernel, which runs without the interpreter lock, is done.
    kernels.call(f"{name}_{kernels.DTYPES[q.dtype]}", arguments)


def _per_edge(values: Tensor | None) -> int:
    return 1 if values is None or values.dim() == 1 else values.shape[1]
