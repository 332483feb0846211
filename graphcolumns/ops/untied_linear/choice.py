"""Whether the C++ kernels compute a linear map per column, or the batched products of torch."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from graphcolumns.ops import extension
from graphcolumns.ops.precision import product_dtype
from graphcolumns.ops.untied_linear.cpp import DTYPES

BACKENDS = ("reference", "cpp")
# Numbers of the weights from which on the kernels are taken. On two cores of an AMD EPYC, channels
# 16 to 128, B = 1 to 128, forward and backward: the time of the library over that of the kernels is
# 0.5 to 1.3 at 2^17, 0.6 to 2.0 at 2^18, 0.6 to 2.5 at 2^19, 0.7 to 3.0 at 2^20 and 1.0 to 3.2 at
# 2^22. Smaller weights stay in the cache, where the library does well, and a call costs 20 us.
FUSED_FROM = 2**20


def takes_kernel(backend: str, weight: Tensor) -> bool:
    """Whether ``backend`` names the kernels, or ``"auto"`` chooses them.

    ``auto`` takes them on a CPU, from ``FUSED_FROM`` weights on. They multiply in float32 and
    float64: half precisions, of the weights or of autocast, are left to torch. So are function
    transforms (``torch.func``) and forward-mode differentiation.

    Args:
        backend: ``"auto"``, ``"reference"`` or ``"cpp"``.
        weight: ``[N, Cin, Cout]``.

    Raises:
        ValueError: An unknown name, or ``"cpp"`` on another device than the CPU.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"backend must be 'auto' or one of {BACKENDS}, got {backend!r}")
    on_cpu = weight.device.type == "cpu"
    if backend == "cpp" and not on_cpu:
        raise ValueError(
            f"backend='cpp' runs on the CPU, and the weights are on {weight.device}: use "
            "backend='auto', or move tensors with .to('cpu')"
        )
    if backend == "reference" or not on_cpu or not _multiplies_as(weight) or _transformed():
        return False
    if backend == "cpp":
        return True
    return weight.numel() >= FUSED_FROM and weight.is_contiguous() and extension.ready()


def _multiplies_as(weight: Tensor) -> bool:
    return weight.dtype in DTYPES and product_dtype(weight) == weight.dtype


def _transformed() -> bool:
    """Whether derivatives are asked for that a registered op does not have."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def alike(weight: Tensor, *others: Tensor | None) -> bool:
    """Whether all have one dtype and device; where not, torch says what does not fit."""
    return all(x is None or (x.dtype, x.device) == (weight.dtype, weight.device) for x in others)
