"""edge_scores with torch-scatter against the reference, and what is said where a backend is not."""

import pytest
import torch

from graphcolumns.ops import backend as backends
from tests.ops.support.cases import MASKS, exactly
from tests.ops.support.score_cases import Steps, calm, draw_steps
from tests.ops.test_triton import NO_TRITON


@pytest.mark.scatter
class TestScatter:
    def assert_same(self, steps: Steps, **options) -> None:
        got = steps.run(backend="scatter", **options).sums()
        expected = steps.run(backend="reference", **options).sums()
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-11)

    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_equals_the_reference(self, mask):
        self.assert_same(calm(draw_steps(mask)))

    def test_arguments(self):
        steps = calm(draw_steps(MASKS["every degree"], steps=2))
        pairs = len(steps.targets)
        self.assert_same(steps, sole=torch.rand(pairs) < 0.5, scale=0.3)
        bias = torch.randn(2, pairs, 2, dtype=torch.float64)
        for values in (bias, bias[0], bias[0, :, 0], None):
            self.assert_same(steps, bias=values)
        order = torch.randint(pairs, (90,))
        shuffled = steps._replace(targets=steps.targets[order], sources=steps.sources[order])
        self.assert_same(shuffled)
        self.assert_same(calm(draw_steps(MASKS["sparse"], shared_query=True)))

    def test_columns_without_edges_and_closed_pairs(self):
        steps = draw_steps(torch.tensor([[0, 0, 0], [1, 1, 1]]).bool())
        self.assert_same(steps)
        self.assert_same(steps, bias=torch.full((6,), -torch.inf, dtype=torch.float64))

    def test_half_inputs_are_summed_in_float32(self):
        steps = calm(draw_steps(MASKS["every degree"])).to(torch.bfloat16)
        got = steps.run(backend="scatter").sums()
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, steps.run().sums(), rtol=1e-4, atol=1e-5)


class TestWhatIsMissing:
    @pytest.fixture
    def steps(self) -> Steps:
        return draw_steps(MASKS["sparse"])

    def test_torch_scatter(self, steps, monkeypatch):
        monkeypatch.setattr(backends, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match="backend='scatter' needs torch-scatter"):
            steps.run(backend="scatter")

    def test_triton(self, steps, monkeypatch):
        monkeypatch.setattr(backends, "has_triton", lambda: False)
        with pytest.raises(ImportError, match=exactly(NO_TRITON)):
            steps.run(backend="triton")

    def test_a_cuda_device(self, steps, monkeypatch):
        monkeypatch.setattr(backends, "has_triton", lambda: True)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)
        with pytest.raises(ValueError, match="runs on CUDA, and tensors are on cpu: use"):
            steps.run(backend="triton")
