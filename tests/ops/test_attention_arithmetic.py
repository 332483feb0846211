"""Attention where rounding, infinities and NaN could spoil it; for every backend.

`triton_arithmetic_cases.py` runs the same tests on the Triton kernels.
"""

import pytest
import torch
from torch import Tensor

from graphcolumns import Attention
from graphcolumns.ops.dropout import edge_dropout
from tests.ops.support.cases import Case, draw, gradients, graph_of, oracle, random_mask

INF, NAN = float("inf"), float("nan")


@pytest.fixture
def device() -> str:
    return "cpu"


def placed(case: Case, device: str, dtype: torch.dtype = torch.float32) -> Case:
    """The values as leaves on a device."""
    values = [None if x is None else x.detach().to(device, dtype) for x in case[2:]]
    values = [None if x is None else x.requires_grad_() for x in values]
    return Case(case.mask, case.graph.to(device), *values)


def results(case: Case, backend: str, **options) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and the gradients of all inputs when random ones arrive at all outputs."""
    found = case.run(backend, **options)
    outputs = [x for x in found if x is not None]
    return outputs, gradients(case, Attention(*found))


def assert_close(got: Tensor, expected: Tensor, tolerance: float) -> None:
    """Within ``tolerance`` of the largest value."""
    size = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(got, expected, rtol=0.0, atol=tolerance * size)


def assert_identical(got: list[Tensor], expected: list[Tensor]) -> None:
    for x, y in zip(got, expected, strict=True):
        assert torch.equal(x, y)


class TestShift:
    """softmax(s + c) = softmax(s), for the biases that float32 can hold."""

    # Not every pair: the shape says only how a bias is broadcast, the constant what is rounded.
    @pytest.mark.parametrize(
        ("constant", "shape"), [(1e4, "E"), (-1e6, "EH"), (1e8, "EH"), (-1e8, "E")]
    )
    def test_a_constant_added_to_a_column_changes_lse_only(self, backend, device, constant, shape):
        case = draw(random_mask(9, 8, 0.6), batch=2, width=5, bias=shape, dtype=torch.float32)
        # Of both signs and several sizes, all edges of a column alike.
        constants = constant * torch.linspace(-1, 1, 9).round(decimals=1)
        added = constants[case.graph.target.long()]
        added = added if shape == "E" else added[:, None]
        raised = 20 * case.bias.detach() + added
        plain = raised - added
        assert torch.equal(plain.double(), raised.double() - added.double())
        runs = [
            results(placed(case._replace(bias=bias), device), backend) for bias in (plain, raised)
        ]
        (before, grads_before), (after, grads_after) = runs
        pairs = [*zip(before[:2], after[:2], strict=True)]
        pairs += zip(grads_before, grads_after, strict=True)
        for x, y in pairs:
            assert_close(y, x, 1e-6)
        heard = case.mask.any(1)
        lse = before[2][heard].cpu().double() + constants[heard, None, None].double()
        torch.testing.assert_close(after[2][heard].cpu().double(), lse, rtol=2e-7, atol=1e-5)

    def test_second_derivatives(self, backend, device):
        case = draw(random_mask(5, 6, 0.7), cost=None, dtype=torch.float32)
        raised = 20 * case.bias.detach() + 1e8
        twice = []
        for bias in (raised - 1e8, raised):
            here = placed(case._replace(bias=bias), device)
            out, _, lse = here.run(backend)
            loss = (out**3).sum() + (lse[case.mask.any(1)] * 1e-9).sum()
            once = torch.autograd.grad(loss, here.inputs, create_graph=True)
            twice.append(torch.autograd.grad(sum((x**2).sum() for x in once), here.inputs))
        for x, y in zip(*twice, strict=True):
            assert_close(y, x, 2e-6)


class TestExtremeScores:
    """Scores as keys (one query of 1), which no product rounds, or as biases."""

    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0], [0, 1, 1, 0, 1]]).bool()

    def case(self, scores: Tensor, where: str) -> Case:
        case = draw(self.mask, 1, 1, 1, value_width=4, bias="E", cost="E", dtype=torch.float64)
        scores = scores.double()
        zero = torch.zeros_like(scores)
        by_source = scores if where == "keys" else zero
        bias = scores[case.graph.source.long()] if where == "biases" else case.bias.detach() * 0
        return case._replace(q=torch.ones_like(case.q), k=by_source.view(-1, 1, 1, 1), bias=bias)

    @pytest.mark.parametrize("where", ["keys", "biases"])
    @pytest.mark.parametrize(
        ("dtype", "scores"),
        [
            (torch.float32, [-1e9] * 5),
            (torch.float32, [1e9] * 5),
            (torch.float32, [-1e4, -1e4 + 1, -1e4 - 2, -1e4, -9999.5]),
            (torch.float32, [1e4, 1e4 + 0.5, 1e4, 9998.0, 1e4]),
            (torch.float32, [-1e9, 1e9, -1e9, -1e9, 0.0]),
            (torch.float32, [1e8, 1e8 - 8, 1e8 + 8, 1e8, 1e8 + 8]),
            (torch.float64, [-1e16, -1e16 + 2, -1e16, -1e16, -1e16 - 2]),
            (torch.float16, [-1e4, -1e4, -1e4 + 8, -1e4, -1e4 - 8]),
            (torch.bfloat16, [-1e9, -1e9, 1e9, -1e9, 1e9]),
        ],
    )
    def test_as_in_float64(self, backend, device, dtype, scores, where):
        """Outputs and gradients are those of the softmax of the same rounded scores."""
        rounded = self.case(torch.tensor(scores, dtype=dtype), where)
        wide = Case(*rounded[:2], *(x.detach().to(dtype).double() for x in rounded[2:]))
        wide = placed(wide, "cpu", torch.float64)
        got, grads = results(placed(rounded, device, dtype), backend)
        expected = oracle(wide)
        roundoff = max(2 * torch.finfo(dtype).eps, 1e-6)
        for x, y in zip(got[:2], expected[:2], strict=True):
            assert_close(x.cpu().double(), y, roundoff)
        for x, y in zip(grads, gradients(wide, expected), strict=True):
            size = max(1.0, float(y.abs().max()))
            close = {"rtol": 0.0, "atol": 8 * roundoff * size}
            torch.testing.assert_close(x.cpu().double(), y, **close)

    @pytest.mark.parametrize("where", ["keys", "biases"])
    @pytest.mark.parametrize("score", [-1e9, -1e4, 1e4, 1e9])
    def test_rows_sum_to_one_forward_and_backward(self, backend, device, score, where):
        case = self.case(torch.full((5,), score), where)
        case = placed(case._replace(v=torch.ones_like(case.v)), device)
        out = case.run(backend).out
        degree = self.mask.sum(1).double()
        torch.testing.assert_close(out.cpu(), torch.ones(4, 1, 1, 4), rtol=1e-6, atol=0.0)
        grad = torch.autograd.grad(out.sum(), case.v)[0][:, 0, 0, 0]
        expected = (self.mask / degree[:, None]).sum(0)
        torch.testing.assert_close(grad.cpu().double(), expected, rtol=2e-6, atol=0.0)


class TestNothingPassesAClosedEdge:
    """0 times NaN is NaN; what a closed edge brings is not even multiplied."""

    mask = torch.ones(6, 5, dtype=torch.bool)

    def draw(self, shape: str = "E", heads: int = 2) -> Case:
        return draw(self.mask, 3, heads, 4, bias=shape, dtype=torch.float32)

    def closing(self, case: Case, closed: Tensor) -> Case:
        bias = case.bias.detach().clone()
        bias[closed] = -INF
        return case._replace(bias=bias)

    @pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30], ids=str)
    @pytest.mark.parametrize("shape", ["E", "EH"])
    def test_a_source_that_nobody_hears(self, backend, device, value, shape):
        case = self.draw(shape)
        of_source = case.graph.source == 2
        case = self.closing(case, of_source)
        runs = []
        for held in (value, 0.0):
            k, v, cost = (x.detach().clone() for x in (case.k, case.v, case.cost))
            k[2] = v[2] = held
            cost[of_source] = held
            runs.append(results(placed(case._replace(k=k, v=v, cost=cost), device), backend))
        assert_identical(runs[0][0], runs[1][0])
        assert_identical(runs[0][1], runs[1][1])
        assert all(x.isfinite().all() for x in (*runs[0][0], *runs[0][1]))
        _, grad_k, grad_v, grad_bias, grad_cost = runs[0][1]
        assert (grad_k[2] == 0).all()
        assert (grad_v[2] == 0).all()
        assert (grad_bias[of_source.to(device)] == 0).all()
        assert (grad_cost[of_source.to(device)] == 0).all()

    @pytest.mark.parametrize("value", [NAN, INF])
    def test_open_for_some_closed_for_others(self, backend, device, value):
        """Column 0 is closed to source 2, others hear it: there it shows, here it does not.

        Dense matrices give such columns to the reference, whose bits are others.
        """
        tolerance = 1e-6 if backend == "dense" else 0.0
        case = self.draw()
        case = self.closing(case, (case.graph.source == 2) & (case.graph.target == 0))
        runs = []
        for held in (value, 0.0):
            k, v = case.k.detach().clone(), case.v.detach().clone()
            v[2] = held
            if value is NAN:
                k[2] = held
            runs.append(results(placed(case._replace(k=k, v=v), device), backend))
        (got, grads), (expected, expected_grads) = runs
        assert not got[0][1:].isfinite().any()
        assert not grads[0][1:].isfinite().any()
        here = (case.graph.target == 0).to(device)
        pairs = [(x[0], y[0]) for x, y in zip(got, expected, strict=True)]
        pairs += [(grads[0][0], expected_grads[0][0])]
        pairs += [(x[here], y[here]) for x, y in zip(grads[3:], expected_grads[3:], strict=True)]
        for x, y in pairs:
            assert_close(x, y, tolerance)

    def test_one_head_is_closed_and_the_other_open(self, backend, device):
        case = self.draw("EH")
        bias = case.bias.detach().clone()
        bias[case.graph.source == 2, 0] = -INF
        v = case.v.detach().clone()
        v[2] = NAN
        out = placed(case._replace(bias=bias, v=v), device).run(backend).out
        assert out[:, :, 0].isfinite().all()
        assert out[:, :, 1].isnan().all()

    @pytest.mark.parametrize("held", ["q", "grad"])
    def test_a_column_sends_no_gradient_through_it(self, backend, device, held):
        """A NaN in the query of column 0, or in the gradient that arrives there."""
        case = self.draw()
        case = self.closing(case, (case.graph.source == 2) & (case.graph.target == 0))
        q = case.q.detach().clone()
        if held == "q":
            q[0] = NAN
        case = placed(case._replace(q=q), device)
        out = case.run(backend).out
        arriving = torch.ones_like(out)
        if held == "grad":
            arriving[0] = NAN
        _, grad_k, grad_v, grad_bias = torch.autograd.grad(out, case.inputs[:4], arriving)
        heard = torch.tensor([0, 1, 3, 4], device=device)
        assert grad_v[2].isfinite().all()
        assert grad_k[2].isfinite().all()
        assert not grad_v[heard].isfinite().any()
        closed = (case.graph.source == 2) & (case.graph.target == 0)
        assert (grad_bias[closed] == 0).all()

    def test_a_column_of_closed_edges_receives_nothing(self, backend, device):
        """Whatever its query, the keys and the values are."""
        case = self.draw()
        case = self.closing(case, case.graph.target == 1)
        q = case.q.detach().clone()
        q[1] = NAN
        got, grads = results(placed(case._replace(q=q), device), backend)
        assert (got[0][1] == 0).all()
        assert (got[1][1] == 0).all()
        assert (got[2][1] == -INF).all()
        assert all(x.isfinite().all() for x in grads)
        assert (grads[0][1] == 0).all()

    @pytest.mark.parametrize("value", [NAN, INF])
    def test_a_source_without_edges_reaches_nobody(self, backend, device, value):
        mask = self.mask.clone()
        mask[:, 3] = False
        case = draw(mask, 2, 2, 4, dtype=torch.float32)
        runs = []
        for held in (value, 0.0):
            k, v = case.k.detach().clone(), case.v.detach().clone()
            k[3] = v[3] = held
            runs.append(results(placed(case._replace(k=k, v=v), device), backend))
        assert_identical(runs[0][0], runs[1][0])
        assert_identical(runs[0][1], runs[1][1])

    @pytest.mark.parametrize("name", ["q", "k", "v", "bias", "cost"])
    def test_a_nan_on_an_open_edge_shows(self, backend, device, name):
        case = self.closing(self.draw(), torch.arange(30) == 0)
        with torch.no_grad():
            values = getattr(case, name).detach().clone()
            values[1] = NAN
        case = placed(case._replace(**{name: values}), device)
        out, cost, lse = case.run(backend)
        assert (cost if name == "cost" else out).isnan().any()
        assert lse.isnan().any() == (name in ("q", "k", "bias"))

    def test_second_derivatives(self, backend, device):
        case = self.draw()
        case = self.closing(case, case.graph.source == 2)
        k, v = case.k.detach().clone(), case.v.detach().clone()
        k[2] = v[2] = NAN
        case = placed(case._replace(k=k, v=v), device)
        once = torch.autograd.grad(case.run(backend).out.sum(), case.inputs[:4], create_graph=True)
        for grad in torch.autograd.grad(sum((x**2).sum() for x in once), case.inputs[:4]):
            assert grad.isfinite().all()


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_dropped_edge_brings_no_value(backend, device, value):
    mask, rate, seed = torch.ones(4, 3, dtype=torch.bool), 0.5, 3
    keep = edge_dropout(torch.tensor(seed), torch.arange(12), 2, 2, rate, torch.float32)
    target, batch, head = (keep.view(4, 3, 2, 2)[:, 1] == 0).nonzero()[0].tolist()
    case = draw(mask, 2, 2, 4, dtype=torch.float32)
    v = case.v.detach().clone()
    v[1] = value
    out, cost, _ = placed(case._replace(v=v), device).run(backend, dropout=rate, seed=seed)
    zeros = case._replace(v=v.nan_to_num(0, 0, 0))
    expected = placed(zeros, device).run(backend, dropout=rate, seed=seed)
    assert torch.equal(out[target, batch, head], expected.out[target, batch, head])
    assert torch.equal(cost, expected.cost)
    kept = (keep.view(4, 3, 2, 2)[:, 1] > 0).to(device)
    assert torch.equal(~out.isfinite().all(-1), kept)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_products_do_not_overflow(backend, device, dtype):
    """Queries and keys of 200, 64 numbers: a product of 2.6 million, and half of that scaled."""
    mask = random_mask(6, 7, 0.7)
    case = draw(mask, 2, 2, 64, value_width=4, bias="E", cost=None, dtype=torch.float32)
    sign = torch.sign(case.q.detach()[:1, :1])
    q = 200 * sign + case.q.detach()
    k = torch.sign(case.k.detach()[:, :, :, :1]) * (200 * sign) + case.k.detach()
    case = case._replace(q=q, k=k)
    narrow = placed(case, device, dtype)
    wide = placed(Case(*case[:2], *(None if x is None else x.float() for x in narrow[2:])), "cpu")
    assert float((wide.q.detach() * wide.k.detach()[:1]).sum(-1).abs().max()) > 65504 * 8
    got, grads = results(narrow, backend)
    expected, expected_grads = results(wide, "reference")
    for x, y in [*zip(got, expected, strict=True), *zip(grads, expected_grads, strict=True)]:
        finite = y.isfinite()
        assert torch.equal(x.isfinite().cpu(), finite)
        assert_close(x.cpu().float()[finite], y[finite], 8 * torch.finfo(dtype).eps)


def test_an_empty_graph(backend, device):
    case = draw(torch.zeros(3, 2, dtype=torch.bool), dtype=torch.float32)
    got, grads = results(placed(case, device), backend)
    assert (got[0] == 0).all()
    assert (got[2] == -INF).all()
    assert all((x == 0).all() for x in grads)
    assert graph_of(case.mask).num_edges == 0
