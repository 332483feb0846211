"""Attention in Triton against the reference. Not collected by itself: test_triton.py runs this.

In a process of its own, either with TRITON_INTERPRET=1 on the CPU, where shapes are tiny, or on a
CUDA device.
"""

import os

import pytest
import torch
from torch import Tensor

from graphcolumns.ops import tiles
from tests.ops.support.cases import MASKS, Case, assert_same, draw, gradients, graph_of, random_mask

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
on_cuda = pytest.mark.skipif(INTERPRETED, reason="too large for the interpreter")
# Unit roundoff; the interpreter cuts bfloat16 off instead of rounding it.
HALF = {torch.bfloat16: 2.0 ** (-7 if INTERPRETED else -8), torch.float16: 2.0**-11}


def on_device(case: Case, dtype: torch.dtype = torch.float32) -> Case:
    values = [
        None if x is None else x.detach().to(DEVICE, dtype).requires_grad_() for x in case[2:]
    ]
    return Case(case.mask, case.graph.to(DEVICE), *values)


def check(case: Case, tolerance: float = 1e-5, **options) -> None:
    """Float32 against the reference in float64: every output and every gradient."""
    narrow = on_device(case)
    result, expected = narrow.run("triton", **options), case.run("reference", **options)
    assert_same(narrow, case, result, expected, tolerance)


def skewed(columns: int, sources: int) -> Tensor:
    """In-degrees from none to all sources, out-degrees from none to nearly all columns."""
    degree = torch.logspace(0, torch.log10(torch.tensor(sources)), columns).long() - 1
    mask = torch.arange(sources) < degree[:, None]
    return mask[:, torch.randperm(sources)]


def bits(case: Case, **options) -> list[Tensor]:
    result = case.run("triton", **options)
    return [x for x in (*result, *gradients(case, result)) if x is not None]


OPTIONS = {
    "everything": {"bias": "EH", "cost": "E"},
    "nothing": {"bias": None, "cost": None},
    "bias": {"bias": "E", "cost": None, "batch": 1},
    "other heads": {"bias": "E", "cost": "EH", "heads": 3, "batch": 5},
    "one head": {"bias": "EH", "cost": None, "heads": 1, "batch": 3},
    "shared query": {"bias": None, "cost": "EH", "shared_query": True, "heads": 3},
}


class TestAttention:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_options(self, mask, options):
        check(draw(mask, **options))

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_dropout(self, options):
        check(draw(MASKS["every degree"], **options), dropout=0.3, seed=3)

    @pytest.mark.parametrize(
        ("width", "value_width"), [(1, 1), (5, 5), (8, 8), (17, 3), (3, 17), (130, 1)]
    )
    def test_widths(self, width, value_width):
        check(draw(MASKS["fewer sources"], width=width, value_width=value_width))

    # Slices of the heads (a tile holds 4 of width 64 and 8 edges), and of the batch.
    @pytest.mark.parametrize(
        ("batch", "heads", "width", "bias"),
        [(1, 7, 64, "E"), (1, 7, 64, "EH"), (2, 5, 64, "EH"), (9, 3, 32, "E"), (5, 3, 32, "EH")],
    )
    def test_lanes(self, batch, heads, width, bias):
        case = draw(random_mask(2, 9, 0.6), batch, heads, width, value_width=2, bias=bias)
        check(case, dropout=0.2, seed=1)

    @pytest.mark.parametrize("scale", [0.0, 2.5])
    def test_scale(self, scale):
        check(draw(MASKS["sparse"]), scale=scale)

    def test_rows_of_many_tiles(self):
        check(draw(skewed(5, 80), width=2), dropout=0.1, seed=2)

    def test_patches_and_groups(self, monkeypatch):
        """A program does all rows and the whole batch, or a row of a part of it."""
        case = draw(random_mask(4, 3, 0.7), batch=3, heads=3, width=2)
        monkeypatch.setattr(tiles, "NUMBERS", 16)
        runs = []
        for programs in (1, 8):
            monkeypatch.setattr(tiles, "PROGRAMS", programs)
            check(case, dropout=0.2, seed=2)
            runs.append(bits(on_device(case), dropout=0.2, seed=2))
        for index, (x, y) in enumerate(zip(*runs, strict=True)):
            if index in (6, 7):  # bias and cost: sums over the batch are grouped otherwise
                torch.testing.assert_close(x, y)
            else:
                assert torch.equal(x, y)

    @on_cuda
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    @pytest.mark.parametrize("width", [16, 33, 64])
    def test_large(self, options, width):
        check(draw(random_mask(700, 500, 0.1), **{"batch": 8, "heads": 4, **options}, width=width))
        check(draw(skewed(50, 3000), **options, width=width), dropout=0.1, seed=1)

    @on_cuda
    def test_offsets_beyond_32_bits(self):
        sources, batch = 2**16 + 8, 64
        mask = torch.zeros(2, sources, dtype=torch.bool)
        mask[:, -4:] = True
        graph = graph_of(mask).to(DEVICE)
        k = torch.randn(sources, batch, 8, 64, device=DEVICE, dtype=torch.bfloat16)
        assert k.numel() > 2**31
        far = Case(mask, graph, k[-2:], k, k, None, None)
        near = Case(
            mask[:, -4:], graph_of(mask[:, -4:]).to(DEVICE), k[-2:], k[-4:], k[-4:], None, None
        )
        assert torch.equal(far.run("triton").out, near.run("triton").out)


@pytest.mark.parametrize("dtype", HALF, ids=str)
class TestHalf:
    def draw(self, dtype: torch.dtype) -> Case:
        """Rows of more than a tile, of numbers that the half type has."""
        case = draw(random_mask(2, 50, 0.8), width=8)
        return case.to(dtype).to(torch.float64)

    def test_sums_are_in_float32(self, dtype):
        case = self.draw(dtype)
        got, exact = on_device(case, dtype).run("triton"), case.run("reference")
        assert got.out.dtype == dtype
        assert got.cost.dtype == got.lse.dtype == torch.float32
        close = torch.testing.assert_close
        close(got.out.cpu().double(), exact.out, rtol=HALF[dtype], atol=1e-6)
        close(got.cost.cpu().double(), exact.cost, rtol=1e-5, atol=1e-6)
        close(got.lse.cpu().double(), exact.lse, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("shared_query", [False, True])
    def test_gradients(self, dtype, shared_query):
        case = self.draw(dtype)
        if shared_query:
            case = case._replace(q=case.q[:, :1].detach().requires_grad_())
        narrow = on_device(case, dtype)
        options = {"dropout": 0.3, "seed": 4}
        grads = gradients(narrow, narrow.run("triton", **options))
        exact = gradients(case, case.run("reference", **options))
        for grad, expected in zip(grads, exact, strict=True):
            assert grad.dtype == dtype
            assert grad.shape == expected.shape
            error = (grad.cpu().double() - expected).abs().max()
            assert error < 4 * HALF[dtype] * expected.abs().max()

    def test_wider_bias_and_cost(self, dtype):
        case = on_device(self.draw(dtype), dtype)
        wide = case._replace(bias=case.bias.float(), cost=case.cost.double())
        for x, y in zip(wide.run("triton"), case.run("triton"), strict=True):
            assert torch.equal(x, y)
