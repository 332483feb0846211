"""How the C++ kernels come to be: what is kept, what is said, and what no compiler means."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension

from graphcolumns import column_attention, edge_linear
from graphcolumns.ops import backend as backends
from graphcolumns.ops import compiler as compilers
from graphcolumns.ops import extension, instruction_sets, kernels
from tests.ops.support.cases import exactly, graph_of

DIAGONAL = graph_of(torch.eye(40).bool())
X = torch.ones(40, 1, 1, 4)
FORBIDDEN = (
    "the C++ kernels are not built and GRAPHCOLUMNS_COMPILE=0 forbids to compile them: unset it, "
    "or call graphcolumns.ops.extension.build_kernels() on this machine"
)
NO_COMPILER = (
    "the C++ kernels need GCC or Clang (C++17 or newer), and none was found: install one "
    "(Debian, Ubuntu: apt install g++; macOS: xcode-select --install) or name it in CXX"
)
NO_NINJA = (
    "the C++ kernels are compiled with ninja and setuptools, which are not installed: "
    "pip install 'graphcolumns[cpp]'"
)


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path) -> Path:
    """A machine on which nothing is built and no process has looked."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    for name in ("GRAPHCOLUMNS_COMPILE", "GRAPHCOLUMNS_CPU", "CXX"):
        monkeypatch.delenv(name, raising=False)
    for cached in (kernels._attempt, kernels._warn):
        cached.cache_clear()
    yield tmp_path
    for cached in (kernels._attempt, kernels._warn):
        cached.cache_clear()


@pytest.fixture
def compiler(monkeypatch) -> list[str]:
    """A compiler that writes a file and is always found; the list holds what it was asked."""
    asked = []

    def load(name, sources, build_directory, **options):
        asked.append(name)
        path = Path(build_directory) / "kernels.so"
        path.write_text("not a library")
        return str(path)

    monkeypatch.setattr(cpp_extension, "load", load)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: name)
    return asked


@pytest.fixture
def told(monkeypatch) -> dict[str, str]:
    """What compilers say they are."""
    versions = {"c++": "c++ 13"}
    monkeypatch.setattr(compilers, "identity", lambda command: versions.get(command, command))
    return versions


def attend(backend: str) -> None:
    column_attention(X, X, X, DIAGONAL, backend=backend)


def mix(backend: str) -> None:
    edge_linear(X[:, 0], torch.ones(40), DIAGONAL, backend=backend)


