"""One linear map per column in C++ for the CPU: kernel.cpp behind three functions."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from graphcolumns.ops import kernels


class Batches(ctypes.Structure):
    """``struct Batches`` of kernel.cpp: a tensor ``[N, B, C]`` whose rows are contiguous."""

    _fields_ = [("data", ctypes.c_void_p), ("column", ctypes.c_int64), ("row", ctypes.c_int64)]


class Arguments(ctypes.Structure):
    """``struct UntiedLinear`` of kernel.cpp."""

    _fields_ = [
        *((name, ctypes.POINTER(Batches)) for name in ("x", "y")),
        *((name, ctypes.c_void_p) for name in ("weight", "bias")),
        *((name, ctypes.c_int64) for name in ("steps", "columns", "batch", "cin", "cout")),
    ]


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """See :func:`~graphcolumns.ops.untied_linear.reference.forward`; float32 and float64."""
    y = x.new_empty(*x.shape[:2], weight.shape[2])
    kernels.advise(y)
    _run(
        "forward", [_rows(x)], [y], weight.contiguous(), bias if bias is None else bias.contiguous()
    )
    return y


def transposed(grad: Tensor, weight: Tensor) -> Tensor:
    """See :func:`~graphcolumns.ops.untied_linear.reference.transposed`; not differentiable."""
    x = grad.new_empty(*grad.shape[:2], weight.shape[1])
    kernels.advise(x)
    _run("transposed", [x], [_rows(grad)], weight.contiguous(), None)
    return x


def gradient(xs: Sequence[Tensor], grads: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """See :func:`~graphcolumns.ops.untied_linear.reference.gradient`; not differentiable."""
    columns, _, cin = xs[0].shape
    weight = xs[0].new_empty(columns, cin, grads[0].shape[2])
    bias = xs[0].new_empty(columns, grads[0].shape[2])
    kernels.advise(weight)
    _run("gradient", [_rows(x) for x in xs], [_rows(grad) for grad in grads], weight, bias)
    return weight, bias


def _rows(x: Tensor) -> Tensor:
    """With contiguous rows; columns and batch may lie in any order."""
    return x if x.stride(2) == 1 else x.contiguous()


def _run(
    name: str, xs: Sequence[Tensor], ys: Sequence[Tensor], weight: Tensor, bias: Tensor | None
) -> None:
    columns, cin, cout = weight.shape
    batch = xs[0].shape[1]
    _require(weight.dtype, *((x, (columns, batch, cin)) for x in xs))
    _require(weight.dtype, *((y, (columns, batch, cout)) for y in ys))
    if bias is not None:
        _require(weight.dtype, (bias, (columns, cout)))
    arguments = Arguments(
        x=_batches(xs),
        y=_batches(ys),
        weight=weight.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        steps=len(xs),
        columns=columns,
        batch=batch,
        cin=cin,
        cout=cout,
    )
    kernels.call(f"untied_linear_{name}_{kernels.DTYPES[weight.dtype]}", arguments)


def _require(dtype: torch.dtype, *tensors: tuple[Tensor, tuple[int, ...]]) -> None:
    """Raise unless tensors fit: the kernel trusts its arguments, so they are checked here."""
    for x, shape in tensors:
        if x.shape != shape or x.dtype != dtype or x.device.type != "cpu":
            raise ValueError(
                f"expected {list(shape)} of {dtype} on the CPU to fit the weights, "
                f"got {list(x.shape)} of {x.dtype} on {x.device}"
            )


def _batches(tensors: Sequence[Tensor]) -> ctypes.Array[Batches]:
    batches = [Batches(x.data_ptr(), x.stride(0), x.stride(1)) for x in tensors]
    return (Batches * len(batches))(*batches)
