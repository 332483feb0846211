"""The instructions that the C++ kernels may use; ``GRAPHCOLUMNS_CPU`` chooses among them."""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

VARIABLE = "GRAPHCOLUMNS_CPU"
NATIVE = "native"


class InstructionSet(NamedTuple):
    """Flags of the compiler, and what ``/proc/cpuinfo`` calls the extensions that they take."""

    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()


# Without -march a distribution's compiler may assume more than the name says.
_X86 = {
    NATIVE: InstructionSet(("-march=native",)),
    "baseline": InstructionSet(("-march=x86-64",)),
    "avx2": InstructionSet(("-march=x86-64", "-mavx2", "-mfma"), ("avx2", "fma")),
    "avx512": InstructionSet(
        ("-march=x86-64", "-mavx2", "-mfma", "-mavx512f", "-mavx512dq"),
        ("avx2", "fma", "avx512f", "avx512dq"),
    ),
}
_ARM = {
    # Apple's compilers aim at Apple's CPUs by themselves, and some lack -mcpu=native.
    NATIVE: InstructionSet(() if sys.platform == "darwin" else ("-mcpu=native",)),
    "baseline": InstructionSet(("-march=armv8-a",)),
}
_OTHER = {NATIVE: InstructionSet(()), "baseline": InstructionSet(())}
_MACHINES = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}


def known() -> Mapping[str, InstructionSet]:
    """The instruction sets of this kind of machine by name: ``native`` and ``baseline`` on all."""
    return _MACHINES.get(platform.machine(), _OTHER)


def chosen_set() -> str:
    """The name that ``GRAPHCOLUMNS_CPU`` holds, or ``native`` (all that this CPU has).

    Raises:
        ValueError: When the name is unknown, or names instructions that this CPU lacks.
    """
    name = os.environ.get(VARIABLE) or NATIVE
    if name not in known() or missing(name):
        reason = (
            f"which lacks {', '.join(missing(name))} here" if name in known() else "no such set"
        )
        raise ValueError(
            f"{VARIABLE} names the instructions of the C++ kernels, and this CPU must have them. "
            f"Expected one of {', '.join(executable())}. Got {name!r}, {reason}; unset it for all "
            f"that this CPU has."
        )
    return name


def executable() -> list[str]:
    """Names of the instruction sets that this CPU has."""
    return [name for name in known() if not missing(name)]


def missing(name: str) -> list[str]:
    """What the instruction set ``name`` needs and this CPU lacks (or does not tell)."""
    features = _features()
    return [need for need in known()[name].needs if need not in features]


def cpu() -> str:
    """What ``native`` depends on. A home folder may be shared by machines that differ."""
    names = ("model name", "flags", "Features", "CPU part")
    kept = {line for line in _cpuinfo() if line.startswith(names)}
    return "\n".join(sorted(kept)) or f"{platform.machine()} {platform.processor()}"


def _features() -> set[str]:
    return {word for line in _cpuinfo() if line.startswith("flags") for word in line.split()}


def _cpuinfo() -> list[str]:
    about = Path("/proc/cpuinfo")
    return about.read_text().splitlines() if about.exists() else []
