"""The Triton kernels against the reference. Not collected by itself: test_triton.py runs this file.

In a process of its own, either with TRITON_INTERPRET=1 on the CPU, where shapes are tiny, or on a
CUDA device.
"""

import os

import pytest
import torch
from torch import Tensor

from graphcolumns import edge_linear
from graphcolumns.ops import backend as backends
from graphcolumns.ops import tiles
from graphcolumns.ops.column_attention.op import column_attention_op
from graphcolumns.ops.dropout import edge_dropout
from graphcolumns.ops.views import Views
from tests.ops.cases import MASKS, Case, assert_same, draw, gradients, graph_of, random_mask

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
on_cuda = pytest.mark.skipif(INTERPRETED, reason="too large for the interpreter")
INF, NAN = float("inf"), float("nan")
# Unit roundoff; the interpreter cuts bfloat16 off instead of rounding it.
HALF = {torch.bfloat16: 2.0 ** (-7 if INTERPRETED else -8), torch.float16: 2.0**-11}


def on_device(case: Case, dtype: torch.dtype = torch.float32) -> Case:
    values = [
        None if x is None else x.detach().to(DEVICE, dtype).requires_grad_() for x in case[2:]
    ]
    return Case(case.mask, case.graph.to(DEVICE), *values)


def check(case: Case, tolerance: float = 1e-5, **options) -> None:
    """Float32 against the reference in float64: every output and every gradient."""
    narrow = on_device(case)
    result, expected = narrow.run("triton", **options), case.run("reference", **options)
    assert_same(narrow, case, result, expected, tolerance)


def skewed(columns: int, sources: int) -> Tensor:
    """In-degrees from none to all sources, out-degrees from none to nearly all columns."""
    degree = torch.logspace(0, torch.log10(torch.tensor(sources)), columns).long() - 1
    mask = torch.arange(sources) < degree[:, None]
    return mask[:, torch.randperm(sources)]


def bits(case: Case, **options) -> list[Tensor]:
    result = case.run("triton", **options)
    return [x for x in (*result, *gradients(case, result)) if x is not None]


OPTIONS = {
    "everything": {"bias": "EH", "cost": "E"},
    "nothing": {"bias": None, "cost": None},
    "bias": {"bias": "E", "cost": None, "batch": 1},
    "other heads": {"bias": "E", "cost": "EH", "heads": 3, "batch": 5},
    "one head": {"bias": "EH", "cost": None, "heads": 1, "batch": 3},
    "shared query": {"bias": None, "cost": "EH", "shared_query": True, "heads": 3},
}


class TestAttention:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_options(self, mask, options):
        check(draw(mask, **options))

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_dropout(self, options):
        check(draw(MASKS["every degree"], **options), dropout=0.3, seed=3)

    @pytest.mark.parametrize(
        ("width", "value_width"), [(1, 1), (5, 5), (8, 8), (17, 3), (3, 17), (130, 1)]
    )
    def test_widths(self, width, value_width):
        check(draw(MASKS["fewer sources"], width=width, value_width=value_width))

    # Slices of the heads (a tile holds 4 of width 64 and 8 edges), and of the batch.
    @pytest.mark.parametrize("bias", ["E", "EH"])
    @pytest.mark.parametrize(("batch", "heads", "width"), [(1, 7, 64), (2, 5, 64), (9, 3, 32)])
    def test_lanes(self, batch, heads, width, bias):
        case = draw(random_mask(2, 9, 0.6), batch, heads, width, value_width=2, bias=bias)
        check(case, dropout=0.2, seed=1)

    @pytest.mark.parametrize("scale", [0.0, 2.5])
    def test_scale(self, scale):
        check(draw(MASKS["sparse"]), scale=scale)

    @pytest.mark.parametrize("shared_query", [False, True])
    def test_rows_of_many_tiles(self, shared_query):
        case = draw(skewed(5, 80), width=2, shared_query=shared_query)
        check(case, dropout=0.1, seed=2)

    @pytest.mark.parametrize("programs", [1, 8])
    def test_patches_and_groups(self, programs, monkeypatch):
        """A program does all rows and the whole batch, or a row of a slice of it."""
        case = draw(random_mask(5, 4, 0.6), batch=3, heads=3, width=2)
        monkeypatch.setattr(tiles, "NUMBERS", 16)
        expected = bits(on_device(case), dropout=0.2, seed=2)
        monkeypatch.setattr(tiles, "PROGRAMS", programs)
        check(case)
        got = bits(on_device(case), dropout=0.2, seed=2)
        for index, (x, y) in enumerate(zip(got, expected, strict=True)):
            if index in (6, 7):  # bias and cost: sums over the batch are grouped otherwise
                torch.testing.assert_close(x, y)
            else:
                assert torch.equal(x, y)

    @on_cuda
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    @pytest.mark.parametrize("width", [16, 33, 64])
    def test_large(self, options, width):
        check(draw(random_mask(700, 500, 0.1), **{"batch": 8, "heads": 4, **options}, width=width))
        check(draw(skewed(50, 3000), **options, width=width), dropout=0.1, seed=1)

    @on_cuda
    def test_offsets_beyond_32_bits(self):
        sources, batch = 2**16 + 8, 64
        mask = torch.zeros(2, sources, dtype=torch.bool)
        mask[:, -4:] = True
        graph = graph_of(mask).to(DEVICE)
        k = torch.randn(sources, batch, 8, 64, device=DEVICE, dtype=torch.bfloat16)
        assert k.numel() > 2**31
        far = Case(mask, graph, k[-2:], k, k, None, None)
        near = Case(
            mask[:, -4:], graph_of(mask[:, -4:]).to(DEVICE), k[-2:], k[-4:], k[-4:], None, None
        )
        assert torch.equal(far.run("triton").out, near.run("triton").out)


