"""The C++ kernels in use: loaded, called, and given large pages for what they fill."""

from __future__ import annotations

import ctypes
import mmap
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from graphcolumns.ops.extension import build_kernels

# What the kernels compute in, and how their names end.
DTYPES = {torch.float32: "float32", torch.float64: "float64"}
LARGE = 2**23  # bytes; a large page has 2 MiB
_ADVICE: int | None = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux


def library() -> ctypes.CDLL:
    """The loaded kernels; compiles them when they are not there yet.

    Raises:
        ImportError: As :func:`~graphcolumns.ops.extension.build_kernels`.
    """
    result = _attempt()
    if isinstance(result, str):
        raise ImportError(result)
    return result


def call(name: str, arguments: ctypes.Structure) -> None:
    """Runs a kernel of the library.

    Raises:
        ImportError: As :func:`~graphcolumns.ops.extension.build_kernels`.
        MemoryError: There is no memory for the buffers of a thread.
    """
    if getattr(library(), name)(ctypes.byref(arguments)) != 0:
        raise MemoryError(f"{name} found no memory for its buffers")


# To torch.compile a constant: while it traces, the kernels are built if they are needed.
@torch.compiler.assume_constant_result
def ready() -> bool:
    """Whether the kernels are there, or could be compiled now; warns once when not."""
    result = _attempt()
    if isinstance(result, str):
        _warn(result)
    return not isinstance(result, str)


def advise(*tensors: Tensor | None) -> None:
    """Advises the system to back new CPU tensors of 8 MiB and more with large pages.

    A block that comes fresh from the system is mapped page by page when it is first written. With
    pages of 4 KiB that took a third of the time of attention at 262,144 columns. Where the system
    has no large pages, or gives them to every process, nothing happens.
    """
    system = _madvise()
    for tensor in tensors:
        size = 0 if tensor is None else tensor.nbytes
        if tensor is None or size < LARGE or tensor.device.type != "cpu" or system is None:
            continue
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + size) // mmap.PAGESIZE * mmap.PAGESIZE
        system(start, end - start, _ADVICE)  # what it answers does not matter


@cache
def _madvise() -> Any:
    """The function of the C library, or None where there is none."""
    if _ADVICE is None:
        return None
    function = getattr(ctypes.CDLL(None), "madvise", None)
    if function is not None:
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


@cache
def _attempt() -> ctypes.CDLL | str:
    """The library, or why there is none: tried once in a process."""
    try:
        return ctypes.CDLL(str(build_kernels()))
    except (ImportError, OSError) as error:
        return str(error)


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"backend='auto' takes the slower 'reference': {reason}", stacklevel=2)
