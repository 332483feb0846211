"""Function transforms, forward mode, the meta device and tracing: each on both forms."""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.export import export
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vmap,
)
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

from graphcolumns import ColumnGraph
from graphcolumns.nn import ColumnConv

N, C, D, F = 5, 3, 2, 2
# Shuffled; columns 0 and 2 hear themselves, column 4 hears nobody.
EDGES = torch.tensor([[2, 0, 4, 3, 0, 2, 1], [2, 0, 1, 2, 3, 0, 0]])
GRAPH = ColumnGraph.from_edge_index(EDGES, N)
E = EDGES.shape[1]
KINDS = {
    "plain": {},
    "lowrank": {"weights": "lowrank", "rank": 2},
    "mixture": {"weights": "mixture", "concat": False},
    "edge bias": {"edge_bias": GRAPH},
    "edge features": {"edge_dim": F, "edge_features": "keys_values"},
    "self-loops": {"edge_dim": F, "add_self_loops": True, "root_weight": True, "beta": True},
}


@pytest.fixture(params=["edge_index", "graph"])
def form(request):
    return request.param


@pytest.fixture(params=KINDS)
def options(request):
    return KINDS[request.param]


@pytest.fixture(params=[KINDS["plain"], KINDS["self-loops"]], ids=["plain", "self-loops"])
def few(request):
    return request.param


def make(options, form, dtype=torch.float64):
    """A layer with no parameter at zero, an input, and its edges."""
    conv = ColumnConv(C, D, N, **{"heads": 2, **options}).to(dtype)
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    edges = GRAPH if form == "graph" else GRAPH.edge_index
    edge_attr = torch.randn(E, F, dtype=dtype) if "edge_dim" in options else None
    return conv, torch.randn(N, C, dtype=dtype), (edges, edge_attr)


def same(a, b, atol=1e-9):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-7)


def by_autograd(f, x):
    return torch.autograd.functional.jacobian(f, x)


class TestTransforms:
    def test_jacobians(self, options, form):
        conv, x, edges = make(options, form)
        expected = by_autograd(lambda x: conv(x, *edges), x)
        same(jacrev(conv)(x, *edges), expected)
        same(jacfwd(conv)(x, *edges), expected)
        for strategy in ("reverse-mode", "forward-mode"):
            got = torch.autograd.functional.jacobian(
                lambda x: conv(x, *edges), x, vectorize=True, strategy=strategy
            )
            same(got, expected)

    def test_hessian(self, options, form):
        conv, x, edges = make(options, form)

        def loss(x):
            return conv(x, *edges).sin().sum()

        expected = torch.autograd.functional.hessian(loss, x)
        same(hessian(loss)(x), expected)
        same(torch.autograd.functional.hessian(loss, x, vectorize=True), expected)
        v = torch.randn_like(x)
        same(torch.autograd.functional.hvp(loss, x, v)[1], (expected * v).sum((2, 3)))

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")  # torch's linearize
    def test_tangents(self, options, form):
        conv, x, edges = make(options, form)
        v = torch.randn_like(x)
        expected = (by_autograd(lambda x: conv(x, *edges), x) * v).sum((2, 3))
        same(jvp(lambda x: conv(x, *edges), (x,), (v,))[1], expected)
        same(linearize(lambda x: conv(x, *edges), x)[1](v), expected)
        with forward_ad.dual_level():
            out = conv(forward_ad.make_dual(x, v), *edges)
            same(forward_ad.unpack_dual(out).tangent, expected)

    def test_gradients_of_parameters_per_sample(self, options, form):
        conv, x, edges = make(options, form)
        parameters, samples = dict(conv.named_parameters()), torch.stack([x, -x, x.flip(0)])

        def loss(parameters, x):
            return functional_call(conv, parameters, (x, *edges)).sin().sum()

        got = vmap(grad(loss), (None, 0))(parameters, samples)
        for which, sample in enumerate(samples):
            out = conv(sample, *edges).sin().sum()
            expected = torch.autograd.grad(out, list(parameters.values()))
            same([got[name][which] for name in parameters], list(expected))

    def test_vmap_is_the_static_graph(self, options, form):
        conv, x, edges = make(options, form)
        samples = torch.stack([x, -x])
        same(vmap(lambda x: conv(x, *edges))(samples), conv(samples, *edges))
        nested = torch.stack([samples, 2 * samples])
        same(vmap(lambda x: conv(x, *edges))(nested)[1], conv(nested[1], *edges))

    def test_ensembles(self, options, form):
        conv, x, edges = make(options, form)
        other = copy.deepcopy(conv)
        torch.nn.init.normal_(other.lin_value.weight)
        parameters, buffers = stack_module_state([conv, other])

        def run(parameters, buffers):
            return functional_call(conv, (parameters, buffers), (x, *edges))

        out = vmap(run)(parameters, buffers)
        same(out, torch.stack([conv(x, *edges), other(x, *edges)]))

    def test_torch_checks_every_mode(self, few, form):
        conv, x, edges = make(few, form)
        x.requires_grad_()
        checks = {"check_forward_ad": True, "check_batched_grad": True}
        assert torch.autograd.gradcheck(lambda x: conv(x, *edges), x, **checks)
        assert torch.autograd.gradgradcheck(lambda x: conv(x, *edges), x, fast_mode=True)

    def test_nodes_of_a_batch(self, few, form):
        conv, x, (edges, edge_attr) = make(few, form)
        ids = torch.tensor([3, 1, 1, 0, 4])

        def run(x):
            return conv(x, edges, edge_attr, column_id=ids)

        same(jacfwd(run)(x), by_autograd(run, x))

    @pytest.mark.slow
    def test_compiled(self, few, form):
        torch._dynamo.reset()
        conv, x, edges = make(few, form)

        def per_sample(x):
            return vmap(grad(lambda x: conv(x, *edges).sin().sum()))(x)

        compiled = torch.compile(per_sample, backend="aot_eager")
        samples = torch.stack([x, -x])
        same(compiled(samples), per_sample(samples))


