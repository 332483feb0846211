"""The Triton kernels, and what is said when they cannot run.

The files that test them run in a process of their own: the interpreter is chosen when triton is
imported.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from graphcolumns import edge_linear
from graphcolumns.ops import backend as backends
from tests.ops.support.cases import draw, exactly, graph_of


def _older(package: str, than: tuple[int, int]) -> bool:
    if find_spec(package) is None:
        return False
    return tuple(int(part) for part in version(package).split(".")[:2]) < than


needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
# Its loops take the bounds as whole numbers, which NumPy 2.4 refuses to make of arrays.
needs_interpreter = pytest.mark.skipif(
    _older("triton", (3, 7)) and not _older("numpy", (2, 4)),
    reason="the interpreter of Triton 3.6 and older needs NumPy 2.3 or older",
)
SPARSE = graph_of(torch.eye(32).bool())
NO_CUDA = (
    "backend='triton' runs on CUDA, and the graph is on cpu: use backend='auto', or move graph "
    "and tensors with .to('cuda'). (Tests run it on the CPU, slowly, with TRITON_INTERPRET=1 set "
    "before triton is imported)"
)
NO_TRITON = (
    "backend='triton' needs triton, which is not installed: on Linux pip install triton (torch for "
    "CUDA brings its own), or use backend='auto'"
)


CASES = (
    "triton_cases.py",
    "triton_special_cases.py",
    "triton_linear_cases.py",
    "triton_score_cases.py",
)
HUBS = ("triton_hub_cases.py",)
ARITHMETIC = ("triton_arithmetic_cases.py",)


def run_tests(*names: str | Path, **environment: str) -> None:
    """Runs files of this folder, or of another by their paths; the report of a failure is told."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "TRITON_INTERPRET"))
    }
    files = [str(Path(__file__).parent / name) for name in names]
    # -P: an installed wheel comes before this folder.
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    result = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *quiet, *files],
        env=inherited | environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


@needs_triton
@needs_interpreter
@pytest.mark.parametrize(
    "files",
    [
        pytest.param(CASES, id="rows", marks=pytest.mark.slow),
        pytest.param(HUBS, id="hubs", marks=pytest.mark.slow),
        pytest.param(ARITHMETIC, id="arithmetic"),
    ],
)
def test_interpreted_on_the_cpu(files):
    run_tests(*files, TRITON_INTERPRET="1")


@pytest.mark.slow
@needs_triton
def test_kernels_compile_for_cuda(tmp_path):
    run_tests("triton_builds.py", TRITON_CACHE_DIR=str(tmp_path))


@pytest.mark.gpu
def test_on_cuda():
    run_tests(*CASES, *HUBS, *ARITHMETIC)


def attend(backend: str) -> None:
    draw(torch.eye(3).bool(), dtype=torch.float32).run(backend)


def mix(backend: str) -> None:
    edge_linear(torch.ones(32, 1, 2), torch.ones(32), SPARSE, backend=backend)


@pytest.mark.parametrize("call", [attend, mix])
class TestChoice:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch):
        monkeypatch.setattr(backends, "has_triton", lambda: True)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)

    def test_refuses_cpu_tensors(self, call):
        with pytest.raises(ValueError, match=exactly(NO_CUDA)):
            call("triton")

    def test_says_when_it_is_missing(self, call, monkeypatch):
        monkeypatch.setattr(backends, "has_triton", lambda: False)
        with pytest.raises(ImportError, match=exactly(NO_TRITON)):
            call("triton")
        call("auto")  # never needs it


def test_auto_takes_it_on_cuda_only(monkeypatch):
    monkeypatch.setattr(backends, "has_triton", lambda: True)
    assert not backends.triton_runs(SPARSE, torch.float32)
    assert not backends.triton_runs(SPARSE.to("meta"), torch.float32)


@pytest.mark.slow
def test_importing_graphcolumns_does_not_import_the_kernels():
    """PyG imports triton itself, so that one looks for ours."""
    code = "import sys, graphcolumns; print([x for x in sys.modules if x.endswith('triton.lanes')])"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"
