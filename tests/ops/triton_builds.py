"""Compiles the Triton kernels for CUDA, without a device. Not collected: test_triton.py runs this.

The interpreter takes what the compiler refuses (types that change in a loop, sizes that are no
powers of two), so that its tests are not enough.
"""

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.triton import backend as attention
from graphcolumns.ops.column_attention.triton.hubs import Cut
from graphcolumns.ops.edge_linear import triton as linear
from graphcolumns.ops.edge_scores import triton as scores
from tests.ops.support.cases import graph_of

TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.int32: "*i32",
    torch.int64: "*i64",
    torch.uint8: "*u8",
}
SHARED_MEMORY = 48 * 1024  # bytes that every CUDA device gives a program


def type_of(value) -> str:
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"


@pytest.fixture
def built(monkeypatch) -> dict:
    """Kernels are compiled where they would be launched; fills with what came out, by name."""
    found: dict = {}

    def build(self, *args, grid, warmup, num_warps, enable_fp_fusion, **given):
        given |= zip(self.arg_names, args, strict=False)
        constant = {x.name for x in self.params if x.is_constexpr}
        types = {
            name: "constexpr" if name in constant else type_of(given[name])
            for name in self.arg_names
        }
        values = {(self.arg_names.index(name),): given[name] for name in constant}
        aligned = {
            (index,): [["tt.divisibility", 16]]
            for index, name in enumerate(self.arg_names)
            if types[name].startswith("*")
        }
        source = ASTSource(self, types, values, aligned)
        target = GPUTarget("cuda", build.capability, 32)
        options = {"num_warps": num_warps, "enable_fp_fusion": enable_fp_fusion}
        kernel = triton.compile(source, target=target, options=options)
        assert kernel.asm["cubin"]
        assert kernel.metadata.shared <= SHARED_MEMORY
        found[self.fn.__name__] = kernel

    build.capability = 90
    monkeypatch.setattr(triton.runtime.jit.JITFunction, "run", build)
    found["run"] = build
    return found


@pytest.mark.parametrize(
    ("dtype", "capability", "shape", "options"),
    [
        (torch.float32, 90, (40, 2, 4, 16), {"bias", "cost", "dropout"}),
        (torch.bfloat16, 90, (40, 8, 3, 24), {"bias", "cost", "dropout"}),
        (torch.float16, 80, (12, 1, 40, 128), {"cost", "shared"}),
        (torch.float32, 80, (20, 1, 1, 1), set()),
    ],
)
def test_attention(dtype, capability, shape, options, built):
    built["run"].capability = capability
    columns, _, heads, _ = shape
    views = graph_of(torch.ones(columns, columns, dtype=torch.bool)).views
    edges = columns * columns
    q = k = v = torch.empty(shape, dtype=dtype)
    q = q[:, :1] if "shared" in options else q
    edge_values = (
        torch.empty(edges, heads) if "bias" in options else None,
        torch.empty(edges) if "cost" in options else None,
    )
    seed = torch.tensor(1) if "dropout" in options else None
    dropout = 0.1 if "dropout" in options else 0.0
    inputs = AttentionInputs(q, k, v, *edge_values, views, 0.25, dropout, seed)
    out, total, lse, *parts = attention.forward(inputs)
    arriving = OutputGradients(*(torch.empty_like(x) for x in (out, total, lse)))
    for given in (arriving, arriving._replace(lse=None)):
        attention.backward(given, inputs, SavedOutputs(out, total, *parts))
    assert built.keys() >= {"attend", "differentiate_columns", "differentiate_sources"}


@pytest.mark.parametrize(
    ("dtype", "capability"), [(torch.float32, 90), (torch.bfloat16, 90), (torch.float16, 80)]
)
def test_attention_with_hubs(dtype, capability, built):
    built["run"].capability = capability
    views = graph_of(torch.ones(40, 40, dtype=torch.bool)).views
    q = k = v = torch.empty(40, 3, 3, 24, dtype=dtype)
    bias, cost = torch.empty(1600, 3), torch.empty(1600)
    cut, inputs = Cut(16, 16), AttentionInputs(q, k, v, bias, cost, views, 0.25, 0.0, None)
    out, total, lse, *parts = cut.forward(inputs)
    arriving = OutputGradients(*(torch.empty_like(x) for x in (out, total, lse)))
    cut.backward(arriving, inputs, SavedOutputs(out, total, *parts))
    kernels = {"attend", "differentiate_columns", "differentiate_sources"}
    assert built.keys() >= kernels | {"merge_levels", "merge_rows"}


@pytest.mark.parametrize(
    ("dtype", "heads", "width"),
    [(torch.float32, 1, 64), (torch.bfloat16, 3, 16), (torch.float16, 48, 1)],
)
def test_edge_linear(dtype, heads, width, built):
    views = graph_of(torch.ones(20, 20, dtype=torch.bool)).views
    x, weight = torch.empty(20, 3, heads, width, dtype=dtype), torch.empty(400, heads)
    y = linear.forward(x, weight, views)
    linear.backward(torch.empty_like(y), x, weight, views)
    assert built.keys() >= {"sum_rows", "differentiate_weights"}


@pytest.mark.parametrize(
    ("dtype", "shape", "options"),
    [
        (torch.float32, (4, 8, 4, 16), {"bias", "sole"}),
        (torch.bfloat16, (2, 5, 3, 24), {"bias of steps"}),
        (torch.float16, (1, 3, 40, 128), {"shared"}),
        (torch.float32, (1, 1, 1, 1), set()),
    ],
)
def test_edge_scores(dtype, shape, options, built):
    steps, batch, heads, width = shape
    k = v = out = torch.empty(steps, 20, batch, heads, width, dtype=dtype)
    q = k[:, :, :1] if "shared" in options else k
    pair, lse = torch.empty(40, dtype=torch.int64), torch.empty(k.shape[:4])
    bias = {
        "bias": torch.empty(40, heads),
        "bias of steps": torch.empty(steps, 40, heads, dtype=dtype),
    }
    values = next((bias[name] for name in options if name in bias), None)
    sole = torch.empty(40, dtype=torch.bool) if "sole" in options else None
    scores.edge_scores(q, k, v, lse, out, out, pair, pair, values, sole, 0.25, None, None)
    assert "score_pairs" in built
