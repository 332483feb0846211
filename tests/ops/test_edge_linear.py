"""The signed sum along edges: by hand, against dense and SciPy products, and its derivatives."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns import ColumnGraph, edge_linear
from graphcolumns.ops.edge_linear.op import edge_linear_op
from tests.ops.support.cases import MASKS, graph_of, random_mask

GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 2]]), 3, 2)
X = torch.tensor([[[1.0, 10.0, 2.0, 20.0]], [[3.0, 30.0, 4.0, 40.0]]])  # [M, B, C]


class TestByHand:
    """Column 0 listens to both sources, column 1 to nobody, column 2 to source 1."""

    def test_one_weight_per_edge(self, backend):
        y = edge_linear(X, torch.tensor([2.0, -1.0, 0.5]), GRAPH, backend=backend)
        assert y[0, 0].tolist() == [-1.0, -10.0, 0.0, 0.0]
        assert y[1, 0].tolist() == [0.0] * 4
        assert y[2, 0].tolist() == [1.5, 15.0, 2.0, 20.0]

    def test_one_weight_per_head(self, backend):
        weight = torch.tensor([[2.0, 1.0], [-1.0, 0.0], [0.5, -1.0]])
        y = edge_linear(X, weight, GRAPH, backend=backend)
        assert y[0, 0].tolist() == [-1.0, -10.0, 2.0, 20.0]
        assert y[2, 0].tolist() == [1.5, 15.0, -4.0, -40.0]

    def test_one_weight_per_channel(self, backend):
        weight = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, -1.0], [0.0, 0.0, 2.0, 0.0]])
        y = edge_linear(X, weight, GRAPH, backend=backend)
        assert y[0, 0].tolist() == [1.0, 40.0, 2.0, -20.0]
        assert y[2, 0].tolist() == [0.0, 0.0, 8.0, 0.0]

    def test_gradients(self, backend):
        x, weight = X.clone().requires_grad_(), torch.tensor([2.0, -1.0, 0.5]).requires_grad_()
        edge_linear(x, weight, GRAPH, backend=backend).sum().backward()
        assert weight.grad.tolist() == [33.0, 77.0, 77.0]  # sums of the sources
        assert x.grad[:, 0, 0].tolist() == [2.0, -0.5]


class Case(NamedTuple):
    mask: Tensor
    graph: ColumnGraph
    x: Tensor
    weight: Tensor


def draw(mask: Tensor, heads: int | None, batch: int = 2, channels: int = 6) -> Case:
    graph = graph_of(mask)
    shape = (graph.num_edges,) if heads is None else (graph.num_edges, heads)
    x = torch.randn(mask.shape[1], batch, channels, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    return Case(mask, graph, x, weight)


def oracle(case: Case) -> Tensor:
    """One dense matrix per channel."""
    weight = case.weight if case.weight.dim() == 2 else case.weight[:, None]
    channels = case.x.shape[2]
    weight = weight.repeat_interleave(channels // weight.shape[1], 1)
    matrix = weight.new_zeros(*case.mask.shape, channels).masked_scatter(
        case.mask[:, :, None], weight
    )
    return torch.einsum("nmc,mbc->nbc", matrix, case.x)


def check(case: Case, backend: str) -> None:
    y, expected = edge_linear(*case[2:], case.graph, backend=backend), oracle(case)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    arriving = torch.randn_like(y)
    got = torch.autograd.grad(y, case[2:], arriving)
    for x, z in zip(got, torch.autograd.grad(expected, case[2:], arriving), strict=True):
        torch.testing.assert_close(x, z, rtol=1e-10, atol=1e-10)


class TestOracle:
    @pytest.mark.parametrize("heads", [None, 1, 2, 6])
    @pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
    def test_dense(self, backend, mask, heads):
        check(draw(mask, heads), backend)

    @given(
        bits=st.lists(st.booleans(), min_size=12, max_size=12),
        rows=st.sampled_from([1, 2, 3, 4, 6, 12]),
        heads=st.sampled_from([None, 1, 3, 6]),
        batch=st.integers(1, 3),
    )
    def test_any_graph(self, backend, bits, rows, heads, batch):
        check(draw(torch.tensor(bits).view(rows, -1), heads, batch), backend)

    def test_scipy(self, backend):
        case = draw(random_mask(30, 20, 0.3), None, batch=1)
        matrix = case.graph.to_scipy().astype(float)
        matrix.data = case.weight.detach().numpy()
        expected = torch.from_numpy(matrix @ case.x.detach()[:, 0].numpy())
        y = edge_linear(case.x, case.weight, case.graph, backend=backend)
        torch.testing.assert_close(y[:, 0], expected)

    def test_inputs_need_not_be_contiguous(self, backend):
        case = draw(MASKS["every degree"], 2)
        scattered = [x.detach().mT.contiguous().mT.requires_grad_() for x in case[2:]]
        assert not any(x.is_contiguous() for x in scattered)
        check(case._replace(x=scattered[0], weight=scattered[1]), backend)

    def test_no_batch(self, backend):
        case = draw(MASKS["sparse"], 2, batch=0)
        assert edge_linear(*case[2:], case.graph, backend=backend).shape == (4, 0, 6)


class TestPrecision:
    @pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
    def test_half_precisions_are_summed_in_float32(self, backend, half):
        graph = graph_of(torch.ones(1, 4096, dtype=torch.bool))
        x, weight = torch.ones(4096, 1, 1, dtype=half), torch.ones(4096, dtype=half)
        y = edge_linear(x, weight, graph, backend=backend)
        assert y.dtype == half
        assert y.item() == 4096.0  # in their own precision sums of ones end at 256 or 2048

    @pytest.mark.parametrize(
        ("half", "roundoff"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)]
    )
    def test_half_precisions_are_rounded_once(self, backend, half, roundoff):
        case = draw(torch.ones(3, 200, dtype=torch.bool), None)
        narrow = [x.detach().to(half).requires_grad_() for x in case[2:]]
        wide = case._replace(x=narrow[0].double(), weight=narrow[1].double())
        y, exact = edge_linear(*narrow, case.graph, backend=backend), oracle(wide)
        torch.testing.assert_close(y.double(), exact, rtol=roundoff, atol=1e-4)
        arriving = torch.randn_like(y)
        got = torch.autograd.grad(y, narrow, arriving)
        expected = torch.autograd.grad(exact, [wide.x, wide.weight], arriving.double())
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=roundoff, atol=1e-4)

    def test_dtypes_promote(self, backend):
        x = X.bfloat16().requires_grad_()
        weight = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
        y = edge_linear(x, weight, GRAPH, backend=backend)
        assert y.dtype == torch.float32
        y.sum().backward()
        assert x.grad.dtype == torch.bfloat16
        assert weight.grad.dtype == torch.float32

    def test_autocast_changes_nothing(self, backend):
        case = draw(random_mask(20, 20, 0.5), 2)
        x, weight = case.x.float(), case.weight.float()
        with torch.autocast("cpu", torch.bfloat16):
            y = edge_linear(x, weight, case.graph, backend=backend)
        assert torch.equal(y, edge_linear(x, weight, case.graph, backend=backend))


class TestDerivatives:
    def test_gradcheck(self, backend):
        case = draw(MASKS["sparse"], 2, channels=4)

        def run(x, w):
            return edge_linear(x, w, case.graph, backend=backend)

        assert torch.autograd.gradcheck(run, case[2:])
        if backend != "scatter":  # torch-scatter's own gradient is not differentiable
            assert torch.autograd.gradgradcheck(run, case[2:])

    @pytest.mark.parametrize(
        "kernel", ["reference", "dense", pytest.param("cpp", marks=pytest.mark.cpp)]
    )
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
    def test_opcheck(self, kernel, dtype):
        graph = graph_of(MASKS["more sources"])
        x = torch.randn(5, 2, 3, 2, dtype=dtype, requires_grad=True)
        weight = torch.randn(graph.num_edges, 3, requires_grad=True)
        views = (graph.rowptr, graph.source, graph.target, *graph.by_source)
        torch.library.opcheck(edge_linear_op, (x, weight, *views, kernel))


def test_compiles_once_for_all_edges():
    torch._dynamo.reset()
    run = torch.compile(edge_linear, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for density in (0.3, 0.5, 0.8):
            case = draw(torch.rand(9, 7) < density, 2)
            y = run(*case[2:], case.graph, backend="reference")
            torch.testing.assert_close(y, oracle(case))
            expected = torch.autograd.grad(oracle(case).sum(), case[2:])
            for got, want in zip(torch.autograd.grad(y.sum(), case[2:]), expected, strict=True):
                torch.testing.assert_close(got, want)


def test_neither_messages_nor_the_matrix_are_kept(backend):
    if backend == "scatter":
        pytest.skip("autograd keeps the messages of torch-scatter")
    case = draw(torch.ones(40, 40, dtype=torch.bool), None)
    kept = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append((tensor.data_ptr(), tensor.nbytes))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        edge_linear(*case[2:], case.graph, backend=backend)
    edges = {view.data_ptr() for view in case.graph.views}  # the graph keeps them anyway
    assert sum(size for at, size in kept if at not in edges) == sum(t.nbytes for t in case[2:])
