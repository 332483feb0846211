"""Which implementation of an op runs: along edges, and of a linear map per column."""

import os
from importlib.util import find_spec

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import kernels, tiles
from graphcolumns.ops.context import product_dtype, transformed

BACKENDS = ("reference", "scatter", "dense", "cpp", "triton")
LINEAR_BACKENDS = ("reference", "cpp")


def choose_backend(
    backend: str,
    graph: ColumnGraph,
    lanes: int,
    width: int,
    dtype: torch.dtype = torch.float32,
) -> str:
    """Names the backend that will run.

    ``auto`` takes ``cpp`` for float32 and float64 on a CPU from ``CPP_FROM`` numbers per call on,
    else ``dense`` on (nearly) complete graphs, else ``triton`` for float32, bfloat16 and float16 on
    CUDA, else ``reference``, which it also takes under function transforms. The first large call on
    a machine compiles the C++ kernels; without a compiler, or with ``GRAPHCOLUMNS_COMPILE=0`` and
    no build, ``auto`` warns once and chooses among the others. Triton comes with torch for CUDA
    on Linux.

    Args:
        backend: ``"auto"`` or one of ``reference``, ``scatter``, ``dense``, ``cpp``, ``triton``.
        graph: The graph of the call.
        lanes: Entries of the dense form per pair of columns (attention: batch times heads).
        width: Numbers that an edge gathers per lane (attention: the head width).
        dtype: Data type of the products.

    Returns:
        The name of a backend that can run here.

    Raises:
        ValueError: An unknown name, ``cpp`` on another device than the CPU, or ``triton`` on
            another than CUDA (unless Triton's interpreter is on).
        ImportError: ``scatter`` without torch-scatter, or ``triton`` without triton. (For
            ``cpp`` without a compiler it comes from the op.)
    """
    if backend == "auto":
        if transformed():
            return "reference"
        if cpp_wins(graph, lanes, width, dtype):
            return "cpp"
        if dense_wins(graph, lanes, width):
            return "dense"
        return "triton" if triton_runs(graph, dtype) else "reference"
    if backend not in BACKENDS:
        raise ValueError(f"backend must be 'auto' or one of {BACKENDS}, got {backend!r}")
    if backend == "scatter":
        check_scatter()
    if backend == "cpp" and graph.device.type != "cpu":
        raise ValueError(
            f"backend='cpp' runs on the CPU, and the graph is on {graph.device}: use "
            "backend='auto', or move graph and tensors with .to('cpu')"
        )
    if backend == "triton":
        check_triton(graph.device, "the graph is")
    return backend


def check_scatter() -> None:
    """Raises ImportError without torch-scatter."""
    if find_spec("torch_scatter") is None:
        raise ImportError(
            "backend='scatter' needs torch-scatter, which is not installed: "
            "pip install --no-build-isolation torch-scatter==2.1.2, or use backend='reference'"
        )


def check_triton(device: torch.device, what: str) -> None:
    """Raises ImportError without triton, ValueError where it cannot run; ``what`` is there."""
    if not has_triton():
        raise ImportError(
            "backend='triton' needs triton, which is not installed: on Linux pip install triton "
            "(torch for CUDA brings its own), or use backend='auto'"
        )
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            f"backend='triton' runs on CUDA, and {what} on {device}: use "
            "backend='auto', or move graph and tensors with .to('cuda'). (Tests run it on the CPU, "
            "slowly, with TRITON_INTERPRET=1 set before triton is imported)"
        )


def dense_wins(graph: ColumnGraph, lanes: int, width: int) -> bool:
    """Whether N x M products are the cheaper form.

    A dense pair costs a few operations per lane, an edge a gathered row of ``width`` numbers: the
    crossing lies where edges gather ``DENSE_FROM`` numbers per pair. Above ``DENSE_LIMIT`` entries
    the matrix is refused whatever the density.
    """
    edges, pairs = graph.num_edges, graph.num_columns * graph.num_sources
    if pairs * lanes > DENSE_LIMIT:
        return False
    return edges == pairs or edges * min(width, WIDEST) >= DENSE_FROM * pairs


