"""When handles gather gradients, and what they refuse."""

import pytest
import torch

from graphcolumns import untied_linear
from tests.ops.support.cases import exactly
from tests.ops.support.recurrence import assert_close, draw, recur, unroll


class TestWhenToGather:
    def batched(self, *shape: int, count: int = 8, batch: int = 2) -> list[bool]:
        weight = torch.empty(shape, requires_grad=True)
        return [step.batched for step in untied_linear.unroll(weight, None, count, batch)]

    def test_large_weights(self):
        assert self.batched(1024, 16, 16) == [True] * 8  # 1 MB

    def test_small_weights_are_left_to_autograd(self):
        assert self.batched(1023, 16, 16) == [False] * 8

    def test_large_batches_are_left_to_autograd(self):
        """Three pairs of 5 (16 + 16) numbers are less than twice the gradient of 16 x 16."""
        assert self.batched(1024, 16, 16, batch=5) == [True] * 8
        assert self.batched(1024, 16, 16, batch=6) == [False] * 8

    def test_two_steps_are_gathered_where_their_pairs_are_small(self):
        """Sixteen pairs of 1 (16 + 16) numbers are twice the gradient of 16 x 16; 8 of 2."""
        assert self.batched(1024, 16, 16, batch=1, count=2) == [True] * 2
        assert self.batched(1024, 16, 16, batch=2, count=2) == [False] * 2
        assert self.batched(1024, 16, 16, batch=2, count=3) == [True] * 3

    @pytest.mark.usefixtures("small")
    def test_frozen_weights_are_left_to_autograd(self):
        case = draw()
        case.weight.requires_grad_(False)
        handles = untied_linear.unroll(case.weight, case.bias, 3, 2)
        assert not any(handle.batched for handle in handles)
        got = torch.autograd.grad(recur(case, handles).sum(), [case.x, case.bias])
        expected = torch.autograd.grad(recur(case, [None] * 3).sum(), [case.x, case.bias])
        assert_close(list(got), list(expected), 0.0)

    @pytest.mark.usefixtures("small")
    def test_frozen_bias(self):
        case = draw()
        case.bias.requires_grad_(False)
        got = torch.autograd.grad(recur(case, unroll(case, 3)).sum(), case.weight)
        expected = torch.autograd.grad(recur(case, [None] * 3).sum(), case.weight)
        assert_close(list(got), list(expected), 1e-12)

    @pytest.mark.usefixtures("small")
    def test_without_gradients_nothing_is_kept(self):
        case = draw()
        with torch.no_grad():
            handles = untied_linear.unroll(case.weight, case.bias, 3, 2)
            assert not recur(case, handles).requires_grad
        assert not any(handle.batched for handle in handles)


@pytest.mark.usefixtures("small")
class TestErrors:
    @pytest.mark.parametrize("count", [1, 4])  # left to autograd, or gathered
    def test_a_handle_is_good_for_one_use(self, count):
        case = draw()
        handle = untied_linear.unroll(case.weight, case.bias, count, 2)[0]
        untied_linear(*case, step=handle)
        message = (
            "a step handle is good for one use: two uses would add up their inputs. Take one "
            "handle per application from untied_linear.unroll(weight, bias, steps, batch)"
        )
        with pytest.raises(RuntimeError, match=exactly(message)):
            untied_linear(*case, step=handle)

    @pytest.mark.parametrize("count", [1, 4])
    def test_a_handle_knows_its_batch(self, count):
        case = draw(batch=2)
        handle = untied_linear.unroll(case.weight, case.bias, count, 3)[0]
        message = (
            "the handle was made for a batch of 3, got x [N, B, Cin] of [4, 2, 8]: "
            "call untied_linear.unroll with this batch size"
        )
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear(*case, step=handle)

    @pytest.mark.parametrize("count", [1, 4])
    def test_a_handle_knows_its_weights(self, count):
        case, other = draw(), draw()
        handle = untied_linear.unroll(other.weight, other.bias, count, 2)[0]
        message = (
            "the handle was made for other weights, which would get the gradient of these: "
            "use the handles of untied_linear.unroll(weight, ...) with that weight"
        )
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear(*case, step=handle)

    @pytest.mark.parametrize(("count", "batch"), [(0, 2), (3, 0)])
    def test_counts(self, count, batch):
        message = f"steps and batch must be at least 1, got {count} and {batch}"
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear.unroll(draw().weight, None, count, batch)