@pytest.mark.parametrize("dtype", HALF, ids=str)
class TestHalf:
    def draw(self, dtype: torch.dtype) -> Case:
        """Rows of more than a tile, of numbers that the half type has."""
        case = draw(random_mask(2, 50, 0.8), width=8)
        return case.to(dtype).to(torch.float64)

    def test_dtypes(self, dtype):
        case = on_device(self.draw(dtype), dtype)
        out, cost, lse = case.run("triton")
        assert out.dtype == dtype
        assert cost.dtype == lse.dtype == torch.float32
        for grad, x in zip(gradients(case, case.run("triton")), case.inputs, strict=True):
            assert grad.dtype == dtype
            assert grad.shape == x.shape

    def test_sums_are_in_float32(self, dtype):
        case = self.draw(dtype)
        got, exact = on_device(case, dtype).run("triton"), case.run("reference")
        close = torch.testing.assert_close
        close(got.out.cpu().double(), exact.out, rtol=HALF[dtype], atol=1e-6)
        close(got.cost.cpu().double(), exact.cost, rtol=1e-5, atol=1e-6)
        close(got.lse.cpu().double(), exact.lse, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("shared_query", [False, True])
    def test_gradients(self, dtype, shared_query):
        case = self.draw(dtype)
        if shared_query:
            case = case._replace(q=case.q[:, :1].detach().requires_grad_())
        narrow = on_device(case, dtype)
        options = {"dropout": 0.3, "seed": 4}
        grads = gradients(narrow, narrow.run("triton", **options))
        exact = gradients(case, case.run("reference", **options))
        for grad, expected in zip(grads, exact, strict=True):
            error = (grad.cpu().double() - expected).abs().max()
            assert error < 4 * HALF[dtype] * expected.abs().max()

    def test_wider_bias_and_cost(self, dtype):
        case = on_device(self.draw(dtype), dtype)
        wide = case._replace(bias=case.bias.float(), cost=case.cost.double())
        for x, y in zip(wide.run("triton"), case.run("triton"), strict=True):
            assert torch.equal(x, y)


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

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
    @pytest.mark.parametrize("options", [OPTIONS["everything"], OPTIONS["shared query"]])
    def test_opcheck(self, dtype, options):
        case = on_device(draw(MASKS["more sources"], **options), dtype)
        seed = torch.tensor(3, device=DEVICE)
        arguments = (*case[2:], *Views.of(case.graph), 0.5, 0.5, seed, "triton")
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
        assert backends.choose("auto", case.graph, 4, 3) == "triton"
        assert backends.choose("auto", case.graph, 4, 3, torch.float64) == "reference"
        assert torch.equal(case.run("auto").out, case.run("triton").out)


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

    @pytest.mark.parametrize("heads", SHAPES)
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
