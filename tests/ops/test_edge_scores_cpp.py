"""The C++ kernel of edge_scores against the reference, over shapes that its vectors care about."""

from importlib import import_module

import pytest
import torch

from graphcolumns.ops import edge_scores
from tests.ops.support.cases import MASKS
from tests.ops.support.score_cases import Steps, calm, draw_steps

pytestmark = pytest.mark.cpp
module = import_module("graphcolumns.ops.edge_scores")  # beside its function of that name
SHAPES = {  # batch, heads, width, width of values: lanes and rows of all kinds
    "one lane": (1, 1, 1, 1),
    "packed lanes": (1, 4, 8, 4),
    "no power of two": (5, 3, 3, 7),
    "rows of vectors": (4, 4, 16, 32),
    "two slices of samples": (70, 2, 4, 4),
}


def assert_same(steps: Steps, tolerance: float, **options) -> None:
    got = steps.run(backend="cpp", **options).sums()
    expected = steps.run(backend="reference", **options).sums()
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("mask", ["every degree", "more sources", "no edges"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_equals_the_reference(shape, mask, dtype):
    batch, heads, width, value_width = shape
    steps = draw_steps(MASKS[mask], 2, batch, heads, width, value_width)
    assert_same(calm(steps).to(dtype), 2e-4 if dtype == torch.float32 else 1e-11)


class TestArguments:
    @pytest.fixture
    def steps(self) -> Steps:
        return calm(draw_steps(MASKS["every degree"], steps=2))

    def test_bias_of_every_shape(self, steps):
        bias = torch.randn(2, len(steps.targets), 2, dtype=torch.float64)
        for values in (bias, bias[0], bias[0, :, 0], None):
            assert_same(steps, 1e-11, bias=values)

    def test_pairs_in_any_order_and_twice(self, steps):
        order = torch.randint(len(steps.targets), (90,))
        shuffled = steps._replace(targets=steps.targets[order], sources=steps.sources[order])
        assert_same(shuffled, 1e-11)
        assert_same(shuffled, 1e-11, bias=torch.randn(2, 90, 2, dtype=torch.float64))

    def test_sole_edges(self, steps):
        assert_same(steps, 1e-11, sole=torch.rand(len(steps.targets)) < 0.5)

    def test_shared_queries(self):
        assert_same(calm(draw_steps(MASKS["sparse"], shared_query=True)), 1e-11)

    def test_no_pairs(self, steps):
        none = torch.zeros(0, dtype=torch.int32)
        got = steps._replace(targets=none, sources=none).run(backend="cpp")
        assert got.sums().shape == (10, 0)

    def test_columns_without_edges_and_closed_pairs(self):
        steps = draw_steps(torch.tensor([[0, 0, 0], [1, 1, 1]]).bool())
        assert_same(steps, 1e-11)
        assert_same(steps, 1e-11, bias=torch.full((6,), -torch.inf, dtype=torch.float64))

    def test_nan_stays_nan(self, steps):
        steps.q[0, 2, 1, 0, 0] = torch.nan
        got, expected = (steps.run(backend=x).sums().isnan() for x in ("cpp", "reference"))
        assert torch.equal(got, expected)
        assert got.any()

    def test_what_it_does_not_take(self, steps):
        with pytest.raises(TypeError, match="takes float32 and float64, got torch"):
            steps.to(torch.bfloat16).run(backend="cpp")

    def test_large_calls_take_it(self, steps, monkeypatch):
        called = []
        original = module.KERNELS["cpp"]
        monkeypatch.setitem(module.KERNELS, "cpp", lambda *x: called.append(1) or original(*x))
        steps.run()
        assert not called
        monkeypatch.setattr(module, "CPP_FROM", 1)
        steps.run()
        assert called


def test_digits_near_all_attention():
    """1 - p of 1e-4 keeps its digits: it is not the difference of rounded numbers."""
    q, v = torch.zeros(1, 1, 1, 1, 1), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    p = torch.tensor(1 - 1e-4, dtype=torch.float64)
    lse = (-p.log()).float().view(1, 1, 1, 1)
    steps = (q, torch.zeros_like(v), v, lse, torch.zeros_like(q), torch.ones_like(q))
    got = edge_scores(*steps, *torch.zeros(2, 1).long(), backend="cpp")
    assert float(got.deletion) == pytest.approx(-float(p / (1 - p)), rel=1e-6)


def test_the_same_bits_at_any_number_of_threads():
    steps = draw_steps(torch.rand(60, 60) < 0.2, batch=8, heads=4, width=16, value_width=16)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = steps.to(torch.float32).run(backend="cpp").sums()
        torch.set_num_threads(2)
        assert torch.equal(steps.to(torch.float32).run(backend="cpp").sums(), one)
    finally:
        torch.set_num_threads(threads)
