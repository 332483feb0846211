"""The registered op: derivatives by finite differences, opcheck, torch.compile."""

import pytest
import torch

from graphcolumns import ColumnGraph, column_attention
from graphcolumns.ops.column_attention.op import column_attention_op
from tests.ops.support.cases import MASKS, Case, draw, gradients

# Those behind the registered op.
KERNELS = ["reference", "dense", pytest.param("cpp", marks=pytest.mark.cpp)]


def function_of_inputs(case: Case, backend: str, **options):
    """The outputs as a function of ``case.inputs``, without the -inf of columns without edges."""
    given = [x is not None for x in case[2:]]
    heard = case.mask.any(1)

    def run(*inputs: torch.Tensor):
        values = iter(inputs)
        replaced = Case(*case[:2], *(next(values) if here else None for here in given))
        out, cost, lse = replaced.run(backend, **options)
        return (out, lse[heard]) if cost is None else (out, cost, lse[heard])

    return run


class TestDerivatives:
    @pytest.mark.parametrize("bias", [None, "E", "EH"])
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_gradcheck(self, backend, bias, dropout):
        case = draw(MASKS["sparse"], width=2, bias=bias)
        run = function_of_inputs(case, backend, dropout=dropout, seed=1)
        assert torch.autograd.gradcheck(run, case.inputs)

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("shared_query", [False, True])
    def test_gradgradcheck(self, kernel, shared_query):
        case = draw(MASKS["sparse"], heads=1, width=2, shared_query=shared_query)
        run = function_of_inputs(case, kernel, dropout=0.3, seed=1)
        assert torch.autograd.gradgradcheck(run, case.inputs)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("bias", "cost", "dropout"),
    [(None, None, 0.0), (None, "E", 0.5), ("EH", None, 0.5), ("EH", "E", 0.0), ("EH", "E", 0.5)],
)
def test_opcheck(kernel, dtype, bias, cost, dropout):
    case = draw(MASKS["more sources"], bias=bias, cost=cost).to(dtype)
    graph = case.graph
    views = (graph.rowptr, graph.source, graph.target, *graph.by_source)
    seed = torch.tensor(3) if dropout else None
    arguments = (*case[2:], *views, 0.5, dropout, seed, kernel)
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if dtype == torch.float32 and kernel != "dense":  # seconds each: once per combination
        checks.append("test_aot_dispatch_dynamic")
    torch.library.opcheck(column_attention_op, arguments, test_utils=checks)


class TestCompile:
    @pytest.fixture(autouse=True)
    def fresh(self):
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()

    @pytest.mark.parametrize("choice", ["auto", *KERNELS])
    def test_full_graph_forward_and_backward(self, choice):
        case = draw(MASKS["every degree"])
        run = torch.compile(call, fullgraph=True, backend="aot_eager")
        got, expected = run(*case[1:], choice), call(*case[1:], choice)
        for x, y in zip(got, expected, strict=True):
            torch.testing.assert_close(x, y)
        for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
            torch.testing.assert_close(x, y)

    @torch._dynamo.config.patch(error_on_recompile=True)
    @pytest.mark.parametrize("kernel", KERNELS[::2])
    def test_other_edges_do_not_compile_again(self, kernel):
        run = torch.compile(call, fullgraph=True, dynamic=True, backend="aot_eager")
        for density in (0.3, 0.5, 0.8):
            case = draw(torch.rand(9, 7) < density)
            got, expected = run(*case[1:], kernel), call(*case[1:], "reference")
            torch.testing.assert_close(got[0], expected[0])
            for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
                torch.testing.assert_close(x, y)

    def test_auto_compiles_once_for_each_kernel(self):
        run = torch.compile(call, fullgraph=True, dynamic=True, backend="aot_eager")
        full = torch.ones(40, 40, dtype=torch.bool)
        sparse = full.tril().triu(-1)
        for mask in (sparse, full):
            run(*draw(mask)[1:], "auto")
        with torch._dynamo.config.patch(error_on_recompile=True):
            for mask in (full.tril().triu(-2), full.triu()):
                case = draw(mask)
                torch.testing.assert_close(run(*case[1:], "auto"), call(*case[1:], "auto"))

    def test_dropout(self):
        case = draw(MASKS["every degree"])
        run = torch.compile(dropped, fullgraph=True, dynamic=True, backend="aot_eager")
        for seed in (1, 2, 3):
            got, expected = run(*case[1:], seed), dropped(*case[1:], seed)
            for x, y in zip(got, expected, strict=True):
                torch.testing.assert_close(x, y)
            for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
                torch.testing.assert_close(x, y)

    def test_under_autocast(self):
        case = draw(MASKS["every degree"], dtype=torch.float32)
        run = torch.compile(call, fullgraph=True, backend="aot_eager")
        with torch.autocast("cpu", torch.bfloat16):
            got, expected = run(*case[1:], "reference"), call(*case[1:], "reference")
        assert got[0].dtype == torch.bfloat16
        for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
            torch.testing.assert_close(x, y)

    @pytest.mark.slow
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_inductor(self, kernel):
        """Its own kernels run the backward pass, and must find the mask of the forward pass."""
        case = draw(MASKS["every degree"], dtype=torch.float32)
        run = torch.compile(dropped, fullgraph=True, dynamic=True)
        got, expected = run(*case[1:], 7, kernel), dropped(*case[1:], 7, kernel)
        for x, y in zip(gradients(case, got), gradients(case, expected), strict=True):
            torch.testing.assert_close(x, y)


def test_export():
    class Layer(torch.nn.Module):
        def forward(self, *arguments):
            return call(*arguments, "reference")

    case = draw(MASKS["every degree"])
    exported = torch.export.export(Layer(), tuple(case[1:])).module()
    for x, y in zip(exported(*case[1:]), case.run("reference"), strict=True):
        torch.testing.assert_close(x, y)


def call(graph: ColumnGraph, q, k, v, bias, cost, backend):
    return column_attention(q, k, v, graph, bias=bias, cost=cost, backend=backend)


def dropped(graph: ColumnGraph, q, k, v, bias, cost, seed, backend="reference"):
    options = {"dropout": 0.4, "seed": seed, "backend": backend}
    return column_attention(q, k, v, graph, bias=bias, cost=cost, **options)
