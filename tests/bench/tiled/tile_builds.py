"""Compiles the kernel of tiles for CUDA, without a device. Run by test_tiled.py."""

import pytest
import torch

from graphcolumns.bench.tiled.tiled_attention import tiled_attention
from graphcolumns.bench.tiled.windows import Windows
from tests.ops import triton_builds
from tests.ops.support.cases import graph_of

built = triton_builds.built  # a fixture


@pytest.mark.parametrize(
    ("dtype", "capability", "shape", "bias"),
    [
        (torch.float32, 90, (3, 4, 16), 4),
        (torch.float32, 80, (2, 1, 128), 0),
        (torch.bfloat16, 90, (1, 3, 24), 1),
        (torch.bfloat16, 80, (2, 2, 128), 2),
        (torch.float16, 90, (2, 2, 64), 0),
    ],
)
def test_tiles(dtype, capability, shape, bias, built, monkeypatch):
    # Nothing runs.
    monkeypatch.setattr(f"{tiled_attention.__module__}.check_triton", lambda *x: None)
    built["run"].capability = capability
    graph = graph_of(torch.ones(40, 40, dtype=torch.bool))
    q = torch.empty(40, *shape, dtype=dtype)
    values = torch.empty(1600, bias).squeeze(1) if bias else None
    tiled_attention(q, q, q, graph, Windows.of(graph), bias=values)
    kernel = built["attend_tiles"]
    assert "mma" in kernel.asm["ptx"] or dtype == torch.float32  # tensor cores
