"""The C++ kernels of the linear map per column: sizes, layouts, threads, special values, choice."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from graphcolumns import untied_linear
from graphcolumns.ops import backend, kernels
from graphcolumns.ops.untied_linear import cpp, reference
from graphcolumns.ops.untied_linear.op import gradient_op, transposed_op, untied_linear_op
from tests.ops.support.cases import exactly
from tests.ops.support.recurrence import Case, draw, gradients

pytestmark = pytest.mark.cpp
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}  # of the largest value
# Less than a vector, whole vectors, blocks of several and what they leave over, of either dtype.
WIDTHS = [1, 2, 3, 7, 8, 15, 16, 17, 33, 48, 64, 100, 128, 129]
BATCHES = [1, 2, 3, 4, 8, 9, 16, 17, 40]


def assert_near(got: Tensor, expected: Tensor, tolerance: float) -> None:
    assert got.shape == expected.shape
    largest = expected.abs().max() if expected.numel() else torch.tensor(0.0)
    torch.testing.assert_close(got.double(), expected, rtol=0.0, atol=tolerance * float(largest))


def check(columns: int, batch: int, cin: int, cout: int, steps: int, dtype: torch.dtype) -> None:
    weight, bias = torch.randn(columns, cin, cout), torch.randn(columns, cout)
    xs = [torch.randn(columns, batch, cin) for _ in range(steps)]
    ys = [torch.randn(columns, batch, cout) for _ in range(steps)]
    narrow = [x.to(dtype) for x in (weight, bias, xs[0], ys[0])]
    w, b, x, y = narrow
    wide_w, wide_b, wide_x, wide_y = (tensor.double() for tensor in narrow)
    tolerance = TOLERANCE[dtype]
    assert_near(cpp.forward(x, w, b), reference.forward(wide_x, wide_w, wide_b), tolerance)
    assert_near(cpp.forward(x, w, None), reference.forward(wide_x, wide_w, None), tolerance)
    assert_near(cpp.transposed(y, w), reference.transposed(wide_y, wide_w), tolerance)
    pairs = [[z.to(dtype) for z in side] for side in (xs, ys)]
    wide = [[z.double() for z in side] for side in pairs]
    for got, expected in zip(cpp.gradient(*pairs), reference.gradient(*wide), strict=True):
        assert_near(got, expected, tolerance)


@pytest.fixture
def poisoned():
    """Memory that is not yet written holds NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # it fills what `empty` returns
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
class TestSizes:
    @pytest.mark.parametrize("cin", WIDTHS)
    def test_widths(self, cin, dtype):
        for cout, batch in zip(WIDTHS, itertools.cycle(BATCHES), strict=False):
            check(3, batch, cin, cout, 1, dtype)

    @pytest.mark.parametrize("batch", BATCHES)
    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_batches_and_steps(self, batch, steps, dtype):
        for cin, cout in ((16, 16), (5, 64), (70, 9)):
            check(2, batch, cin, cout, steps, dtype)

    @pytest.mark.parametrize("sizes", [(0, 2, 3, 4), (3, 0, 3, 4), (3, 2, 0, 4), (3, 2, 4, 0)])
    @pytest.mark.parametrize("steps", [1, 2])
    def test_nothing(self, sizes, steps, dtype):
        check(*sizes, steps, dtype)


class TestLayouts:
    """Columns and batch may lie in any order, and share memory: the bits are the same."""

    def views(self, width: int) -> list[Tensor]:
        batch_first = torch.randn(5, 6, width).transpose(0, 1)
        wider = torch.randn(6, 5, width + 3)[..., 1 : width + 1]
        same_rows = torch.randn(6, 1, width).expand(6, 5, width)
        channels_first = torch.randn(6, width, 5).transpose(1, 2)
        one_number = torch.ones(()).expand(6, 5, width)
        return [batch_first, wider, same_rows, channels_first, one_number]

    def test_bits(self):
        weight, bias = torch.randn(6, 20, 33), torch.randn(6, 33)
        for x, y in zip(self.views(20), self.views(33), strict=True):
            x_, y_ = x.contiguous(), y.contiguous()
            assert torch.equal(cpp.forward(x, weight, bias), cpp.forward(x_, weight, bias))
            assert torch.equal(cpp.transposed(y, weight), cpp.transposed(y_, weight))
            for pairs, plain in (
                (([x], [y]), ([x_], [y_])),
                (([x, x], [y, y]), ([x_, x_], [y_, y_])),
            ):
                for got, expected in zip(cpp.gradient(*pairs), cpp.gradient(*plain), strict=True):
                    assert torch.equal(got, expected)

    def test_weights_and_biases_in_other_orders(self):
        x, weight = torch.randn(4, 3, 8), torch.randn(4, 5, 8).transpose(1, 2)
        bias = torch.randn(5, 4).t()
        got = untied_linear(x, weight, bias, backend="cpp")
        assert torch.equal(got, cpp.forward(x, weight.contiguous(), bias.contiguous()))
        torch.testing.assert_close(got, reference.forward(x, weight, bias))


