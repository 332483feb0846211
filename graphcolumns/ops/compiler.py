"""Finds a C++ compiler and runs it, through torch's loader of extensions."""

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

FORBID = "GRAPHCOLUMNS_COMPILE"  # set it to 0: nothing is compiled, a kept build is still used
_NO_NINJA = (
    "the C++ kernels are compiled with ninja and setuptools, which are not installed: "
    "pip install 'graphcolumns[cpp]'"
)
_NO_OPENMP = " Clang needs its OpenMP (Debian, Ubuntu: apt install libomp-dev)."


def find_compiler() -> str:
    """The command of a C++ compiler, or an ImportError that says what is missing."""
    if forbidden():
        raise ImportError(
            f"the C++ kernels are not built and {FORBID}=0 forbids to compile them: unset it, or "
            "call graphcolumns.ops.extension.build_kernels() on this machine"
        )
    found = command()
    if found is None or sys.platform == "win32":
        named = os.environ.get("CXX")
        lacks = f"CXX={named!r} was not found" if named else "none was found"
        raise ImportError(
            f"the C++ kernels need GCC or Clang (C++17 or newer), and {lacks}: install one "
            "(Debian, Ubuntu: apt install g++; macOS: xcode-select --install) or name it in CXX"
        )
    if find_spec("setuptools") is None or shutil.which("ninja", path=search_path()) is None:
        raise ImportError(_NO_NINJA)
    return found


def forbidden() -> bool:
    """Whether ``GRAPHCOLUMNS_COMPILE=0`` forbids to compile."""
    return os.environ.get(FORBID) == "0"


def command() -> str | None:
    """The command of the compiler that ``CXX`` names, or else of one that is installed, if any."""
    named = os.environ.get("CXX")
    candidates = [named] if named else ["c++", "g++", "clang++"]
    return next((name for name in candidates if shutil.which(name.split()[0])), None)


@functools.cache
def identity(command: str) -> str:
    """Name and version of a compiler, as it tells them."""
    try:
        said = subprocess.run([*command.split(), "--version"], capture_output=True, text=True)
    except OSError:  # what is no compiler fails when it is to compile, and says why
        return command
    return said.stdout.partition("\n")[0].strip() or command


def build_root() -> Path:
    """Torch's folder for extensions; ``TORCH_EXTENSIONS_DIR`` names another."""
    try:
        from torch.utils import cpp_extension
    except ImportError as error:  # it imports setuptools
        raise ImportError(_NO_NINJA) from error
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root())


def search_path() -> str:
    """PATH, and where pip puts ninja: an environment need not be activated."""
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def compile_kernels(
    path: Path, command: str, sources: list[Path], flags: list[str], target: str
) -> None:
    """Compiles ``sources`` into the shared library ``path``, which appears at once or not at all.

    Args:
        path: Shared library to write.
        command: Command of the compiler.
        sources: One source per kernel.
        flags: Flags of the compiler.
        target: What is compiled for, as the message names it.

    Raises:
        ImportError: With the output of the compiler, when it fails.
    """
    from torch.utils import cpp_extension

    print(
        f"graphcolumns: compiling the C++ kernels for this machine, once (about 20 seconds; "
        f"{target}, {identity(command)}), into {path.parent}; {FORBID}=0 forbids it",
        file=sys.stderr,
    )
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _environment(command):
        try:
            built = cpp_extension.load(
                "kernels",
                _units(sources, Path(folder)),
                extra_cflags=flags,
                extra_ldflags=[flag for flag in flags if flag == "-fopenmp"],
                build_directory=folder,
                is_python_module=False,
            )
        except RuntimeError as error:
            hint = _NO_OPENMP if "omp.h" in str(error) or "-lomp" in str(error) else ""
            raise ImportError(
                f"{command} could not compile the C++ kernels:{hint}\n{error}"
            ) from error
        os.replace(built, path)  # at once: no process loads half a file


def _units(sources: list[Path], folder: Path) -> list[str]:
    """A source per kernel, each of its own name: torch names an object after its source."""
    for source in sources:
        (folder / f"{source.parent.name}.cpp").write_text(f'#include "{source}"\n')
    return [str(path) for path in sorted(folder.glob("*.cpp"))]


@contextmanager
def _environment(command: str) -> Iterator[None]:
    """The compiler and ninja where torch's loader looks for them."""
    changed = {"CXX": command, "PATH": search_path()}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
