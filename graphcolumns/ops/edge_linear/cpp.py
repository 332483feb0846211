"""The signed sum along edges in C++ for the CPU: kernel.cpp behind two functions."""

import ctypes

from torch import Tensor

from graphcolumns.graph.views import Views
from graphcolumns.ops import kernels

_TENSORS = ("x", "weight", "grad", "out", "grad_weight", "pointers", "edge", "other")


class Arguments(ctypes.Structure):
    """``struct EdgeLinear`` of kernel.cpp; fields that are not set are null."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _TENSORS),
        *((name, ctypes.c_int64) for name in ("rows", "batch", "heads", "width")),
    ]


def forward(x: Tensor, weight: Tensor, views: Views) -> Tensor:
    """See :func:`~graphcolumns.ops.edge_linear.reference.forward`; float32 and float64."""
    return _sum_rows(x, weight, views.rowptr, views.source, None)


def backward(grad: Tensor, x: Tensor, weight: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """See :func:`~graphcolumns.ops.edge_linear.reference.backward`; not differentiable."""
    return transposed(grad, weight, views), products(grad, x, views)


def transposed(grad: Tensor, weight: Tensor, views: Views) -> Tensor:
    """The gradient of x alone: sums over out-edges, ``[M, B, H, D]``."""
    return _sum_rows(grad, weight, views.colptr, views.csc_target, views.csc_edge)


def products(grad: Tensor, x: Tensor, views: Views) -> Tensor:
    """The gradient of the weights alone, ``[E, H]``."""
    grad_weight = x.new_empty(len(views.source), x.shape[2])
    kernels.advise(grad_weight)
    given = {"grad": grad, "grad_weight": grad_weight, "other": views.source}
    _run("edge_linear_weight_gradient", x, views.rowptr, **given)
    return grad_weight


def _sum_rows(
    x: Tensor, weight: Tensor, pointers: Tensor, other: Tensor, edge: Tensor | None
) -> Tensor:
    """Rows of ``x`` at ``other``, times the weights of their edges, summed between ``pointers``."""
    shape = (pointers.shape[0] - 1, *x.shape[1:])
    if x.shape[2] == 1:
        # With one head a row has one weight, for samples and channels alike: one long lane, up to
        # twice as fast for narrow channels, and the same bits, since edges are added in order.
        x = x.reshape(x.shape[0], 1, 1, -1)
    out = x.new_empty((shape[0], *x.shape[1:]))
    kernels.advise(out)
    given = {"weight": weight, "other": other, "edge": edge}
    _run("edge_linear_sum_rows", x, pointers, out=out, **given)
    return out.view(shape)


def _run(name: str, x: Tensor, pointers: Tensor, **tensors: Tensor | None) -> None:
    given = {"x": x, "pointers": pointers, **tensors}
    kept = {name: tensor.contiguous() for name, tensor in given.items() if tensor is not None}
    fields = {name: tensor.data_ptr() for name, tensor in kept.items()}
    batch, heads, width = x.shape[1:]
    rows = pointers.shape[0] - 1
    arguments = Arguments(**fields, rows=rows, batch=batch, heads=heads, width=width)
    # `kept` holds the tensors until the kernel, which runs without the interpreter lock, is done.
    kernels.call(f"{name}_{kernels.DTYPES[x.dtype]}", arguments)
