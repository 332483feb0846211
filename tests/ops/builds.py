"""Tests the C++ kernels in every build that this machine can execute: python -m tests.ops.builds.

A build is a compiler and an instruction set. Each goes through the tests marked ``cpp`` and through
a program without torch (``standalone/``), which also runs for arm64, in an emulator. Compilers must
agree in every bit. The last lines say what ran, what did not, and why.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from graphcolumns.ops import extension, instruction_sets

HERE = Path(__file__).parent / "standalone"
ROOT = HERE.parents[2]
PYTEST = ["-m", "pytest", "tests/ops", "-m", "cpp and not slow", "-q", "-p", "no:cacheprovider"]
# How the ops are registered with torch does not depend on how the kernels are compiled: opcheck,
# torch.compile and the transforms of torch.func are tested with the native build alone. Values and
# gradients of each build are compared with the reference by all other files.
REGISTRATION = ("test_attention_op.py", "test_transforms.py")
PYTEST += [f"--ignore=tests/ops/{name}" for name in REGISTRATION]
COMPILERS = {"gcc": "g++", "clang": "clang++"}
CROSS, EMULATORS = "aarch64-linux-gnu-g++", ("qemu-aarch64-static", "qemu-aarch64")


class Build(NamedTuple):
    """What is compiled how; ``emulator`` is empty where this machine executes it itself."""

    name: str
    command: str
    instructions: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...] = ()


class Result(NamedTuple):
    """Of one build: a line about it, everything it printed, and the hash of bits per kernel."""

    passed: bool
    summary: str
    output: str
    bits: dict[str, str]


def main() -> int:
    """Runs all builds, one per core at a time; returns 1 when a test failed or nothing ran."""
    builds, absent = find()
    results = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for build, result in zip(builds, pool.map(run, builds), strict=True):
            results[build] = result
            print(f"{'' if result.passed else result.output}---- {build.name} done", flush=True)
    different = disagreements(results)
    for build, result in results.items():
        print(f"{'ran' if result.passed else 'FAILED'}: {build.name}: {result.summary}")
    for line in (*(f"not run: {x}" for x in absent), *(f"FAILED: {x}" for x in different)):
        print(line)
    passed = bool(results) and all(result.passed for result in results.values())
    return 0 if passed and not different else 1


def find() -> tuple[list[Build], list[str]]:
    """The builds that can run here, and a line about each that cannot."""
    builds, absent = [], []
    for label, command in COMPILERS.items():
        lacks = _lacks(command)
        if lacks:
            absent.append(f"{label} ({lacks})")
            continue
        for name, instructions in instruction_sets.known().items():
            missing = instruction_sets.missing(name)
            if missing:
                absent.append(f"{label} {name} (this CPU has no {', '.join(missing)})")
            elif name != instruction_sets.NATIVE:  # the tests of the project run with it
                builds.append(Build(f"{label} {name}", command, name, instructions.flags))
    emulator = next((name for name in EMULATORS if shutil.which(name)), None)
    if not shutil.which(CROSS):
        absent.append(f"arm64 (no {CROSS}: apt install g++-aarch64-linux-gnu)")
    elif emulator is None:
        absent.append("arm64 (no qemu-aarch64: apt install qemu-user)")
    else:
        builds.append(
            Build("gcc arm64", CROSS, "arm64", ("-march=armv8-a", "-static"), (emulator,))
        )
    return builds, absent


def _lacks(command: str) -> str:
    """Why a compiler cannot be tested, or nothing."""
    if not shutil.which(command):
        return f"no {command}"
    source = "#include <omp.h>\n"
    probe = [command, "-fopenmp", "-fsyntax-only", "-x", "c++", "-"]
    if subprocess.run(probe, input=source, text=True, capture_output=True).returncode:
        return "no omp.h: apt install libomp-dev"
    return ""


def run(build: Build) -> Result:
    """The program without torch, and the tests unless the build needs an emulator."""
    start, steps = time.monotonic(), [_standalone]
    if not build.emulator:
        steps.append(_pytest)
    output, said, passed = "", [], True
    for step in steps:
        ran, last, text = step(build)
        passed, output = passed and ran, output + text
        said.append(last)
    seconds = f"{time.monotonic() - start:.0f} s"
    return Result(passed, "; ".join([*said, seconds]), output, _bits(output))


def _standalone(build: Build) -> tuple[bool, str, str]:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "run")
        options = ["-std=c++17", *extension.FLAGS, *build.flags, f"-I{HERE}", "-pthread"]
        sources = map(str, sorted(HERE.glob("*.cpp")))
        compiled, text = _call([build.command, *options, *sources, "-o", program])
        if not compiled:
            return False, "the program without torch does not compile", text
        passed, output = _call([*build.emulator, program])
        return passed, f"{_last(output)} without torch", text + output


def _pytest(build: Build) -> tuple[bool, str, str]:
    chosen = {instruction_sets.VARIABLE: build.instructions, "CXX": build.command}
    # Clang's OpenMP knows nothing of torch.set_num_threads; three is what tests ask for.
    threads = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "passive", "MAX_JOBS": "1"}
    passed, output = _call([sys.executable, *PYTEST], os.environ | chosen | threads)
    return passed, _last(output), output


def _call(command: list[str], environment: dict[str, str] | None = None) -> tuple[bool, str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode == 0, done.stdout


def _last(output: str) -> str:
    return output.strip().rpartition("\n")[2]


def _bits(output: str) -> dict[str, str]:
    """Lines ``kernel hash`` of the program without torch."""
    lines = (line.split() for line in output.splitlines())
    return {x[0]: x[1] for x in lines if len(x) == 2 and len(x[1]) == 16}


def disagreements(results: dict[Build, Result]) -> list[str]:
    """Kernels whose bits depend on the compiler, though the instructions are the same."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    lines = []
    for build, result in results.items():
        for kernel, bits in result.bits.items():
            other, expected = first.setdefault((build.instructions, kernel), (build.name, bits))
            if bits != expected:
                lines.append(f"{kernel}: {build.name} and {other} differ in their bits")
    return lines


if __name__ == "__main__":
    sys.exit(main())