def _need_no_values(options, form):
    if form == "edge_index" and "add_self_loops" in options:
        pytest.skip("how many self-loops PyG replaces is written in the edges: pass a graph")


class TestWithoutValues:
    def test_built_on_the_meta_device(self, options, form):
        _need_no_values(options, form)
        with torch.device("meta"):
            conv = ColumnConv(C, D, N, heads=2, **options)
        _, x, (edges, edge_attr) = make(options, form, torch.float32)
        assert all(parameter.is_meta for parameter in conv.parameters())
        given = (x, edges, edge_attr)
        on_meta = pytree.tree_map_only(torch.Tensor, lambda y: y.to("meta"), given)
        out = conv(*on_meta)
        assert out.is_meta

        seeds = []
        for module in (conv.to_empty(device="cpu"), ColumnConv(C, D, N, heads=2, **options)):
            torch.manual_seed(0)
            module.reset_parameters()
            seeds.append(dict(module.named_parameters()))
        for name, value in seeds[1].items():
            assert torch.equal(seeds[0][name], value), name
        assert conv(*given).shape == out.shape

    def test_nodes_of_a_batch_on_the_meta_device(self, few, form):
        _need_no_values(few, form)
        conv, x, edges = make(few, form)
        given = (x, *edges, torch.arange(N))
        expected = conv(*given)
        given = pytree.tree_map_only(torch.Tensor, lambda y: y.to("meta"), given)
        assert conv.to("meta")(*given).shape == expected.shape

    def test_self_loops_of_edges_without_values_are_refused(self):
        conv = ColumnConv(C, D, N, add_self_loops=True).to("meta")
        with pytest.raises(NotImplementedError, match="pass a ColumnGraph"):
            conv(torch.empty(N, C, device="meta"), EDGES.to("meta"))

    def test_fake_tensors(self, few, form):
        _need_no_values(few, form)
        given = make(few, form, torch.float32)[1:]
        with FakeTensorMode() as mode:
            conv = ColumnConv(C, D, N, heads=2, **few)
            x, edges = pytree.tree_map_only(torch.Tensor, mode.from_tensor, given)
            out = conv(x, *edges)
            out.sum().backward()
            assert out.shape == (N, 2 * D)
            assert conv.lin_value.weight.grad.shape == conv.lin_value.weight.shape
            assert conv(x, *edges, column_id=torch.arange(N)).shape == out.shape

    @pytest.mark.parametrize("static", [False, True])
    def test_exported(self, few, form, static):
        conv, x, edges = make(few, form)
        x = torch.stack([x, -x]) if static else x
        same(export(conv, (x, *edges)).module()(x, *edges), conv(x, *edges))

    def test_traced_gradients(self, few, form):
        conv, x, edges = make(few, form)

        def gradient(x):
            return grad(lambda x: conv(x, *edges).sin().sum())(x)

        same(make_fx(gradient)(x)(2 * x), gradient(2 * x))


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half(self, options, form, dtype):
        conv, x, (edges, edge_attr) = make(options, form, torch.float32)
        expected = conv(x, edges, edge_attr)
        half = copy.deepcopy(conv).to(dtype)
        out = half(x.to(dtype), edges, None if edge_attr is None else edge_attr.to(dtype))
        assert out.dtype == dtype
        torch.testing.assert_close(out.float(), expected, atol=0.3, rtol=0.1)
        out.float().sin().sum().backward()
        assert all(parameter.grad.dtype == dtype for parameter in half.parameters())

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_autocast(self, options, form, dtype):
        conv, x, edges = make(options, form, torch.float32)
        expected = conv(x, *edges)
        with torch.autocast("cpu", dtype=dtype):
            out = conv(x, *edges)
            per_sample = vmap(grad(lambda x: conv(x, *edges).float().sin().sum()))(x[None])
        torch.testing.assert_close(out.float(), expected, atol=0.3, rtol=0.1)
        out.float().sin().sum().backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in conv.parameters())
        assert per_sample.isfinite().all()


def test_activations_can_be_recomputed(options, form):
    conv, x, edges = make({**options, "dropout": 0.3}, form)
    x.requires_grad_()
    grads = []
    for run in (conv, lambda *given: checkpoint(conv, *given, use_reentrant=False)):
        torch.manual_seed(0)
        grads.append(torch.autograd.grad(run(x, *edges).sin().sum(), [x, *conv.parameters()]))
    same(*grads)
