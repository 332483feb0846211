"""Weight gradients of a recurrence, gathered over its steps: the same as autograd's."""

import pytest
import torch

from graphcolumns import untied_linear
from graphcolumns.ops.untied_linear import nodes, products, steps
from tests.ops.support.recurrence import Case, assert_close, draw, gradients, recur, unroll

KERNELS = ["reference", pytest.param("cpp", marks=pytest.mark.cpp)]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}  # of the largest gradient


@pytest.mark.usefixtures("small")
class TestUnroll:
    @pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
    @pytest.mark.parametrize("with_bias", [True, False])
    @pytest.mark.parametrize(("batch", "count"), [(1, 2), (1, 9), (2, 4), (2, 7)])
    @pytest.mark.parametrize("backend", KERNELS)
    def test_equals_autograd(self, dtype, with_bias, batch, count, backend):
        case = draw(dtype, with_bias, batch=batch)
        y = recur(case, unroll(case, count, backend), backend)
        expected = recur(case, [None] * count, backend)
        assert torch.equal(y, expected)
        assert_close(gradients(case, y), gradients(case, expected), TOLERANCE[dtype])

    def test_widths_in_and_out_may_differ(self):
        weight = torch.randn(3, 5, 9, dtype=torch.float64, requires_grad=True)
        xs = [torch.randn(3, 2, 5, dtype=torch.float64) for _ in range(3)]
        handles = untied_linear.unroll(weight, None, 3, 2)
        assert all(handle.batched for handle in handles)
        ys = [untied_linear(x, weight, step=h) for x, h in zip(xs, handles, strict=True)]
        (got,) = torch.autograd.grad(sum(y.square().sum() for y in ys), weight)
        expected = sum(torch.einsum("nbi,nbo->nio", x, 2 * y) for x, y in zip(xs, ys, strict=True))
        torch.testing.assert_close(got, expected)

    @pytest.mark.parametrize("payload", [0.4, 0.5, 0.7, 9.0])
    @pytest.mark.parametrize("rows", [1, 2, 3, 100])
    @pytest.mark.parametrize("block", [1, 1024, 2**30])
    def test_any_chunks(self, monkeypatch, payload, rows, block):
        """However many steps, rows and columns are taken together."""
        monkeypatch.setattr(steps, "PAYLOAD", payload)
        monkeypatch.setattr(products, "ROWS_PER_PRODUCT", rows)
        monkeypatch.setattr(products, "BLOCK", block)
        case = draw(columns=5, batch=1, channels=16)
        y, expected = recur(case, unroll(case, 7)), recur(case, [None] * 7)
        assert_close(gradients(case, y), gradients(case, expected), 1e-12)

    def test_a_chunk_is_summed_as_soon_as_it_is_complete(self, monkeypatch):
        """Before earlier steps go on, or the pairs of all chunks would be held at once."""
        monkeypatch.setattr(steps, "PAYLOAD", 1.5)  # three steps of two rows each
        events = []

        def sum_and_tell(xs, ys, frugal):
            events.append("sum")
            return products.sum_over_steps(xs, ys, frugal)

        monkeypatch.setattr(nodes, "sum_over_steps", sum_and_tell)
        case = draw()
        x = case.x
        for t, step in enumerate(unroll(case, 6)):
            x = untied_linear(x, case.weight, case.bias, step=step)
            x.register_hook(lambda grad, t=t: events.append(t))
        x.sum().backward()
        assert events == [5, 4, 3, "sum", 2, 1, 0, "sum"]

    def test_fewer_steps_than_handles(self, monkeypatch):
        counts = []

        def sum_and_count(xs, ys, frugal):
            counts.append(len(xs))
            return products.sum_over_steps(xs, ys, frugal)

        monkeypatch.setattr(nodes, "sum_over_steps", sum_and_count)
        case = draw()
        handles = unroll(case, 8)
        y, expected = recur(case, handles[:3]), recur(case, [None] * 3)
        assert_close(gradients(case, y), gradients(case, expected), 1e-12)
        assert counts == [3]  # nothing is done for the others

    def test_steps_that_do_not_reach_the_loss(self):
        case = draw()
        handles = unroll(case, 4)
        reached = recur(case, handles[:2])
        recur(case, handles[2:])
        assert_close(gradients(case, reached), gradients(case, recur(case, [None] * 2)), 1e-12)

    def test_no_step_reaches_the_loss(self):
        case = draw()
        unroll(case, 4)
        assert torch.autograd.grad(case.x.sum(), case.weight, allow_unused=True) == (None,)

    def test_one_step_is_left_to_autograd(self):
        case = draw()
        (handle,) = untied_linear.unroll(case.weight, case.bias, 1, 2)
        assert not handle.batched
        y, expected = recur(case, [handle]), recur(case, [None])
        assert_close(gradients(case, y), gradients(case, expected), 0.0)

    def test_inputs_without_gradient(self):
        case = draw()
        x = case.x.detach()
        y = recur(case._replace(x=x), unroll(case, 3))
        expected = recur(case._replace(x=x), [None] * 3)
        assert_close(gradients(case, y)[1:], gradients(case, expected)[1:], 1e-12)

    def test_backward_twice(self):
        case = draw()
        y = recur(case, unroll(case, 3))
        first = torch.autograd.grad(y.sum(), case.inputs, retain_graph=True)
        assert_close(list(torch.autograd.grad(y.sum(), case.inputs)), list(first), 0.0)

    @pytest.mark.parametrize("backend", KERNELS)
    def test_derivatives_of_both_orders(self, backend):
        case = draw(columns=2, channels=4, batch=1)

        def run(x, weight, bias):
            replaced = Case(x, weight, bias)
            return recur(replaced, unroll(replaced, 2, backend), backend)

        assert torch.autograd.gradcheck(run, tuple(case))
        assert torch.autograd.gradgradcheck(run, tuple(case))