class TestBuild:
    def test_is_kept(self, compiler, empty):
        first, second = extension.build_kernels(), extension.build_kernels()
        assert compiler == ["kernels"]
        assert first == second == extension.library_path()
        assert first.read_text() == "not a library"
        assert {path.suffix for path in first.parent.iterdir()} <= {".so", ".lock"}

    def test_says_so_in_one_line(self, compiler, capfd):
        extension.build_kernels()
        said = capfd.readouterr().err
        assert said.count("\n") == 1
        assert said.startswith("graphcolumns: compiling the C++ kernels for this machine, once")
        extension.build_kernels()
        assert capfd.readouterr().err == ""

    def test_says_with_what_and_for_what(self, compiler, monkeypatch, capfd):
        monkeypatch.setenv("GRAPHCOLUMNS_CPU", "baseline")
        extension.build_kernels()
        command = Path(sys.executable).with_name("nobody++")
        monkeypatch.setenv("CXX", str(command))
        extension.build_kernels()
        first, second = capfd.readouterr().err.splitlines()
        assert "GRAPHCOLUMNS_CPU=baseline, " in first
        assert f"GRAPHCOLUMNS_CPU=baseline, {command})" in second

    def test_leaves_the_environment_alone(self, compiler):
        before = dict(os.environ)
        extension.build_kernels()
        assert dict(os.environ) == before

    @pytest.mark.parametrize("change", ["_cpu", "_flags"])
    def test_of_another_cpu_or_with_other_flags_is_not_taken(self, change, compiler, monkeypatch):
        extension.build_kernels()
        monkeypatch.setattr(extension, change, lambda: ["other"])
        assert not extension.library_path().exists()

    def test_of_other_instructions_is_not_taken(self, compiler, monkeypatch):
        names = ["native", *instruction_sets.executable()]
        paths = []
        for name in names:
            monkeypatch.setenv("GRAPHCOLUMNS_CPU", name)
            paths.append(extension.build_kernels())
            assert f"_{name}_" in paths[-1].parent.name
        assert len(set(paths)) == len(compiler) == len(set(names)) >= 2
        monkeypatch.delenv("GRAPHCOLUMNS_CPU")
        assert extension.library_path() == paths[0]

    def test_of_another_compiler_is_not_taken(self, compiler, monkeypatch, told):
        first = extension.build_kernels()
        told["c++"] = "c++ 14"
        second = extension.build_kernels()
        monkeypatch.setenv("CXX", "other++ -stdlib=libc++")
        third = extension.build_kernels()
        assert len({first, second, third}) == len(compiler) == 3

    def test_for_the_baseline_serves_every_cpu_of_a_kind(self, compiler, monkeypatch):
        monkeypatch.setenv("GRAPHCOLUMNS_CPU", "baseline")
        here = extension.build_kernels()
        monkeypatch.setattr(instruction_sets, "cpu", lambda: "another model")
        assert extension.library_path() == here
        monkeypatch.setenv("GRAPHCOLUMNS_CPU", "native")
        assert extension.library_path() != here

    def test_of_another_compiler_is_taken_where_nothing_may_be_compiled(
        self, compiler, monkeypatch, told
    ):
        kept = extension.build_kernels()
        told["c++"] = "c++ 14"
        monkeypatch.setenv("GRAPHCOLUMNS_COMPILE", "0")
        assert extension.build_kernels() == kept
        monkeypatch.delenv("GRAPHCOLUMNS_COMPILE")
        monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
        assert extension.build_kernels() == kept
        monkeypatch.setenv("CXX", "g++")  # whoever names a compiler wants that one
        with pytest.raises(ImportError, match="CXX='g\\+\\+' was not found"):
            extension.build_kernels()
        assert compiler == ["kernels"]

    def test_of_another_torch_or_source_is_not_taken(self, compiler, monkeypatch, tmp_path):
        here = extension.library_path()
        assert torch.__version__ in here.parent.name
        (tmp_path / "op").mkdir()
        (tmp_path / "op" / "kernel.cpp").write_text("int x;")
        monkeypatch.setattr(extension, "_FOLDER", tmp_path)
        assert extension.library_path() != here

    def test_errors_are_those_of_the_compiler(self, compiler, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError("kernel.cpp:1: no")

        monkeypatch.setattr(cpp_extension, "load", fail)
        with pytest.raises(
            ImportError, match=r"could not compile the C\+\+ kernels:\nkernel\.cpp:1"
        ):
            extension.build_kernels()
        assert not extension.library_path().exists()

    def test_clang_without_its_openmp_says_what_to_install(self, compiler, monkeypatch):
        def fail(*args, **options):
            raise RuntimeError("ParallelOpenMP.h:8:10: fatal error: 'omp.h' file not found")

        monkeypatch.setattr(cpp_extension, "load", fail)
        with pytest.raises(ImportError, match=r"apt install libomp-dev.*\n.*omp\.h"):
            extension.build_kernels()


class TestWithout:
    """backend='cpp' says what to install; 'auto' says so once and takes the reference."""

    @pytest.fixture(
        params=[(FORBIDDEN, "forbid"), (NO_COMPILER, "c++"), (NO_NINJA, "ninja")],
        ids=["forbidden", "no compiler", "no ninja"],
    )
    def reason(self, request, monkeypatch) -> str:
        message, lacks = request.param
        if lacks == "forbid":
            monkeypatch.setenv("GRAPHCOLUMNS_COMPILE", "0")

        def which(name, path=None):
            return None if lacks == "c++" or name == lacks else name

        monkeypatch.setattr(shutil, "which", which)
        return message

    @pytest.mark.parametrize("call", [attend, mix])
    def test_asked_for(self, call, reason):
        with pytest.raises(ImportError, match=exactly(reason)):
            call("cpp")
        with pytest.raises(ImportError, match=exactly(reason)):
            extension.build_kernels()

    def test_auto(self, reason, monkeypatch, empty):
        monkeypatch.setattr(backends, "CPP_FROM", 0)
        message = f"backend='auto' takes the slower 'reference': {reason}"
        with pytest.warns(UserWarning, match=exactly(message)):
            attend("auto")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            attend("auto")
            mix("auto")
        assert list(empty.iterdir()) == []

    def test_small_calls_do_not_ask(self, reason):
        assert DIAGONAL.num_edges * 4 < backends.CPP_FROM
        attend("auto")


def test_a_library_that_cannot_be_loaded_is_an_error(compiler):
    with pytest.raises(ImportError, match=r"kernels\.so"):
        attend("cpp")


@pytest.mark.parametrize("backend", ["cpp", "auto"])
def test_unknown_instructions_are_an_error_and_no_warning(backend, monkeypatch):
    monkeypatch.setattr(backends, "CPP_FROM", 0)
    monkeypatch.setenv("GRAPHCOLUMNS_CPU", "sse9")
    with pytest.raises(ValueError, match=r"^GRAPHCOLUMNS_CPU names .* Got 'sse9', no such set"):
        attend(backend)


def test_import_builds_nothing(empty):
    code = "import graphcolumns.ops.extension"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stderr == ""
    assert list(empty.iterdir()) == []


@pytest.mark.cpp
@pytest.mark.slow
def test_two_processes_compile_once(empty):
    code = "from graphcolumns.ops import kernels; kernels.library()"
    options = {"stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", code], **options) for _ in range(2)]
    said = "".join(process.communicate()[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said.count("compiling") == 1
    assert len(list(empty.rglob("*.so"))) == 1
