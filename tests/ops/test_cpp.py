"""The C++ kernels where they could differ from plain torch: sizes, threads, special values."""

import math

import pytest
import torch
from torch import Tensor

from graphcolumns import edge_linear
from graphcolumns.ops import kernels
from graphcolumns.ops.column_attention import cpp
from graphcolumns.ops.column_attention.inputs import AttentionInputs
from tests.ops.support.cases import MASKS, Case, assert_same, draw, gradients, random_mask

pytestmark = pytest.mark.cpp
INF, NAN = float("inf"), float("nan")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}  # of the largest value


def skewed(columns: int = 40, sources: int = 3000) -> Tensor:
    """In-degrees from none to thousands, out-degrees from none to all columns."""
    degree = torch.logspace(0, math.log10(sources), columns).long() - 1
    mask = torch.arange(sources) < degree[:, None]
    return mask[:, torch.randperm(sources)]


def check(case: Case, dtype: torch.dtype, **options) -> None:
    narrow = case.to(dtype)
    result, expected = narrow.run("cpp", **options), case.run("reference", **options)
    assert_same(narrow, case, result, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
class TestSizes:
    # Every width with a kernel of its own, odd ones, and one beyond 64.
    @pytest.mark.parametrize("width", [1, 2, 4, 5, 8, 16, 17, 32, 64, 128])
    @pytest.mark.parametrize(("batch", "heads"), [(1, 1), (1, 4), (2, 4), (8, 4)])
    def test_widths(self, width, batch, heads, dtype):
        case = draw(random_mask(12, 10, 0.5), batch, heads, width, value_width=max(1, 20 - width))
        check(case, dtype)

    # Lanes that fill vectors, share them (1, 2, 4, 8), or leave some over; slices of the batch.
    @pytest.mark.parametrize(
        ("batch", "heads"),
        [(3, 1), (1, 2), (3, 2), (4, 3), (1, 8), (6, 3), (5, 7), (40, 4), (2, 200)],
    )
    @pytest.mark.parametrize("bias", [None, "E", "EH"])
    def test_lanes(self, batch, heads, bias, dtype):
        cost = {None: "E", "E": "EH", "EH": None}[bias]
        case = draw(random_mask(12, 10, 0.5), batch, heads, 4, bias=bias, cost=cost)
        check(case, dtype, dropout=0.3, seed=2)

    @pytest.mark.parametrize(("batch", "heads"), [(1, 1), (3, 2), (4, 4)])
    @pytest.mark.parametrize("dropout", [0.0, 0.4])
    def test_columns_of_thousands_of_edges_go_block_by_block(self, batch, heads, dropout, dtype):
        check(draw(skewed(), batch, heads, 8), dtype, dropout=dropout, seed=1)

    @pytest.mark.parametrize("heads", [None, 1, 2, 6, 24])
    @pytest.mark.parametrize("channels", [24, 48, 96])
    def test_edge_linear(self, heads, channels, dtype):
        mask = skewed(sources=900)
        graph = draw(mask).graph
        x = torch.randn(900, 3, channels, dtype=dtype, requires_grad=True)
        shape = (graph.num_edges,) if heads is None else (graph.num_edges, heads)
        weight = torch.randn(shape, dtype=dtype, requires_grad=True)
        results = [edge_linear(x, weight, graph, backend=it) for it in ("cpp", "reference")]
        arriving = torch.randn_like(results[0])
        grads = [torch.autograd.grad(y, (x, weight), arriving) for y in results]
        tolerance = {"rtol": 0.0, "atol": 50 * TOLERANCE[dtype]}
        for got, expected in zip((results[0], *grads[0]), (results[1], *grads[1]), strict=True):
            torch.testing.assert_close(got, expected, **tolerance)


def test_same_bits_at_any_number_of_threads_where_columns_differ_in_size():
    case = draw(skewed(), batch=4, width=16, dtype=torch.float32)
    threads, runs = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            result = case.run("cpp", dropout=0.2, seed=5)
            runs.append([*result, *gradients(case, result)])
    finally:
        torch.set_num_threads(threads)
    for first, second, third in zip(*runs, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first, third)


class TestSpecialValues:
    @pytest.mark.parametrize("value", [NAN, INF, -INF], ids=str)
    @pytest.mark.parametrize("name", ["q", "k", "v", "bias", "cost"])
    @pytest.mark.parametrize("heads", [1, 2, 16])
    def test_they_spread_as_in_the_reference(self, name, value, heads):
        case = draw(random_mask(6, 5, 0.6), heads=heads, width=4)
        with torch.no_grad():
            getattr(case, name).flatten()[3] = value
        got, expected = case.run("cpp"), case.run("reference")
        for x, y in zip(got, expected, strict=True):
            torch.testing.assert_close(x, y, equal_nan=True)
        for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
            torch.testing.assert_close(x, y, equal_nan=True)

    def test_an_infinite_cost_stays_in_its_column(self):
        """Columns share buffers, and vectors are longer than the edges of column 1."""
        mask = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
        case = draw(mask, batch=1, heads=1, dtype=torch.float32)
        with torch.no_grad():
            case.cost[:3] = INF
        assert case.run("cpp").cost.isinf().flatten().tolist() == [True, False]


@pytest.mark.parametrize(("dtype", "ulps"), [(torch.float32, 4), (torch.float64, 4)])
def test_exp_and_log_are_good_to_units_in_the_last_place(dtype, ulps):
    """Two edges of scores 0 and x: p = e^x / (1 + e^x), lse = log(1 + e^x)."""
    x = torch.linspace(-80.0, 0.0, 4001, dtype=torch.float64).to(dtype)
    case = draw(torch.ones(1, 2, dtype=torch.bool), batch=1, heads=4001, width=1, cost=None)
    bias = torch.stack([torch.zeros_like(x), x]).requires_grad_()
    values = torch.tensor([0.0, 1.0], dtype=dtype).view(2, 1, 1, 1).expand(2, 1, 4001, 1)
    zero = torch.zeros(2, 1, 4001, 1, dtype=dtype)
    out, _, lse = case._replace(q=zero[:1], k=zero, v=values, bias=bias).run("cpp")
    wide = x.double()
    eps = torch.finfo(dtype).eps
    expected = wide.exp() / (1 + wide.exp())
    assert ((out.flatten().double() - expected).abs() <= ulps * eps * expected).all()
    assert ((lse.flatten().double() - wide.exp().log1p()).abs() <= ulps * eps).all()


def test_offsets_do_not_wrap_at_32_bits():
    """Sources from 2^30 on: rows lie 2^36 numbers behind a base address that nothing else reads."""
    far, rows = 2**30, torch.randn(2, 1, 4, 16)
    graph = draw(torch.ones(1, 2, dtype=torch.bool)).graph
    views = graph.views
    found = cpp.forward(AttentionInputs(rows[:1], rows, rows, None, None, views, 1.0, 0.0, None))
    expected, _, lse, highest, log_mass = found
    base = rows.data_ptr() - far * rows[0].nbytes
    source, out = graph.source + far, torch.empty(1, 1, 4, 16)
    arguments = cpp.Arguments(
        q=rows.data_ptr(),
        k=base % 2**64,
        v=base % 2**64,
        out=out.data_ptr(),
        lse=lse.data_ptr(),
        highest=highest.data_ptr(),
        log_mass=log_mass.data_ptr(),
        rowptr=graph.rowptr.data_ptr(),
        source=source.data_ptr(),
        columns=1,
        batch=1,
        heads=4,
        width=16,
        value_width=16,
        bias_values=1,
        cost_values=1,
        scale=1.0,
    )
    kernels.call("attention_forward_float32", arguments)
    assert torch.equal(out, expected)


class TestBackward:
    @pytest.fixture
    def calls(self, monkeypatch) -> list[str]:
        """The names of the calls of the library."""
        names, call = [], kernels.call

        def counted(name, arguments):
            names.append(name)
            call(name, arguments)

        monkeypatch.setattr(kernels, "call", counted)
        return names

    def test_is_that_of_the_kernel(self, calls):
        case = draw(MASKS["sparse"])
        gradients(case, case.run("cpp"))
        assert calls == ["attention_forward_float64", "attention_backward_float64"]

    def test_is_that_of_the_kernel_when_compiled(self, calls):
        torch._dynamo.reset()
        case = draw(MASKS["sparse"])
        run = torch.compile(lambda *x: case._replace(q=x[0]).run("cpp")[0], backend="aot_eager")
        run(case.q).sum().backward()
        assert calls == ["attention_forward_float64", "attention_backward_float64"]
        torch._dynamo.reset()

    def test_is_the_reference_when_it_will_be_differentiated(self, calls):
        case = draw(MASKS["sparse"])
        torch.autograd.grad(case.run("cpp").out.sum(), case.q, create_graph=True)
        assert calls == ["attention_forward_float64"]

    def test_of_edge_linear(self, calls):
        case = draw(MASKS["sparse"])
        weight = torch.ones(case.graph.num_edges, requires_grad=True)
        edge_linear(torch.ones(4, 2, 3), weight, case.graph, backend="cpp").sum().backward()
        assert calls == ["edge_linear_sum_rows_float32"] * 2 + [
            "edge_linear_weight_gradient_float32"
        ]
