"""Builds of the C++ kernels: compiled on first use for this CPU, and kept for later processes."""

import hashlib
import os
import platform
import sys
from pathlib import Path

import torch

from graphcolumns.ops import compiler, instruction_sets

_FOLDER = Path(__file__).parent
_LIBRARY = "kernels.so"
# Products are added by `multiply_add` (cpp/vectors.h), and fused nowhere else: a compiler that may
# choose does so in one loop and not in its remainder. No -ffast-math: closed edges are -inf and a
# NaN must stay one.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]


def build_kernels() -> Path:
    """Compiles the C++ kernels ahead of their first use; does nothing when they are there.

    ``GRAPHCOLUMNS_CPU`` chooses the instructions: ``native`` (the default) all that this CPU has,
    ``baseline`` what every CPU of its kind has, ``avx2`` and ``avx512`` on x86-64. ``CXX`` names
    the compiler. The build is kept in torch's folder for extensions (``TORCH_EXTENSIONS_DIR``),
    under a name that tells the version of torch, the sources, the instructions, the compiler and,
    for ``native``, the CPU. If two processes call it at once, one compiles and the other waits.

    Returns:
        Path of the shared library.

    Raises:
        ImportError: Without a C++ compiler, ninja or setuptools, when compiling is forbidden by
            ``GRAPHCOLUMNS_COMPILE=0``, or when the compiler fails.
        ValueError: When ``GRAPHCOLUMNS_CPU`` names no instruction set, or one that this CPU lacks.
    """
    path = library_path()
    command = require_build()
    if command is not None:
        from filelock import FileLock  # comes with torch

        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # the system releases it if a process ends
            if not path.exists():
                target = f"{instruction_sets.VARIABLE}={instruction_sets.chosen_set()}"
                compiler.compile_kernels(path, command, _sources(), _flags(), target)
    return path


def require_build() -> str | None:
    """The compiler that a build would take, or None when one is kept already; compiles nothing.

    Raises:
        ImportError: As :func:`build_kernels`.
    """
    return None if library_path().exists() else compiler.find_compiler()


def library_path() -> Path:
    """Where the build for these sources, this torch, CPU and compiler is kept.

    Where nothing is to be compiled, because it is forbidden or there is no compiler, and ``CXX``
    names none, a kept build of another compiler is taken.

    Raises:
        ValueError: As :func:`build_kernels`.
    """
    name, command = _name(), compiler.command()
    root, by = compiler.build_root(), compiler.identity(command) if command else ""
    path = root / f"{name}_{_short(by.encode())}" / _LIBRARY
    if path.exists() or os.environ.get("CXX") or (command and not compiler.forbidden()):
        return path
    return min(root.glob(f"{name}_*/{_LIBRARY}"), default=path)


def _sources() -> list[Path]:
    return sorted(_FOLDER.glob("*/kernel.cpp"))


def _flags() -> list[str]:
    chosen = instruction_sets.known()[instruction_sets.chosen_set()]
    return [*FLAGS, *chosen.flags, *_openmp()]


def _openmp() -> list[str]:
    return ["-fopenmp"] if sys.platform == "linux" else []


def _cpu() -> str:
    native = instruction_sets.chosen_set() == instruction_sets.NATIVE
    return instruction_sets.cpu() if native else platform.machine()


def _name() -> str:
    """Name of a build by any compiler: what it is compiled from, and for."""
    about = repr((_flags(), _cpu(), sys.platform)).encode()
    files = (*_sources(), *sorted(_FOLDER.rglob("*.h")))
    digest = _short(about + b"".join(source.read_bytes() for source in files))
    return f"graphcolumns_torch{torch.__version__}_{instruction_sets.chosen_set()}_{digest}"


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
