"""What attention keeps and in which precision: half types, autocast, repeats, saved memory."""

import pytest
import torch

from graphcolumns import column_attention
from tests.ops.support.cases import MASKS, Case, draw, gradients, graph_of, oracle, random_mask

CPP = pytest.param("cpp", marks=pytest.mark.cpp)
HALF = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}  # unit roundoff


class TestHalf:
    @pytest.fixture(params=HALF, ids=str)
    def half(self, request) -> Case:
        # 200 in-edges: a sum in bfloat16 would stall after 256 equal terms and be off by 1e-2.
        return draw(random_mask(8, 250, 0.8), width=16).to(request.param)

    def test_dtypes(self, backend, half):
        out, cost, lse = half.run(backend)
        assert out.dtype == half.v.dtype
        assert cost.dtype == lse.dtype == torch.float32
        for grad, x in zip(gradients(half, half.run(backend)), half.inputs, strict=True):
            assert grad.dtype == x.dtype

    def test_sums_are_in_float32(self, backend, half):
        """Only the result is rounded: compare with the same numbers in float64."""
        exact = oracle(half.to(torch.float64))
        out, cost, lse = half.run(backend)
        roundoff = HALF[out.dtype]
        torch.testing.assert_close(out.double(), exact.out, rtol=roundoff, atol=1e-6)
        torch.testing.assert_close(cost.double(), exact.cost, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(lse.double(), exact.lse, rtol=1e-6, atol=1e-6)

    def test_gradients(self, backend, half):
        """The saved output is rounded too, so errors are those of a few roundings."""
        wide = half.to(torch.float64)
        grads, exact = gradients(half, half.run(backend)), gradients(wide, oracle(wide))
        for grad, expected in zip(grads, exact, strict=True):
            error = (grad.double() - expected).abs().max()
            assert error < 4 * HALF[grad.dtype] * expected.abs().max()

    def test_float32_bias_and_cost_with_half_values(self, backend):
        case = draw(MASKS["every degree"]).to(torch.bfloat16)
        case = case._replace(bias=case.bias.float(), cost=case.cost.double())
        out, cost, lse = case.run(backend)
        assert out.dtype == torch.bfloat16
        assert cost.dtype == lse.dtype == torch.float32


class TestAutocast:
    """q, k and v take the dtype of autocast, sums stay in float32: the same as casting by hand."""

    @pytest.fixture
    def case(self) -> Case:
        return draw(MASKS["every degree"], width=16, dtype=torch.float32)

    def cast(self, case: Case) -> Case:
        q, k, v = (x.bfloat16() for x in case[2:5])
        return Case(case.mask, case.graph, q, k, v, *case[5:])

    def test_equals_a_cast_by_hand(self, backend, case):
        with torch.autocast("cpu", torch.bfloat16):
            result = case.run(backend)
        expected = self.cast(case).run(backend)
        for x, y in zip(result, expected, strict=True):
            torch.testing.assert_close(x, y, rtol=0.0, atol=0.0)
        for x, y in zip(gradients(case, result), gradients(case, expected), strict=True):
            torch.testing.assert_close(x, y, rtol=0.0, atol=0.0)

    def test_backward_may_run_under_autocast(self, backend, case):
        expected = gradients(case, self.cast(case).run(backend))
        with torch.autocast("cpu", torch.bfloat16):
            got = gradients(case, case.run(backend))
        if backend != "scatter":  # there autograd repeats the products, under autocast
            for x, y in zip(got, expected, strict=True):
                torch.testing.assert_close(x, y, rtol=0.0, atol=0.0)

    def test_mixed_dtypes_meet_in_the_dtype_of_autocast(self, backend, case):
        mixed = case._replace(v=case.v.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            assert mixed.run(backend).out.dtype == torch.bfloat16

    def test_float64_stays(self, backend):
        case = draw(MASKS["sparse"])
        with torch.autocast("cpu", torch.bfloat16):
            result = case.run(backend)
        for x, y in zip(result, case.run(backend), strict=True):
            torch.testing.assert_close(x, y, rtol=0.0, atol=0.0)


class TestReproducible:
    def run_all(self, case: Case, kernel: str) -> list[torch.Tensor]:
        result = case.run(kernel, dropout=0.2, seed=5)
        return [*result, *gradients(case, result)]

    @pytest.mark.parametrize("kernel", ["reference", CPP])
    def test_bitwise_at_any_number_of_threads(self, kernel):
        # Large enough for torch to split the work: 20,000 edges of 64 numbers.
        case = draw(random_mask(200, 200, 0.5), batch=4, width=16, dtype=torch.float32)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            once, again = self.run_all(case, kernel), self.run_all(case, kernel)
            torch.set_num_threads(2)
            threaded = self.run_all(case, kernel)
        finally:
            torch.set_num_threads(threads)
        for first, second, third in zip(once, again, threaded, strict=True):
            assert torch.equal(first, second)
            assert torch.equal(first, third)


class TestSavedMemory:
    """A recurrence keeps O(N B H D) per step, however many edges there are."""

    steps, columns, batch, heads, width = 8, 64, 4, 2, 8

    def saved(self, backend: str, degree: int) -> int:
        """Bytes kept for the backward pass of a chain of calls, each tensor counted once."""
        mask = torch.zeros(self.columns, self.columns, dtype=torch.bool)
        mask[:, :degree] = True
        graph = graph_of(mask)
        x = torch.randn(self.columns, self.batch, self.heads, self.width, requires_grad=True)
        bias = torch.randn(graph.num_edges, requires_grad=True)
        kept = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            for _ in range(self.steps):
                options = {"bias": bias, "cost": bias, "dropout": 0.1, "seed": 1}
                x = column_attention(x, x, x, graph, backend=backend, **options).out
            edges = {tensor.data_ptr() for tensor in (*graph.views, bias)}
            return sum(size for at, size in kept.items() if at not in edges)

    @pytest.mark.parametrize("kernel", ["reference", "dense", CPP])
    def test_edges_are_not_kept(self, kernel):
        state = self.columns * self.batch * self.heads * self.width * 4
        few, many = self.saved(kernel, 2), self.saved(kernel, 64)
        assert many == few
        # out, and of one number per head cost and the two parts of the normaliser
        assert few <= (self.steps + 1) * state * (1 + 3 / self.width) + 64