class TestBits:
    def test_of_any_number_of_threads(self):
        case = draw(torch.float32, columns=70, batch=9, channels=65)
        threads, runs = torch.get_num_threads(), []
        try:
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                y = untied_linear(*case, backend="cpp")
                runs.append([y, *gradients(case, y)])
        finally:
            torch.set_num_threads(threads)
        for first, second, third in zip(*runs, strict=True):
            assert torch.equal(first, second)
            assert torch.equal(first, third)

    @pytest.mark.parametrize("cout", [5, 64, 100])
    def test_of_a_sample_do_not_depend_on_its_batch(self, cout):
        x, weight, bias = torch.randn(3, 40, 64), torch.randn(3, 64, cout), torch.randn(3, cout)
        together = cpp.forward(x, weight, bias)
        for part in x.split((1, 2, 30, 7), 1):
            rows = cpp.forward(part, weight, bias)
            start = next(i for i in range(40) if torch.equal(x[:, i], part[:, 0]))
            assert torch.equal(rows, together[:, start : start + part.shape[1]])

    def test_of_a_sum_over_steps_are_those_of_one_long_batch(self):
        xs, ys = ([torch.randn(3, 7, width) for _ in range(4)] for width in (20, 33))
        for got, expected in zip(
            cpp.gradient(xs, ys), cpp.gradient([torch.cat(xs, 1)], [torch.cat(ys, 1)]), strict=True
        ):
            assert torch.equal(got, expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", ["x", "weight", "bias", "arriving"])
def test_special_values_spread_as_in_the_reference(value, batch, name):
    case = draw(torch.float32, columns=3, batch=batch, channels=19)
    arriving = torch.randn(3, batch, 19)
    with torch.no_grad():
        (arriving if name == "arriving" else getattr(case, name)).flatten()[-1] = value
    results = []
    for kind in ("cpp", "reference"):
        y = untied_linear(*case, backend=kind)
        results.append([y, *torch.autograd.grad(y, case.inputs, arriving)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, equal_nan=True)


class TestOps:
    @pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
    @pytest.mark.parametrize("with_bias", [True, False])
    def test_opcheck(self, dtype, with_bias):
        case = draw(dtype, with_bias)
        torch.library.opcheck(untied_linear_op, tuple(case))
        x, y = case.x.detach(), torch.randn(4, 2, 8, dtype=dtype)
        torch.library.opcheck(transposed_op, (y, case.weight.detach()))
        torch.library.opcheck(gradient_op, ([x, x], [y, y]))

    def test_derivatives_of_both_orders(self):
        case = draw(columns=2, channels=3)

        def run(*inputs):
            return untied_linear(*inputs, backend="cpp")

        assert torch.autograd.gradcheck(run, tuple(case))
        assert torch.autograd.gradgradcheck(run, tuple(case))

    def test_function_transforms(self):
        """They are left to torch."""
        case = draw()

        def loss(weight, x):
            return untied_linear(x, weight, backend="cpp").square().sum()

        def plain(weight, x):
            return torch.bmm(x, weight).square().sum()

        inputs = (case.weight.detach(), torch.stack([case.x.detach(), -2 * case.x.detach()]))
        per_sample, expected = (
            torch.func.vmap(torch.func.grad(f), in_dims=(None, 0))(*inputs) for f in (loss, plain)
        )
        torch.testing.assert_close(per_sample, expected)


class TestForwardMode:
    """A registered op would drop the tangent: these go through plain torch, compiled or not."""

    def jvp(self, x: Tensor, tangent: Tensor, weight: Tensor) -> Tensor:
        return torch.func.jvp(lambda x: untied_linear(x, weight, backend="cpp"), (x,), (tangent,))[
            1
        ]

    def dual(self, x: Tensor, tangent: Tensor, weight: Tensor) -> Tensor:
        with forward_ad.dual_level():
            y = untied_linear(forward_ad.make_dual(x, tangent), weight, backend="cpp")
            return forward_ad.unpack_dual(y).tangent

    def handle(self, x: Tensor, tangent: Tensor, weight: Tensor) -> Tensor:
        (step,) = untied_linear.unroll(weight, None, 1, x.shape[1], backend="cpp")
        with forward_ad.dual_level():
            y = untied_linear(forward_ad.make_dual(x, tangent), weight, step=step)
            return forward_ad.unpack_dual(y).tangent

    @pytest.mark.parametrize("compiled", [False, True])
    @pytest.mark.parametrize("way", ["jvp", "dual", "handle"])
    def test_tangents(self, way, compiled):
        case = draw()
        x, weight, tangent = case.x.detach(), case.weight.detach(), torch.randn_like(case.x)
        run = getattr(self, way)
        if compiled:
            torch._dynamo.reset()
            run = torch.compile(run, backend="aot_eager")
        torch.testing.assert_close(run(x, tangent, weight), tangent @ weight)

    def test_compiled_gradients_of_functions(self):
        case = draw()
        torch._dynamo.reset()

        @torch.compile(backend="aot_eager")
        def gradient(weight, x):
            def loss(weight):
                return untied_linear(x, weight, backend="cpp").square().sum()

            return torch.func.grad(loss)(weight)

        got = gradient(case.weight.detach(), case.x.detach())
        y = case.x @ case.weight
        torch.testing.assert_close(got, torch.autograd.grad(y.square().sum(), case.weight)[0])


class TestWhatRuns:
    @pytest.fixture
    def calls(self, monkeypatch) -> list[str]:
        """Which kernels are called."""
        names, call = [], kernels.call

        def counted(name, arguments):
            names.append(name.removeprefix("untied_linear_").removesuffix("_float64"))
            call(name, arguments)

        monkeypatch.setattr(kernels, "call", counted)
        return names

    def test_all_three(self, calls):
        untied_linear(*draw(), backend="cpp").sum().backward()
        assert calls == ["forward", "transposed", "gradient"]

    def test_all_three_when_compiled(self, calls):
        torch._dynamo.reset()
        run = torch.compile(
            lambda *x: untied_linear(*x, backend="cpp"), fullgraph=True, backend="aot_eager"
        )
        run(*draw()).sum().backward()
        assert sorted(calls) == ["forward", "gradient", "transposed"]
        torch._dynamo.reset()

    def test_nothing_for_what_needs_no_gradient(self, calls):
        case = draw()
        case.x.requires_grad_(False)
        untied_linear(*case, backend="cpp").sum().backward()
        assert calls == ["forward", "gradient"]
        calls.clear()
        frozen = Case(case.x.requires_grad_(), case.weight.detach(), None)
        untied_linear(*frozen, backend="cpp").sum().backward()
        assert calls == ["forward", "transposed"]

    def test_a_bias_alone_forms_no_gradient_of_the_weights(self, calls):
        case = draw()
        y = untied_linear(case.x.detach(), case.weight.detach(), case.bias, backend="cpp")
        (grad,) = torch.autograd.grad(y, case.bias, 2 * torch.ones_like(y))
        assert grad.eq(4.0).all()  # two samples
        assert calls == ["forward"]

    def test_a_recurrence_takes_one_gradient(self, calls):
        case = draw(columns=2**9, batch=1, channels=64)  # large enough to be chosen
        x = case.x
        for step in untied_linear.unroll(case.weight, case.bias, 3, 1):
            x = untied_linear(x, case.weight, case.bias, step=step)
        x.sum().backward()
        assert sorted(calls) == ["forward"] * 3 + ["gradient"] + ["transposed"] * 3

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((2**8, 64, 64), ["forward"]),
            ((2**8 - 1, 64, 64), []),
            ((64, 128, 128), ["forward"]),
            ((63, 130, 130), []),  # few columns
            ((2**16, 4, 4), ["forward"]),
            ((2**17, 3, 4), []),  # few channels
            ((2**17, 4, 3), []),
        ],
    )
    def test_auto_takes_large_weights(self, calls, shape, expected):
        weight = torch.empty(shape, dtype=torch.float64)
        untied_linear(torch.empty(shape[0], 1, shape[1], dtype=torch.float64), weight)
        assert calls == expected

    def test_auto_leaves_weights_in_another_order(self, calls, monkeypatch):
        monkeypatch.setattr(backend, "FUSED_FROM", 0)
        case = draw()
        untied_linear(case.x, case.weight.transpose(1, 2))
        assert calls == []

    def test_auto_without_kernels(self, calls, monkeypatch):
        monkeypatch.setattr(backend, "FUSED_FROM", 0)
        monkeypatch.setattr(kernels, "ready", lambda: False)
        case = draw()
        assert torch.equal(untied_linear(*case), reference.forward(*case))
        assert calls == []

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
    def test_half_precisions_are_left_to_torch(self, calls, dtype):
        case = draw(dtype)
        assert torch.equal(untied_linear(*case, backend="cpp"), reference.forward(*case))
        with torch.autocast("cpu", torch.bfloat16):
            assert untied_linear(*draw(torch.float32), backend="cpp").dtype == torch.bfloat16
        assert calls == []

    @pytest.mark.parametrize("name", ["x", "bias"])
    def test_mixed_dtypes_are_refused_by_torch(self, calls, name):
        """Not read as what they are not."""
        case = draw()
        mixed = case._replace(**{name: getattr(case, name).float()})
        with pytest.raises(RuntimeError, match=r"dtype|scalar type"):
            untied_linear(*mixed, backend="cpp")
        assert calls == []

    def test_a_handle_made_outside_autocast(self, calls):
        case = draw(torch.float32)
        (step,) = untied_linear.unroll(case.weight, case.bias, 1, 2, backend="cpp")
        with torch.autocast("cpu", torch.bfloat16):
            assert untied_linear(*case, step=step).dtype == torch.bfloat16
        assert calls == []

    def test_sparse_inputs_are_left_to_torch(self, calls):
        x, weight = torch.eye(4, dtype=torch.float64).expand(3, 4, 4), draw().weight[:3, :4]
        got = untied_linear(x.to_sparse(), weight.detach(), backend="cpp")
        assert torch.equal(got, weight)
        assert calls == []


