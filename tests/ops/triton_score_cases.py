"""Scores of pairs in Triton against the reference. See triton_cases."""

import pytest
import torch

from graphcolumns.ops import edge_scores
from graphcolumns.ops.edge_scores import triton
from tests.ops.support.cases import MASKS, random_mask
from tests.ops.support.score_cases import Steps, calm, draw_steps
from tests.ops.triton_cases import DEVICE, HALF, on_cuda

SHAPES = {  # steps, batch, heads, width, width of values
    "one lane": (1, 1, 1, 1, 1),
    "no power of two": (2, 5, 3, 3, 7),
    "rows of many parts": (2, 3, 12, 16, 32),
    "wide": (1, 2, 1, 100, 128),
}


def scored(steps: Steps, dtype: torch.dtype = torch.float32, **options) -> torch.Tensor:
    """By Triton, on its device, as float64."""
    moved = steps.to(dtype)
    given = {"bias": moved.matrix[steps.targets, steps.sources]} | options
    given = {k: x.to(DEVICE) if torch.is_tensor(x) else x for k, x in given.items()}
    tensors = [x.to(DEVICE) for x in (*moved[1:7], moved.targets, moved.sources)]
    got = edge_scores(*tensors, backend="triton", **given).sums()
    assert got.dtype == torch.float32
    return got.cpu().double()


def assert_same(steps: Steps, tolerance: float = 2e-4, **options) -> None:
    expected = steps.run(backend="reference", **options).sums()
    torch.testing.assert_close(scored(steps, **options), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("mask", ["every degree", "more sources"])
def test_equals_the_reference(shape, mask):
    assert_same(calm(draw_steps(MASKS[mask], *shape)))


class TestArguments:
    @pytest.fixture
    def steps(self) -> Steps:
        return calm(draw_steps(MASKS["every degree"], steps=2))

    def test_bias_of_every_shape(self, steps):
        bias = torch.randn(2, len(steps.targets), 2, dtype=torch.float64)
        for values in (bias, bias[0], bias[0, :, 0], None):
            assert_same(steps, bias=values)

    def test_pairs_in_any_order_and_twice(self, steps):
        order = torch.randint(len(steps.targets), (50,))
        shuffled = steps._replace(
            targets=steps.targets[order].int(), sources=steps.sources[order].int()
        )
        assert_same(shuffled, bias=torch.randn(2, 50, 2, dtype=torch.float64))

    def test_sole_edges(self, steps):
        assert_same(steps, sole=torch.rand(len(steps.targets)) < 0.5)

    def test_shared_queries(self):
        assert_same(calm(draw_steps(MASKS["sparse"], shared_query=True)))

    def test_no_pairs(self, steps):
        none = torch.zeros(0, dtype=torch.int32)
        assert scored(steps._replace(targets=none, sources=none)).shape == (10, 0)

    def test_columns_without_edges_and_closed_pairs(self):
        steps = draw_steps(torch.tensor([[0, 0, 0], [1, 1, 1]]).bool())
        assert_same(steps)
        closed = torch.full((6,), -torch.inf, dtype=torch.float64)
        assert_same(steps, bias=closed)

    def test_nan_stays_nan(self, steps):
        steps.q[0, 2, 1, 0, 0] = torch.nan
        got, expected = scored(steps).isnan(), steps.run(backend="reference").sums().isnan()
        assert torch.equal(got, expected)
        assert got.any()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
    def test_half(self, steps, dtype):
        narrow = steps.to(dtype)
        wide = narrow._replace(**{n: getattr(narrow, n).double() for n in narrow._fields[1:8]})
        got, expected = scored(steps, dtype), wide.run(backend="reference").sums()
        size = expected.abs().amax(1, keepdim=True)
        assert ((got - expected).abs() <= HALF[dtype] * size).all()


def test_digits_near_all_attention():
    """1 - p of 1e-4 keeps its digits: it is not the difference of rounded numbers."""
    q, v = torch.zeros(1, 1, 1, 1, 1), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1)
    p = torch.tensor(1 - 1e-4, dtype=torch.float64)
    lse = (-p.log()).float().view(1, 1, 1, 1)
    steps = (q, torch.zeros_like(v), v, lse, torch.zeros_like(q), torch.ones_like(q))
    pair = torch.zeros(1, dtype=torch.int64)
    moved = [x.to(DEVICE) for x in (*steps, pair, pair)]
    got = edge_scores(*moved, backend="triton")
    assert float(got.deletion) == pytest.approx(-float(p / (1 - p)), rel=1e-6)


def test_the_same_bits_in_any_order():
    steps = calm(draw_steps(MASKS["every degree"], batch=3))
    order = torch.randperm(len(steps.targets))
    shuffled = steps._replace(targets=steps.targets[order], sources=steps.sources[order])
    assert torch.equal(scored(steps)[:, order], scored(shuffled))


def test_other_types_take_the_reference(monkeypatch):
    monkeypatch.setattr(triton.reference, "edge_scores", lambda *x: torch.full((10, 36), 7.0))
    steps = draw_steps(torch.ones(6, 6, dtype=torch.bool))
    given = [x.to(DEVICE) for x in (*steps[1:7], steps.targets, steps.sources)]
    assert (edge_scores(*given, backend="triton").mass == 7).all()


@on_cuda
def test_large():
    steps = calm(draw_steps(random_mask(300, 200, 0.2), 3, 9, 4, 16, 16))
    assert_same(steps, 1e-3)