def cpp_wins(graph: ColumnGraph, lanes: int, width: int, dtype: torch.dtype) -> bool:
    """Whether the C++ kernels are the fastest form, and are there or can be built.

    The call alone decides whether they are looked for, not whether an earlier one has built them:
    the same run gives the same bits the first and the second time.
    """
    if graph.device.type != "cpu" or dtype not in kernels.DTYPES:
        return False
    edges, pairs = graph.num_edges, graph.num_columns * graph.num_sources
    if edges * lanes * width < CPP_FROM or edges * min(width, WIDEST) >= DENSE_FROM_CPP * pairs:
        return False
    return kernels.ready()


def triton_runs(graph: ColumnGraph, dtype: torch.dtype) -> bool:
    """Whether the Triton kernels can take a call: on CUDA, with triton installed."""
    return graph.device.type == "cuda" and dtype in tiles.DTYPES and has_triton()


# To torch.compile a constant.
@torch.compiler.assume_constant_result
def has_triton() -> bool:
    """Whether triton is installed; does not import it."""
    return find_spec("triton") is not None


def takes_kernel(backend: str, weight: Tensor) -> bool:
    """Whether ``backend`` names the kernels, or ``"auto"`` chooses them, for these weights.

    A linear map per column has no edges: its weights alone decide. ``auto`` takes the kernels on a
    CPU, from ``FUSED_FROM`` weights on. Each use checks again whether
    they can run on its inputs, see :func:`kernel_runs`.

    Args:
        backend: ``"auto"``, ``"reference"`` or ``"cpp"``.
        weight: ``[N, Cin, Cout]``.

    Raises:
        ValueError: An unknown name, or ``"cpp"`` on another device than the CPU.
    """
    if backend not in ("auto", *LINEAR_BACKENDS):
        raise ValueError(f"backend must be 'auto' or one of {LINEAR_BACKENDS}, got {backend!r}")
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


# Measured on two cores of an AMD EPYC, forward and backward, N = 64 to 512, B = 8 and 64, heads x
# width 8 x 4, 4 x 8, 2 x 16, 4 x 32, 1 x 64: reference over dense is 0.2 to 1.2 at 1 number per
# pair, 0.5 to 3.5 at 2, 0.8 to 5.7 at 3 and 0.8 to 7.9 at 4. Three are a density of 0.1 for a width
# of 32, 0.4 for 8. Below a density of 0.05 (three numbers of 60) no width pays for the products.
DENSE_FROM = 3
WIDEST = 60
DENSE_LIMIT = 2**27
# The same for cpp, N = 128 and 512, B = 8: dense over cpp is 1.5 to 75 below 40 numbers per pair,
# 1.0 to 2.0 at 48 and 0.6 to 1.5 at 64 (complete graph, one head of width 64).
DENSE_FROM_CPP = 48
# E B H D of a call. Below, the reference takes milliseconds: a short run would wait for the
# compiler longer than it could gain.
CPP_FROM = 2**16
# Numbers of the weights from which on the kernels are taken. On two cores of an AMD EPYC, channels
# 16 to 128, B = 1 to 128, forward and backward: the time of the library over that of the kernels is
# 0.5 to 1.3 at 2^17, 0.6 to 2.0 at 2^18, 0.6 to 2.5 at 2^19, 0.7 to 3.0 at 2^20 and 1.0 to 3.2 at
# 2^22. Smaller weights stay in the cache, where the library does well, and a call costs 20 us.
FUSED_FROM = 2**20
# They share out columns, and work on vectors of channels. With one column of 1024 x 1024 the
# library is 1.8 times as fast, with maps from or to a single channel up to 4.5 times.
FEWEST_COLUMNS = 64
FEWEST_CHANNELS = 4