class TestErrors:
    def test_names(self):
        message = "backend must be 'auto' or one of ('reference', 'cpp'), got 'triton'"
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear(*draw(), backend="triton")
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear.unroll(draw().weight, None, 2, 2, backend="triton")

    def test_devices(self):
        x, weight = torch.empty(2, 3, 4, device="meta"), torch.empty(2, 4, 4, device="meta")
        message = (
            "backend='cpp' runs on the CPU, and the weights are on meta: use backend='auto', or "
            "move tensors with .to('cpu')"
        )
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear(x, weight, backend="cpp")
        assert untied_linear(x, weight).device.type == "meta"

    def test_a_backend_beside_a_handle(self):
        case = draw()
        (step,) = untied_linear.unroll(case.weight, case.bias, 1, 2)
        message = (
            "a handle has the backend that it was made with: give it to "
            "untied_linear.unroll(..., backend='cpp'), not beside step"
        )
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear(*case, step=step, backend="cpp")

    @pytest.mark.parametrize("what", ["dtype", "rows", "bias"])
    def test_the_op_itself_reads_no_memory_as_what_it_is_not(self, what):
        x, weight, bias = (t.detach() for t in draw())
        got = {"dtype": (x.float(), None), "rows": (x[..., :6], None), "bias": (x, bias[:, :6])}
        message = {
            "dtype": "expected [4, 2, 8] of torch.float64 on the CPU to fit the weights, "
            "got [4, 2, 8] of torch.float32 on cpu",
            "rows": "expected [4, 2, 8] of torch.float64 on the CPU to fit the weights, "
            "got [4, 2, 6] of torch.float64 on cpu",
            "bias": "expected [4, 8] of torch.float64 on the CPU to fit the weights, "
            "got [4, 6] of torch.float64 on cpu",
        }[what]
        x, bias = got[what]
        with pytest.raises(ValueError, match=exactly(message)):
            untied_linear_op(x, weight, bias)
