"""Attention in Triton: dropout, repeats, special values, the registered op. See triton_cases."""

import pytest
import torch

from graphcolumns.ops import backend as backends
from graphcolumns.ops.column_attention.op import column_attention_op
from graphcolumns.ops.dropout import edge_dropout
from tests.ops.support.cases import MASKS, Case, draw, gradients, random_mask
from tests.ops.triton_cases import (
    DEVICE,
    INTERPRETED,
    OPTIONS,
    bits,
    check,
    on_cuda,
    on_device,
)

INF, NAN = float("inf"), float("nan")


class TestDropout:
    @pytest.mark.parametrize(("seed", "rate"), [(0, 0.1), (3, 0.5), (-1, 0.9), (2**62 + 17, 0.3)])
    def test_the_mask_is_that_of_the_op(self, seed, rate):
        """Equal scores, and values that tell sources apart."""
        mask = MASKS["every degree"]
        case = draw(mask, batch=11, heads=3, value_width=6, bias=None, cost=None)
        values = torch.eye(6, dtype=torch.float64)[:, None, None].expand_as(case.v)
        case = on_device(case._replace(q=torch.zeros_like(case.q), v=values))
        out = case.run("triton", dropout=rate, seed=seed).out.cpu()
        got = (out * mask.sum(1)[:, None, None, None]).permute(0, 3, 1, 2)[mask]
        expected = edge_dropout(torch.tensor(seed), torch.arange(21), 11, 3, rate, torch.float32)
        assert torch.equal(got > 0, expected > 0)
        torch.testing.assert_close(got, expected)

    def test_seed_may_be_a_tensor(self):
        case = on_device(draw(MASKS["sparse"]))
        seed = torch.tensor(5, device=DEVICE)
        for x, y in zip(
            bits(case, dropout=0.5, seed=seed), bits(case, dropout=0.5, seed=5), strict=True
        ):
            assert torch.equal(x, y)


class TestReproducible:
    def test_two_runs_give_the_same_bits(self):
        columns = 8 if INTERPRETED else 2000
        case = on_device(draw(random_mask(columns, columns, 0.5 if INTERPRETED else 0.03), batch=5))
        for x, y in zip(
            bits(case, dropout=0.2, seed=1), bits(case, dropout=0.2, seed=1), strict=True
        ):
            assert torch.equal(x, y)

    def test_nothing_reads_memory_that_was_not_written(self):
        case = on_device(draw(MASKS["every degree"]))
        expected = bits(case)
        torch.use_deterministic_algorithms(True)  # fills empty tensors with NaN
        try:
            poisoned = bits(case)
        finally:
            torch.use_deterministic_algorithms(False)
        for x, y in zip(poisoned, expected, strict=True):
            assert torch.equal(x, y)


class TestSpecial:
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, for what a GPU does silently
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("q", NAN),
            ("k", NAN),
            ("k", INF),
            ("v", INF),
            ("bias", INF),
            ("cost", NAN),
            ("cost", INF),
        ],
    )
    def test_values_spread_as_in_the_reference(self, name, value):
        case = draw(random_mask(4, 4, 0.6), heads=3, width=2)
        with torch.no_grad():
            getattr(case, name).flatten()[3] = value
        narrow = on_device(case)
        got, expected = narrow.run("triton"), case.run("reference")
        pairs = [*zip(got, expected, strict=True)]
        pairs += zip(gradients(narrow, got), gradients(case, expected), strict=True)
        for x, y in pairs:
            torch.testing.assert_close(x.cpu(), y.float(), equal_nan=True, rtol=1e-4, atol=1e-5)

    def test_closed_edges(self):
        case = draw(MASKS["complete"], bias="E")
        with torch.no_grad():
            case.bias[5:10] = -INF  # the in-edges of column 1
            case.bias[0] = -INF
        check(case)
        out, cost, lse = on_device(case).run("triton")
        assert (out[1] == 0).all()
        assert (cost[1] == 0).all()
        assert (lse[1] == -INF).all()

    def test_inputs_need_not_be_contiguous(self):
        case = on_device(draw(MASKS["every degree"]))
        scattered = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in case[2:5]]
        result = Case(case.mask, case.graph, *scattered, *case[5:]).run("triton")
        for x, y in zip(result, case.run("triton"), strict=True):
            assert torch.equal(x, y)

    @pytest.mark.parametrize("shared_query", [False, True])
    def test_no_batch(self, shared_query):
        case = on_device(draw(MASKS["sparse"], batch=0, shared_query=shared_query))
        result = case.run("triton")
        assert result.out.shape == (4, 0, 2, 3)
        for grad, x in zip(gradients(case, result), case.inputs, strict=True):
            assert grad.shape == x.shape
            assert (grad == 0).all()

    def test_float64_takes_the_reference(self):
        case = on_device(draw(MASKS["sparse"]), torch.float64)
        for x, y in zip(bits(case), [*case.run("reference")], strict=False):
            assert torch.equal(x, y)
        assert all(grad.dtype == torch.float64 for grad in gradients(case, case.run("triton")))


class TestOp:
    def test_backward_may_be_differentiated(self):
        case = on_device(draw(MASKS["sparse"]))
        once = torch.autograd.grad(case.run("triton").out.sum(), case.inputs[:3], create_graph=True)
        twice = torch.autograd.grad(sum((x**2).sum() for x in once), case.q)[0]
        again = torch.autograd.grad(
            case.run("reference").out.sum(), case.inputs[:3], create_graph=True
        )
        expected = torch.autograd.grad(sum((x**2).sum() for x in again), case.q)[0]
        torch.testing.assert_close(twice, expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("dtype", "options"), [(torch.float32, "everything"), (torch.bfloat16, "shared query")]
    )
    def test_opcheck(self, dtype, options):
        case = on_device(draw(MASKS["more sources"], **OPTIONS[options]), dtype)
        seed = torch.tensor(3, device=DEVICE)
        arguments = (*case[2:], *case.graph.views, 0.5, 0.5, seed, "triton")
        torch.library.opcheck(column_attention_op, arguments)

    def test_full_graph(self):
        torch._dynamo.reset()
        case = on_device(draw(MASKS["every degree"]))
        compiler = "aot_eager" if INTERPRETED else "inductor"
        run = torch.compile(lambda case: case.run("triton"), fullgraph=True, backend=compiler)
        got = run(case)
        for x, y in zip([*got, *gradients(case, got)], bits(case), strict=True):
            torch.testing.assert_close(x, y)

    @on_cuda
    def test_auto_takes_it_on_cuda(self):
        case = on_device(draw(torch.eye(200).bool()))
        assert backends.choose_backend("auto", case.graph, 4, 3) == "triton"
        assert backends.choose_backend("auto", case.graph, 4, 3, torch.float64) == "reference"
        assert torch.equal(case.run("auto").out, case.run("triton").out)
