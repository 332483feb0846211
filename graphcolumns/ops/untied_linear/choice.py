"""Whether the C++ kernels compute a linear map per column, or the batched products of torch."""

from torch import Tensor

from graphcolumns.ops import kernels
from graphcolumns.ops.context import product_dtype, transformed

BACKENDS = ("reference", "cpp")
# Numbers of the weights from which on the kernels are taken. On two cores of an AMD EPYC, channels
# 16 to 128, B = 1 to 128, forward and backward: the time of the library over that of the kernels is
# 0.5 to 1.3 at 2^17, 0.6 to 2.0 at 2^18, 0.6 to 2.5 at 2^19, 0.7 to 3.0 at 2^20 and 1.0 to 3.2 at
# 2^22. Smaller weights stay in the cache, where the library does well, and a call costs 20 us.
FUSED_FROM = 2**20
# They share out columns, and work on vectors of channels. With one column of 1024 x 1024 the
# library is 1.8 times as fast, with maps from or to a single channel up to 4.5 times.
FEWEST_COLUMNS = 64
FEWEST_CHANNELS = 4


def takes_kernel(backend: str, weight: Tensor) -> bool:
    """Whether ``backend`` names the kernels, or ``"auto"`` chooses them, for these weights.

    ``auto`` takes them on a CPU, from ``FUSED_FROM`` weights on. Each use checks again whether
    they can run on its inputs, see :func:`kernel_runs`.

    Args:
        backend: ``"auto"``, ``"reference"`` or ``"cpp"``.
        weight: ``[N, Cin, Cout]``.

    Raises:
        ValueError: An unknown name, or ``"cpp"`` on another device than the CPU.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"backend must be 'auto' or one of {BACKENDS}, got {backend!r}")
    if backend == "cpp" and weight.device.type != "cpu":
        raise ValueError(
            f"backend='cpp' runs on the CPU, and the weights are on {weight.device}: use "
            "backend='auto', or move tensors with .to('cpu')"
        )
    if backend == "reference" or not _multiplies(weight):
        return False
    return backend == "cpp" or (_wins(weight) and kernels.ready())


def kernel_runs(weight: Tensor, *others: Tensor | None) -> bool:
    """Whether the kernels can multiply these, here.

    They take float32 and float64, all of one dtype: half precisions, of tensors or of autocast, are
    left to torch, and so are errors about what does not fit. A registered op has no forward-mode
    derivative and no rule for function transforms (``torch.func``): these are left to torch too.
    """
    kind = (weight.dtype, weight.device, weight.layout)
    return (
        _multiplies(weight)
        and all(x is None or (x.dtype, x.device, x.layout) == kind for x in others)
        and not transformed()
    )


def _multiplies(weight: Tensor) -> bool:
    on_cpu = weight.device.type == "cpu"
    return on_cpu and weight.dtype in kernels.DTYPES and product_dtype(weight) == weight.dtype


def _wins(weight: Tensor) -> bool:
    columns, cin, cout = weight.shape
    return (
        weight.numel() >= FUSED_FROM
        and columns >= FEWEST_COLUMNS
        and min(cin, cout) >= FEWEST_CHANNELS
        and weight.is_contiguous()
    )
