"""Gathered weight gradients under torch.compile, activation recomputation and autocast."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from graphcolumns import untied_linear
from graphcolumns.ops.untied_linear import products
from tests.ops.support.recurrence import Case, assert_close, draw, gradients, recur, unroll

# What dynamo itself says while it traces an autograd.Function, or a tensor that is not a leaf.
of_dynamo = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]


@pytest.mark.usefixtures("small")
class TestCompiled:
    pytestmark = of_dynamo

    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch):
        torch._dynamo.reset()
        monkeypatch.setattr(products, "ROWS_PER_PRODUCT", 2)  # several products in each sum

    @pytest.mark.parametrize("with_bias", [True, False])
    @pytest.mark.parametrize("backend", ["reference", pytest.param("cpp", marks=pytest.mark.cpp)])
    def test_compile(self, with_bias, backend):
        case = draw(with_bias=with_bias)

        def run(x, weight, bias):
            handles = untied_linear.unroll(weight, bias, 4, 2, backend=backend)
            return recur(Case(x, weight, bias), handles), [h.batched for h in handles]

        y, batched = torch.compile(run, fullgraph=True, backend="aot_eager")(*case)
        assert batched == [True] * 4
        expected = gradients(case, recur(case, [None] * 4))
        assert_close(gradients(case, y), expected, 1e-12)

    @pytest.mark.parametrize("compiled", [False, True])
    def test_recomputation_of_every_step(self, compiled):
        case = draw()

        def run(x, weight, bias):
            handles = untied_linear.unroll(weight, bias, 4, 2)
            for handle in handles:
                once = recompute(x, weight, bias, handle)
                x = once
            return x, [h.batched for h in handles]

        def recompute(x, weight, bias, handle):
            def step(x):
                return torch.tanh(untied_linear(x, weight, bias, step=handle))

            return checkpoint(step, x, use_reentrant=False)

        if compiled:
            run = torch.compile(run, fullgraph=True, backend="aot_eager")
        y, batched = run(*case)
        assert batched == [True] * 4
        assert_close(gradients(case, y), gradients(case, recur(case, [None] * 4)), 1e-12)

    def test_compiled_steps_of_an_eager_recurrence(self):
        case = draw()

        @torch.compile(fullgraph=True, backend="aot_eager")
        def step(x, weight, bias, handle):
            return torch.tanh(untied_linear(x, weight, bias, step=handle))

        x = case.x
        for handle in unroll(case, 3):
            x = step(x, case.weight, case.bias, handle)
        assert_close(gradients(case, x), gradients(case, recur(case, [None] * 3)), 1e-12)


@pytest.mark.usefixtures("small")
class TestAutocast:
    def test_equals_autograd_under_autocast(self):
        case = draw(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            y, expected = recur(case, unroll(case, 4)), recur(case, [None] * 4)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, expected)
        got = gradients(case, y)
        assert [x.dtype for x in got] == [torch.float32] * 3
        # Both round products to bfloat16, at different places: a few roundings of 2^-8 apart.
        assert_close(got, gradients(case, expected), 4 * 2.0**-8)

    def test_pairs_are_kept_in_the_dtype_of_autocast(self):
        case = draw(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            handle = unroll(case, 4)[0]
        assert handle.x.dtype == handle.y.dtype == handle.weight.dtype == torch.bfloat16

    def test_plain_use_beside_a_handle(self):
        """Autocast caches casts of weights: one made without gradient must not be found there."""
        case = draw(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            gathered = recur(case, unroll(case, 2))
            plain = untied_linear(case.x, case.weight, case.bias)
        (grad,) = torch.autograd.grad(plain.float().sum(), case.weight)
        assert (grad != 0).any()
        assert gathered.requires_grad

    def test_handles_from_outside_keep_their_precision(self):
        case = draw(torch.float32)
        handles = unroll(case, 3)
        with torch.autocast("cpu", torch.bfloat16):
            x = case.x
            for handle in handles:
                x = untied_linear(x, case.weight, case.bias, step=handle)
            traced = torch.autograd.grad(x.sum(), case.weight, create_graph=True)
            got = gradients(case, x)
        y = case.x
        for _ in range(3):
            y = untied_linear(y, case.weight, case.bias)
        assert x.dtype == torch.float32
        torch.manual_seed(1)
        arriving = torch.randn_like(y)
        expected = torch.autograd.grad(y, case.inputs, arriving, retain_graph=True)
        assert_close(got, list(expected), 1e-6)
        expected = torch.autograd.grad(y.sum(), case.weight)
        assert_close(list(traced), list(expected), 1e-6)

    def test_float64_stays(self):
        case = draw()
        with torch.autocast("cpu", torch.bfloat16):
            y = recur(case, unroll(case, 3))
        assert y.dtype == torch.float64
        assert_close(gradients(case, y), gradients(case, recur(case, [None] * 3)), 1e-12)
