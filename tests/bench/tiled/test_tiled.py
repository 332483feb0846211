"""Attention in tiles, in a process of its own as the kernels of ops."""

from pathlib import Path

import pytest

from tests.ops.test_triton import needs_interpreter, needs_triton, run_tests

HERE = Path(__file__).parent


@pytest.mark.slow
@needs_triton
@needs_interpreter
def test_interpreted_on_the_cpu():
    run_tests(HERE / "tile_cases.py", TRITON_INTERPRET="1")


@pytest.mark.slow
@needs_triton
def test_the_kernel_compiles_for_cuda(tmp_path):
    run_tests(HERE / "tile_builds.py", TRITON_CACHE_DIR=str(tmp_path))


@pytest.mark.gpu
def test_on_cuda():
    run_tests(HERE / "tile_cases.py")
