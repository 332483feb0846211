"""Peak memory of one call, in a process of its own, or of a whole process."""

from __future__ import annotations

import ctypes
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from graphcolumns.bench.clock import Work, wait

M_MMAP_THRESHOLD = -3  # the name of an option in glibc's malloc.h
LARGE = 2**16  # bytes


def peak(build: Callable[..., Work], *arguments: Any, device: str = "cpu") -> float:
    """Bytes that a call needs beyond what was there before it.

    On a CPU a new process builds the work, calls it once (so that code and caches are there), and
    calls it again while the system watches its resident memory. On a GPU torch reports what it
    handed out, whatever else the process holds: that takes no process of its own.

    Args:
        build: A function at the top of a module that returns the work.
        arguments: Arguments of ``build``.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        Bytes, or NaN where the system does not report it, or the process ran out of memory.
    """
    if device == "cuda":
        return on_gpu(build(*arguments))
    needed = alone(_measure, build, arguments)
    return float("nan") if needed is None else float(needed)


def on_gpu(work: Work) -> float:
    """Bytes that a call needs on the GPU beyond what was there before it."""
    work()
    wait("cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    wait("cuda")
    return float(torch.cuda.max_memory_allocated() - before)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function at the top of a module returns in a new process; None if that was killed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:  # killed
        return None
    finally:
        process.join()


def most(device: str) -> float:
    """Bytes of the whole process so far, at most; on a GPU what torch handed out."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return float(resident("VmHWM"))


def _send(pipe: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    pipe.send(function(*arguments))


def _measure(build: Callable[..., Work], arguments: tuple[Any, ...]) -> float:
    _keep_nothing()
    work = build(*arguments)
    work()
    _give_back()
    before = resident("VmRSS")
    if not _forget_peak():
        return float("nan")
    work()
    return resident("VmHWM") - before


def _keep_nothing() -> None:
    """Every large block goes back to the system when it is freed.

    glibc keeps freed blocks of up to 32 MiB for later, more or fewer of them from run to run: as
    much as a call needs, and nothing that a call can be blamed for.
    """
    _glibc("mallopt", M_MMAP_THRESHOLD, LARGE)


def _give_back() -> None:
    """Free memory that glibc holds back to the system, or a call could use it unseen."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)  # not every libc has it
        if function is not None:
            function(*arguments)


def _forget_peak() -> bool:
    """Start the high-water mark anew; False where the system has none (Linux has)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def resident(name: str) -> int:
    """Bytes of the process, now (``"VmRSS"``) or at most (``"VmHWM"``); 0 where not known."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
