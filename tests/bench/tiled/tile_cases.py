"""Attention in tiles against the reference, forward and backward. See test_tiled."""

import pytest
import torch

from graphcolumns.bench.tiled.tiled_attention import tiled_attention
from graphcolumns.bench.tiled.windows import Windows
from tests.ops.support.cases import Case, draw, exactly, gradients, random_mask
from tests.ops.triton_cases import DEVICE, HALF, on_cuda, on_device, skewed


def run(case: Case, density: float = 0.0, **options) -> list[torch.Tensor]:
    """Out, lse, and the gradients of q, k, v and bias."""
    windows = Windows.of(case.graph, density)
    found = tiled_attention(*case[2:5], case.graph, windows, bias=case.bias, **options)
    return [*found, *gradients(case, found)]


def expect(case: Case, **options) -> list[torch.Tensor]:
    found = case.run("reference", **options)
    found = (found.out, found.lse)
    return [*found, *gradients(case, found)]


def check(case: Case, density: float = 0.0, tolerance: float = 1e-5, **options) -> None:
    pairs = zip(run(on_device(case), density, **options), expect(case, **options), strict=True)
    for x, y in pairs:
        finite = y.detach()[y.isfinite()]
        size = max(1.0, float(finite.abs().max())) if len(finite) else 1.0
        torch.testing.assert_close(x.cpu().double(), y, rtol=0, atol=tolerance * size)


OPTIONS = {
    "no bias": {"bias": None},
    "bias": {"bias": "E", "batch": 1},
    "bias of heads": {"bias": "EH", "heads": 3, "batch": 2},
    "shared query": {"bias": "EH", "shared_query": True},
}


class TestExact:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_options(self, options):
        """Two windows, the second half empty, of more sources than are read at a time."""
        check(draw(random_mask(21, 40, 0.3), cost=None, **options))

    @pytest.mark.parametrize(("width", "value_width"), [(1, 1), (16, 5), (17, 33), (128, 2)])
    def test_widths(self, width, value_width):
        case = draw(skewed(6, 9), 1, 1, width, value_width, bias="E", cost=None)
        check(case, scale=0.3)

    @pytest.mark.parametrize("density", [0.0, 0.2, 2.0])
    def test_tiles_and_rows(self, density):
        """A window that is full, one that is nearly empty, and one that is."""
        mask = torch.zeros(50, 20, dtype=torch.bool)
        mask[:16, :16] = mask[18, 3] = mask[20, 18] = mask[48] = True
        case = draw(mask, 2, 1, 3, bias="EH", cost=None)
        windows = Windows.of(case.graph, density)
        assert len(windows.rows) == {0.0: 0, 0.2: 18, 2.0: 34}[density]
        check(case, density)

    def test_twice_the_same_bits(self):
        case = on_device(draw(random_mask(20, 30, 0.4), cost=None))
        for x, y in zip(run(case, 0.3), run(case, 0.3), strict=True):
            assert torch.equal(x, y)

    def test_closed_edges_and_no_batch(self):
        case = draw(random_mask(4, 6, 0.9), bias="E", cost=None)
        with torch.no_grad():
            case.bias[: int(case.mask[0].sum())] = -float("inf")
        check(case)
        empty = on_device(draw(random_mask(4, 6, 0.9), batch=0, cost=None))
        assert run(empty)[0].shape == (4, 0, 2, 3)

    @pytest.mark.parametrize("dtype", HALF, ids=str)
    def test_half_types(self, dtype):
        """Sums are float32; weights are rounded to the type, as in the products of others."""
        case = draw(random_mask(6, 60, 0.7), width=8, bias="E", cost=None)
        case = case.to(dtype).to(torch.float64)
        got, exact = run(on_device(case, dtype)), expect(case)
        assert got[0].dtype == dtype
        assert got[1].dtype == torch.float32
        torch.testing.assert_close(got[1].cpu().double(), exact[1], rtol=1e-6, atol=1e-6)
        for x, y in zip(got, exact, strict=True):
            error = (x.cpu().double() - y).abs().max()
            assert error <= 4 * HALF[dtype] * y.abs().max()

    @on_cuda
    def test_large(self):
        check(draw(random_mask(500, 700, 0.1), 8, 4, 64, cost=None), 0.1)


class TestRefuses:
    @pytest.mark.parametrize("narrow", [(), ("q", "k")])
    def test_wide_heads(self, narrow):
        case = on_device(draw(torch.ones(1, 1).bool(), width=129, cost=None))
        case = case._replace(**{name: getattr(case, name)[..., :1] for name in narrow})
        message = "tiles take heads of 128 numbers at most, got 129"
        with pytest.raises(ValueError, match=exactly(message)):
            run(case)

    def test_float64(self):
        case = draw(torch.ones(1, 1).bool(), cost=None)
        case = case._replace(graph=case.graph.to(DEVICE))
        case = Case(case.mask, case.graph, *(x if x is None else x.to(DEVICE) for x in case[2:]))
        message = "tiles take float32, bfloat16 and float16, got torch.float64"
        with pytest.raises(TypeError, match=exactly(message)):
            run(case)


def test_rows_sum_to_one():
    case = draw(random_mask(20, 30, 0.4), 1, 2, 8, bias="E", cost=None)
    ones = case._replace(v=torch.ones_like(case.v), bias=torch.full_like(case.bias, -1e9))
    moved = on_device(ones)
    windows = Windows.of(moved.graph, 0.0)
    out, lse = tiled_attention(*moved[2:5], moved.graph, windows, bias=moved.bias)
    torch.testing.assert_close(out.cpu(), torch.ones(out.shape), rtol=1e-6, atol=0.0)
    assert (lse == -1e9).all()
