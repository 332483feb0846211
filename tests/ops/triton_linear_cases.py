"""The signed sum along edges in Triton against the reference. See triton_cases."""

import pytest
import torch
from torch import Tensor

from graphcolumns import edge_linear
from graphcolumns.ops import tiles
from tests.ops.support.cases import MASKS, graph_of, random_mask
from tests.ops.triton_cases import DEVICE, HALF, on_cuda, skewed


def both(x: Tensor, weight: Tensor, mask: Tensor, dtypes: tuple[torch.dtype, torch.dtype]) -> list:
    """Pairs of results and gradients, in float64: of Triton and of the reference."""
    graph, found = graph_of(mask), []
    for device, (first, second) in ((DEVICE, dtypes), ("cpu", (torch.float64,) * 2)):
        given = (x.to(device, first).requires_grad_(), weight.to(device, second).requires_grad_())
        name = "triton" if second == dtypes[1] else "reference"
        y = edge_linear(*given, graph.to(device), backend=name)
        torch.manual_seed(1)
        arriving = torch.randn(y.shape).to(dtypes[0]).to(y)
        found.append([y, *torch.autograd.grad(y, given, arriving)])
        if name == "triton":
            assert [t.dtype for t in found[0]] == [torch.promote_types(*dtypes), *dtypes]
    return [(a.detach().cpu().double(), b.detach()) for a, b in zip(*found, strict=True)]


class TestEdgeLinear:
    SHAPES = (None, 1, 3, 12)

    @pytest.mark.parametrize("heads", [None, 3])
    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_masks(self, mask, heads):
        self.compare(mask, heads)

    @pytest.mark.parametrize("heads", [None, 12])
    def test_rows_of_many_tiles(self, heads):
        self.compare(skewed(5, 100), heads, channels=132, batch=1)

    @pytest.mark.parametrize("heads", SHAPES)
    def test_patches(self, heads, monkeypatch):
        monkeypatch.setattr(tiles, "PROGRAMS", 2)
        self.compare(random_mask(7, 5, 0.5), heads, channels=24)

    @pytest.mark.parametrize("channels", [1, 100])
    def test_channels(self, channels):
        self.compare(MASKS["every degree"], None, channels)
        self.compare(MASKS["every degree"], channels, channels)

    def test_no_batch(self):
        self.compare(MASKS["sparse"], 3, batch=0)

    @pytest.mark.parametrize("types", [(torch.bfloat16,) * 2, (torch.float16, torch.float32)])
    def test_half(self, types):
        x, weight = torch.randn(200, 2, 12).to(types[0]), torch.randn(400, 3).to(types[1])
        for got, expected in both(x, weight, torch.ones(2, 200, dtype=torch.bool), types):
            assert (got - expected).abs().max() < 2 * HALF[types[0]] * expected.abs().max()

    @on_cuda
    @pytest.mark.parametrize("heads", SHAPES)
    def test_large(self, heads):
        self.compare(random_mask(700, 500, 0.1), heads, channels=96, batch=9)

    def compare(self, mask: Tensor, heads: int | None, channels: int = 12, batch: int = 2) -> None:
        x = torch.randn(mask.shape[1], batch, channels)
        weight = torch.randn(int(mask.sum()), *([] if heads is None else [heads]))
        for got, expected in both(x, weight, mask, (torch.float32, torch.float32)):
            size = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
            torch.testing.assert_close(got, expected, rtol=0.0, atol=1e-5 * size)
