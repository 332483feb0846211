"""Large pages: asked for where they help, and never anything else."""

import mmap

import pytest
import torch

from graphcolumns.ops import kernels


@pytest.fixture
def asked(monkeypatch):
    calls = []
    monkeypatch.setattr(kernels, "_madvise", lambda: lambda *call: calls.append(call))
    return calls


def test_whole_pages_inside_a_large_tensor(asked):
    tensor = torch.empty(kernels.LARGE + 1000, dtype=torch.uint8)
    kernels.advise(tensor, None)
    ((start, size, _),) = asked
    begin, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    assert begin <= start < begin + mmap.PAGESIZE
    assert end - mmap.PAGESIZE < start + size <= end
    assert start % mmap.PAGESIZE == size % mmap.PAGESIZE == 0


def test_small_and_other_tensors_are_left_alone(asked):
    kernels.advise(
        torch.empty(kernels.LARGE - 1, dtype=torch.uint8),
        torch.empty(kernels.LARGE, device="meta"),
        torch.empty(0),
        None,
    )
    assert not asked


def test_systems_without_it(monkeypatch):
    monkeypatch.setattr(kernels, "_madvise", lambda: None)
    kernels.advise(torch.empty(kernels.LARGE))


def test_the_contents_stay():
    tensor = torch.arange(kernels.LARGE // 4 + 5, dtype=torch.int32)
    kernels.advise(tensor)
    assert torch.equal(tensor, torch.arange(kernels.LARGE // 4 + 5, dtype=torch.int32))
